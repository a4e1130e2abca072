import KafkaProtocol
import Metadata
public import Model
import NIOCore
public import Raft
public import RaftHost
public import RaftLog
import RecordBatch

/// What a partition tells the broker that hosts it.
///
/// - Thread: the broker's event loop.
protocol PartitionObserver: AnyObject {
    /// The high watermark rose, or leadership changed: waiting fetches may have to answer.
    func partitionMoved(_ partition: Partition)
    /// The replica's role, term or leader changed, or its leadership is confirmed.
    func leadershipChanged(of partition: Partition)
    /// The group's members changed.
    func membersChanged(of partition: Partition)
}

/// How a produce to one partition ended.
enum ProduceOutcome: Equatable {
    /// The batch is in the log from this offset on, as durable as its acks asked for.
    case appended(baseOffset: Int64)
    /// It is not, or nobody knows.
    case failed(KafkaError)
}

/// One partition on this broker: what its Raft group's log means.
///
/// - Thread: the broker's event loop.
/// - Invariant: `highWatermark` is the offset after the last applied entry and never falls.
///   Producer sequences are judged against everything that this replica's log holds and that was
///   proposed to it, and so give the same verdict on any leader.
public final class Partition {
    /// The replica's identity, as its directory records it.
    public let identity: GroupIdentity
    /// The topic's name.
    let topic: String
    /// The partition's number.
    let id: Int32
    /// Who leads, as this replica sees it.
    public private(set) var leadership = Leadership.unknown
    /// The offset after the last committed record; consumers see everything below it.
    public private(set) var highWatermark: Offset = 0
    /// The newest target of a reassignment that the group has accepted, by its version.
    private(set) var acceptedTarget: MetadataVersion = 0
    /// Bytes of batches applied since the process started; only differences mean something.
    private(set) var appliedBytes: UInt64 = 0
    /// The largest batch that a producer may send; the topic's `max.message.bytes`.
    var messageBytesMax = TopicConfigs.defaults.maxMessageBytes
    /// How many replicas are to keep up, as the metadata say; nil if they do not.
    var replicasWanted: Int?
    /// Fetches that wait for this partition; owned by `FetchPurgatory`.
    var waitingFetches: [ParkedFetch] = []
    /// Whether the purgatory looks at this partition at the end of the turn.
    var isInPurgatoryQueue = false
    /// Whether waiting fetches must answer even without enough data.
    var mustWakeFetches = false
    /// The groups that this partition keeps, if it is one of `__consumer_offsets`.
    var groups: (any GroupPartitionState)?
    /// The Raft replica, from its start to its stop.
    private(set) var replica: Replica?

    private(set) var producers: ProducerState
    private var turnedAway = TurnedAway()
    /// When the last leader went, while no other is known to lead.
    private var vacantSince: NIODeadline?
    /// A vacancy that lasts longer may be this replica's own trouble: others know better.
    private static let electionMax = TimeAmount.seconds(3)
    /// A leader that is not heard for so many ticks will hardly be heard again.
    ///
    /// They begin at half of the shortest time after which another one is elected, and end like a
    /// vacancy. Clients that are sent to it wait as long as they would for a machine that has gone.
    private static let silentTicks = 5..<35
    private var duplicates: [(batch: ProducerBatch, completion: (ProduceOutcome) -> Void)] = []
    private weak var observer: (any PartitionObserver)?

    init(
        identity: GroupIdentity,
        observer: (any PartitionObserver)?,
        producersMax: Int = 20_000
    ) {
        self.identity = identity
        self.topic = identity.topicName
        self.id = identity.partition.rawValue
        self.observer = observer
        self.producers = ProducerState(producersMax: producersMax)
    }

    /// Takes the running replica; called once its group is started.
    func attach(_ replica: Replica) {
        precondition(replica.id == identity.group, "group \(replica.id) for \(identity.group)")
        self.replica = replica
        highWatermark = max(highWatermark, replica.highWatermark)
    }

