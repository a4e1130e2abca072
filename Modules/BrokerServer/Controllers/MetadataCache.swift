import InterBroker
import InterBrokerProtocol
import Metadata
import Model
import NIOCore

/// This broker's copy of the cluster's metadata, and who leads which group.
///
/// - Thread: the broker's event loop.
/// What a broker has read from its own disk is a beginning: it may lack what was made since. Until
/// the controllers have been heard, nothing that is missing may be denied.
/// - Invariant: `version` never falls. A push whose predecessor is missing changes nothing but the
///   leaders; the broker pulls what lies between.
final class MetadataCache {
    private var cluster = ClusterMetadata()
    private var leaders = LeaderTable()
    private let eventLoop: any EventLoop
    private var waits: [Wait] = []
    private var isCheckScheduled = false
    /// Whether a controller has been heard since this process started.
    private(set) var isConfirmed = false

    private struct Wait {
        let condition: () -> Bool
        let deadline: NIODeadline
        let completion: () -> Void
    }

    /// Requests that wait for a change of the metadata; more are answered at once.
    private static let waitsMax = 10_000

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// What came of an update.
    struct Change {
        /// Whether nothing is missing before it.
        var isContinued = true
        /// The names of topics that exist no more.
        var deletedTopics: [String] = []
        /// What is new since the version that was held, in order.
        var frames: [MetadataFrame] = []
    }

    /// Takes what this broker knew when it ran last.
    func restore(_ known: ClusterMetadata) {
        precondition(version == 0, "the controllers have been heard already")
        cluster = known
    }

    /// Notes that the controllers know nothing newer.
    func confirm() {
        isConfirmed = true
        scheduleCheck()
    }

    /// All that is known; nil before anything was heard.
    var snapshot: ClusterMetadata? { version > 0 ? cluster : nil }

    /// Takes changes, and says what came of them.
    func apply(_ update: MetadataUpdate) -> Change {
        var change = Change()
        for report in update.leaders {
            leaders.take(
                PartitionLeader(group: report.group, term: report.term, node: report.node)
            )
        }
        defer { scheduleCheck() }
        if let full = update.full {
            // An older snapshot can only have been overtaken on its way.
            if full.metadata.version >= cluster.version {
                change.deletedTopics = replace(with: full.metadata)
                change.frames = [.snapshot(full.text, at: cluster.version)]
            }
            isConfirmed = true
            return change
        }
        // Versions have gaps, as not every entry of the controllers' log is a command; what tells
        // that something is missing is the version before the first command.
        guard update.fromVersion <= cluster.version else {
            change.isContinued = update.version <= cluster.version
            return change
        }
        for (version, command, text) in update.commands where version > cluster.version {
            change.frames.append(.command(text, at: version, after: cluster.version))
            for case .topicDeleted(let topic) in cluster.apply(command, at: version) {
                forgetLeaders(of: topic)
                change.deletedTopics.append(topic.name.text)
            }
        }
        isConfirmed = true
        return change
    }

    /// Takes the whole metadata, and names the topics that it does not hold any more.
    private func replace(with full: ClusterMetadata) -> [String] {
        let deleted = cluster.topics.filter { full.topic($0.topicID) == nil }
        for topic in deleted { forgetLeaders(of: topic) }
        cluster = full
        return deleted.map(\.name.text)
    }

    private func forgetLeaders(of topic: TopicInfo) {
        for partition in topic.partitions { leaders.forget(partition.group) }
    }
}

// MARK: Waiting

extension MetadataCache {
    /// Calls `completion` once `condition` holds, or when the time is over; perhaps at once.
    func wait(
        for condition: @escaping () -> Bool,
        atMost time: TimeAmount,
        then completion: @escaping () -> Void
    ) {
        guard !condition(), time > .zero, waits.count < Self.waitsMax else { return completion() }
        waits.append(
            Wait(condition: condition, deadline: .now() + time, completion: completion)
        )
    }

    /// A replica of this broker has another leader: whoever waits for one looks again.
    func replicaChanged() {
        scheduleCheck()
    }

