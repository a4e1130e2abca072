public import Logging
public import Metadata
public import Model
public import Raft
public import RaftHost
public import RaftLog
import RecordBatch

/// What the state machine tells the controller.
public enum ControllerEvent: Equatable, Sendable {
    /// A command was applied.
    case applied([Effect])
    /// Leadership changed.
    case leadership(ControllerLeadership)
}

/// The metadata group's log as `ClusterMetadata`: one command in each record batch.
///
/// - Thread: the event loop.
/// - Invariant: after an entry that this release cannot read nothing is applied any more; it must
///   never be skipped.
public final class MetadataStateMachine: StateMachine {
    /// Whole payloads are needed: the commands are inside.
    public var wantsPayloadAtRecovery: Bool { true }

    /// How many applied entries' effects are kept for those who proposed them.
    static let effectsMax = 4096

    private let store: MetadataStore
    private let events: (ControllerEvent) -> Void
    private let failed: (String) -> Void
    private let logger: Logger
    private var isFailed = false
    private var effects: [(index: LogIndex, effects: [Effect])] = []

    /// Makes a state machine that writes into `store`.
    ///
    /// `failed` is called once, when an entry cannot be read: the daemon must then end.
    public init(
        store: MetadataStore,
        logger: Logger,
        events: @escaping (ControllerEvent) -> Void,
        failed: @escaping (String) -> Void
    ) {
        self.store = store
        self.events = events
        self.failed = failed
        self.logger = logger
    }

    /// Applies an entry that was found on disk.
    public func recover(_ row: EntryRow, _ bytes: [UInt8]) { apply(row.index, row.type, bytes) }

    /// Nothing happens before an entry is committed.
    public func appended(_ row: EntryRow, _ payload: Payload) {}

    /// Nothing has happened that would have to be undone.
    public func truncated(from index: LogIndex) {}

    /// Applies a committed entry.
    public func apply(_ row: EntryRow, _ payload: Payload) {
        apply(row.index, row.type, payload.copyBytes())
    }

    func apply(_ index: LogIndex, _ type: EntryType, _ bytes: [UInt8]) {
        // A new leader's entry without content, and changes of the group's members.
        guard !isFailed, type == .normal, !bytes.isEmpty else { return }
        do throws(MetadataError) {
            let (command, text) = try MetadataRecord.read(bytes)
            let version = MetadataVersion(index.rawValue)
            let effects = store.apply(command, text, at: version)
            remember(effects, at: index)
            events(.applied(effects))
        } catch {
            fail(error, at: index)
        }
    }

    private func fail(_ error: MetadataError, at index: LogIndex) {
        isFailed = true
        LogLines.metadataUnreadable(error.description, at: index, logger)
        failed(error.description)
    }

    private func remember(_ effects: [Effect], at index: LogIndex) {
        if self.effects.count >= Self.effectsMax {
            self.effects.removeFirst(Self.effectsMax / 2)
        }
        self.effects.append((index, effects))
    }

    /// What the entry at `index` changed, if it was applied lately.
    func effects(at index: LogIndex) -> [Effect]? {
        // The one that is asked for is among the last ones.
        effects.last { $0.index == index }?.effects
    }

    /// Learns who leads.
    public func leadershipChanged(_ leadership: Leadership) {
        let view = ControllerLeadership(
            leader: leadership.leader == .none ? nil : ControllerID(leadership.leader.owner),
            epoch: ControllerEpoch(leadership.term.rawValue),
            isConfirmed: leadership.isConfirmed && !isFailed
        )
        store.setLeadership(view)
        events(.leadership(view))
    }

    /// Learns who the members of the controllers' group are.
    public func configurationChanged(_ configuration: ConfState) { store.setMembers(configuration) }

    /// The metadata as JSON.
    public func takeSnapshot() -> [UInt8]? { isFailed ? nil : store.metadata.json }

    /// Takes the metadata from JSON.
    public func restore(_ snapshot: [UInt8], index: LogIndex) {
        guard !isFailed else { return }
        do throws(MetadataError) {
            store.replace(by: try ClusterMetadata(json: snapshot))
        } catch {
            fail(error, at: index)
        }
    }
}

/// A command as one Kafka record batch with one record, whose value is the command's JSON.
public enum MetadataRecord {
    /// The batch of a command.
    public static func write(_ command: MetadataCommand, unixMilliseconds: Int64) -> [UInt8] {
        RecordBatchBuilder.single(key: nil, value: command.json, timestamp: unixMilliseconds)
    }

    /// The command in a batch, and its JSON text.
    ///
    /// - Throws: `malformed` if the bytes are not such a batch, or what the command throws.
    public static func read(
        _ batch: [UInt8]
    ) throws(MetadataError) -> (command: MetadataCommand, text: String) {
        guard let header = RecordBatchHeader(batch), header.recordCount == 1,
            header.attributes.codec == 0, header.batchSize == batch.count
        else { throw .malformed("not a record batch of one record") }
        var records = RecordIterator(Array(batch[RecordBatchHeader.size...]), count: 1)
        guard let value = records.next()?.value else { throw .malformed("no record in the batch") }
        let command = try MetadataCommand(json: value)
        return (command, String(decoding: value, as: UTF8.self))
    }
}