    /// Lets go of the replica: its group is stopped.
    func detach() {
        replica = nil
        groups?.stopped()
        groups = nil
        failDuplicates()
        mustWakeFetches = true
        observer?.partitionMoved(self)
    }

    /// Whether this replica leads and knows every offset that was acknowledged before.
    var isConfirmedLeader: Bool { leadership.isLeader && leadership.isConfirmed }

    /// Whether the leader has gone or fallen silent a moment ago, and no successor is known yet.
    var isElecting: Bool {
        if let vacantSince { return .now() < vacantSince + Self.electionMax }
        guard leadership.leader != .none, let replica else { return false }
        return Self.silentTicks.contains(replica.leaderSilence)
    }

    /// Whether a batch that is produced now would enter the log.
    var acceptsBatches: Bool { replica?.acceptsProposals ?? false }

    /// The leader epoch that clients see: the term.
    var leaderEpoch: Int32 { leadership.term.leaderEpoch }

    /// The first offset that the log still holds.
    var logStartOffset: Offset { replica?.log.logStartOffset ?? 0 }
}

// MARK: Producing

extension Partition {
    /// Judges a batch and appends it; `completion` is called once, perhaps before this returns.
    ///
    /// A replica that no longer leads judges nothing: a batch behind one that it turned away would
    /// count as out of order, and make an idempotent producer begin a new epoch.
    func produce(
        _ payload: BatchPayload,
        producer: ProducerBatch?,
        _ acknowledgement: Acknowledgement,
        completion: @escaping (ProduceOutcome) -> Void
    ) {
        guard let replica, replica.acceptsProposals else {
            if let producer { turnedAway.note(producer.producerID) }
            return completion(.failed(.notLeaderOrFollower))
        }
        if let producer {
            switch producers.check(producer) {
            case .accept:
                producers.propose(producer)
                turnedAway.forget(producer.producerID)
            case .duplicate(let baseOffset):
                return completion(.appended(baseOffset: baseOffset))
            case .duplicateInFlight:
                return duplicates.append((producer, completion))
            case .epochFenced: return completion(.failed(.invalidProducerEpoch))
            case .outOfOrder:
                let isBehindAnother = turnedAway.contains(producer.producerID)
                return completion(
                    .failed(isBehindAnother ? .notEnoughReplicas : .outOfOrderSequenceNumber)
                )
            }
        }
        var isReturned = false
        replica.propose(payload, acknowledgement) { [weak self] outcome in
            switch outcome {
            case .done(let baseOffset, _, _):
                completion(.appended(baseOffset: baseOffset.rawValue))
            case .notLeader, .refused:
                if !isReturned, let producer { self?.producers.retractProposal(producer) }
                if let producer { self?.turnedAway.note(producer.producerID) }
                completion(.failed(outcome.kafkaError))
            }
        }
        isReturned = true
    }

    private func answerDuplicates(of batch: ProducerBatch, baseOffset: Int64) {
        guard !duplicates.isEmpty else { return }
        let matching = duplicates.filter { $0.batch == batch }
        guard !matching.isEmpty else { return }
        duplicates.removeAll { $0.batch == batch }
        for duplicate in matching { duplicate.completion(.appended(baseOffset: baseOffset)) }
    }

    private func failDuplicates() {
        let waiting = duplicates
        duplicates = []
        for duplicate in waiting { duplicate.completion(.failed(.notLeaderOrFollower)) }
    }
}

extension ProposalOutcome {
    /// Kafka's error for a proposal that failed.
    ///
    /// A refused proposal was not appended, so the client may send it again at once; 19 says so
    /// in a way that every client retries.
    var kafkaError: KafkaError {
        switch self {
        case .done: .none
        case .notLeader: .notLeaderOrFollower
        case .refused: .notEnoughReplicas
        }
    }
}

// MARK: The log's meaning