    /// Ends the waits whose time is over; called at every tick.
    func expireWaits(at now: NIODeadline) {
        // A leader that is heard again after all changes nothing else.
        scheduleCheck()
        guard waits.contains(where: { $0.deadline <= now }) else { return }
        let expired = waits.filter { $0.deadline <= now }
        waits.removeAll { $0.deadline <= now }
        for wait in expired { wait.completion() }
    }

    private func scheduleCheck() {
        guard !waits.isEmpty, !isCheckScheduled else { return }
        isCheckScheduled = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { bound.value.check() }
    }

    private func check() {
        isCheckScheduled = false
        var satisfied: [Wait] = []
        var rest: [Wait] = []
        for wait in waits {
            if wait.condition() { satisfied.append(wait) } else { rest.append(wait) }
        }
        waits = rest
        for wait in satisfied { wait.completion() }
    }
}

// MARK: Lookup

extension MetadataCache {
    /// The version that is held; 0 before anything was heard.
    var version: MetadataVersion { cluster.version }

    /// The brokers that are online, in order of ids.
    var onlineBrokers: [BrokerInfo] { cluster.onlineBrokers }

    /// The broker that clients send controller requests to: any can, so the first that lives.
    var kafkaControllerID: BrokerID? { cluster.brokers.first(where: \.isOnline)?.id }

    func isOnline(_ broker: BrokerID) -> Bool { cluster.broker(broker)?.isOnline ?? false }

    /// Where clients reach a broker, if it is online.
    func clientAddress(of broker: BrokerID) -> Address? {
        guard let info = cluster.broker(broker), info.isOnline else { return nil }
        return Address(host: info.clientHost, port: Int(info.clientPort))
    }

    /// Where a broker's peer listener is, if the broker is known.
    func peerAddress(of broker: BrokerID) -> String? {
        cluster.broker(broker)?.peerAddress
    }

    /// Where the controllers are, in order of numbers; empty while the metadata do not say.
    ///
    /// Those that are to leave are not asked any more.
    var controllers: [InterBrokerTarget] {
        cluster.controllerReplicas.filter { $0.state != .leaving }.map {
            InterBrokerTarget(id: $0.id.rawValue, address: $0.address)
        }
    }

    /// Every topic, in order of names.
    var topics: [TopicInfo] { cluster.topics }

    func topic(named name: String) -> TopicInfo? {
        TopicName(name).flatMap { cluster.topic($0) }
    }

    /// How many partitions a topic has; nil if it does not exist.
    func partitionCount(of topic: String) -> Int32? {
        self.topic(named: topic).map { Int32(clamping: $0.partitions.count) }
    }

    /// Whether a partition exists.
    func holds(_ topic: String, _ partition: Int32) -> Bool {
        self.partition(topic, partition) != nil
    }

    func topic(_ id: TopicID) -> TopicInfo? { cluster.topic(id) }

    func partition(_ topic: String, _ partition: Int32) -> PartitionInfo? {
        self.topic(named: topic)?.partition(PartitionID(partition))
    }

    /// The partition that a group holds.
    func partition(of group: RaftGroupID) -> PartitionInfo? { cluster.partition(group)?.info }

    /// The partitions with a reassignment under way, in order of groups.
    var reassignments: [HostedPartition] { cluster.reassignments }

    /// The groups of these partitions.
    var reassignedGroups: [RaftGroupID] { cluster.reassigned }

    /// Whether a replica lies in its broker's directory, and the broker is online.
    func isAt(_ replica: ReplicaInfo) -> Bool {
        guard let broker = cluster.broker(replica.broker) else { return false }
        return broker.isOnline && broker.directoryID == replica.directoryID
    }

    /// The replica that is to lead a group when nothing speaks against it.
    func preferredLeader(of group: RaftGroupID) -> NodeID? {
        cluster.partition(group)?.info.preferredLeader
    }

    /// Who leads a group, as its leader has told the controllers.
    func leader(of group: RaftGroupID) -> (node: NodeID, term: Term)? {
        leaders.leader(of: group).map { ($0.node, $0.term) }
    }
}