extension Partition: StateMachine {
    /// Group partitions rebuild their state from whole batches, others from headers.
    public var wantsPayloadAtRecovery: Bool { groups != nil }

    /// Takes a committed entry found on disk at start.
    public func recover(_ row: EntryRow, _ bytes: [UInt8]) {
        guard row.isBatch else { return accept(row, bytes) }
        if let batch = RecordBatchHeader(bytes).flatMap({ ProducerBatch($0) }) {
            producers.commit(
                batch,
                index: row.index.rawValue,
                baseOffset: row.baseOffset.rawValue
            )
        }
        highWatermark = row.nextOffset
        groups?.replay(bytes, baseOffset: row.baseOffset)
    }

    /// Learns of a batch that entered the log and is not committed yet.
    public func appended(_ row: EntryRow, _ payload: Payload) {
        guard row.isBatch, let batch = ProducerBatch(payload) else { return }
        producers.append(batch, index: row.index.rawValue, baseOffset: row.baseOffset.rawValue)
    }

    /// Forgets the batches that were cut off.
    public func truncated(from index: LogIndex) {
        producers.truncate(from: index.rawValue)
    }

    /// Takes a committed entry.
    public func apply(_ row: EntryRow, _ payload: Payload) {
        guard row.isBatch else { return accept(row, payload.copyBytes()) }
        highWatermark = row.nextOffset
        appliedBytes &+= UInt64(row.length)
        if let batch = ProducerBatch(payload) {
            producers.commit(
                batch,
                index: row.index.rawValue,
                baseOffset: row.baseOffset.rawValue
            )
            answerDuplicates(of: batch, baseOffset: row.baseOffset.rawValue)
        }
        groups?.replay(payload.copyBytes(), baseOffset: row.baseOffset)
        if !waitingFetches.isEmpty { observer?.partitionMoved(self) }
    }

    /// Takes note of an accepted target, which may stand beside a change of members.
    private func accept(_ row: EntryRow, _ bytes: [UInt8]) {
        guard row.type != .normal, let version = ConfChange.acceptedTarget(in: bytes) else {
            return
        }
        acceptedTarget = max(acceptedTarget, version)
    }

    /// Takes a change of members.
    public func configurationChanged(_ configuration: ConfState) {
        observer?.membersChanged(of: self)
    }

    /// Takes a change of role, term or leader.
    public func leadershipChanged(_ new: Leadership) {
        let old = leadership
        leadership = new
        if new.leader != .none, !new.isLeader || new.isConfirmed {
            vacantSince = nil
        } else if old.leader != .none, vacantSince == nil {
            vacantSince = .now()
        }
        if !new.isLeader || new.term != old.term {
            producers.dropProposals()
            failDuplicates()
            mustWakeFetches = old.isLeader
        }
        if new.isConfirmed, !old.isConfirmed { mustWakeFetches = true }
        groups?.leadershipChanged(new)
        if mustWakeFetches { observer?.partitionMoved(self) }
        observer?.leadershipChanged(of: self)
    }

    /// No snapshot: the whole log is kept, and with it everything that is known.
    public func takeSnapshot() -> [UInt8]? { nil }

    /// Starts from nothing; a snapshot of a partition carries no state of its own.
    public func restore(_ snapshot: [UInt8], index: LogIndex) {
        producers = ProducerState()
    }
}

extension Partition: GroupLogAccess {
    /// Appends a batch of group records and waits for its commit.
    public func append(_ batch: [UInt8], completion: @escaping (ProposalOutcome) -> Void) {
        guard let replica else { return completion(.notLeader(.none)) }
        guard let payload = BatchPayload(batch: ByteBuffer(bytes: batch)) else {
            return completion(.refused("not a record batch"))
        }
        replica.propose(payload, .committed, completion: completion)
    }

    /// Asks a majority whether this replica still leads.
    public func readBarrier(_ completion: @escaping (Bool) -> Void) {
        guard let replica else { return completion(false) }
        replica.readBarrier(completion)
    }
}
