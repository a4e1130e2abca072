import Model
import Raft
import RaftHost
import RaftLog
import RaftModel

/// Who holds a run to what Raft promises.
public enum Watch: String, CaseIterable, Sendable {
    /// The checker, which looks at the replicas themselves.
    case checker
    /// The model, which sees nothing but their traces.
    case model
    /// Both of them.
    case both
}

/// What the replicas' cores trace, with what only the simulation knows: how their disks are.
///
/// The steps come from the cores, in etcd's schema. Two kinds of lines are added, with the tag
/// `simulator`: `Stored` when a write has returned, and `Recovered` before a replica starts.
/// Everything goes to the group's model and to whoever reads along.
final class GroupTraces {
    /// How many lines there were.
    private(set) var lineCount = 0
    private var models: [RaftGroupID: RaftModel] = [:]
    private let hasModels: Bool
    private let reader: ((UInt64, String) -> Void)?
    /// Told of what a model does not allow.
    private let failed: (String) -> Void

    init(
        hasModels: Bool,
        reader: ((UInt64, String) -> Void)?,
        failed: @escaping (String) -> Void
    ) {
        self.hasModels = hasModels
        self.reader = reader
        self.failed = failed
    }

    /// Takes the next line of a group.
    func take(_ line: String, of group: RaftGroupID) {
        lineCount += 1
        reader?(group.rawValue, line)
        guard hasModels else { return }
        models[group, default: RaftModel()].read(line)
        guard let violation = models[group]?.violation else { return }
        failed("\(violation.rule.rawValue): group \(group), \(violation.reason)\n  \(violation)")
    }

    /// A replica starts from what its log holds: what it traces comes here.
    func starting(from log: GroupLog) -> TraceHook {
        let group = log.identity.group
        take(Self.recovered(log), of: group)
        return { [unowned self] line in take(line(), of: group) }
    }

    /// A write of a replica has returned.
    func stored(_ message: Message, of replica: Replica) {
        let snapshot = message.snapshot?.metadata
        let line = DiskLine.stored(
            node: replica.nodeID.rawValue,
            state: (message.term.rawValue, message.vote.rawValue, message.commit.rawValue),
            snapshot: (snapshot?.index.rawValue ?? 0, snapshot?.term.rawValue ?? 0),
            entries: message.entries.lazy.map { ($0.index.rawValue, $0.term.rawValue) }
        )
        take(line, of: replica.id)
    }

    private static func recovered(_ log: GroupLog) -> String {
        let start: LogIndex = log.firstIndex - 1
        let state = log.hardState
        func term(_ index: UInt64) -> UInt64 {
            (try? log.term(at: LogIndex(index)))?.rawValue ?? 0
        }
        return DiskLine.recovered(
            node: log.identity.node.rawValue,
            state: (state.term.rawValue, state.vote.rawValue, state.commit.rawValue),
            snapshot: (start.rawValue, term(start.rawValue)),
            entries: (start.rawValue..<log.lastIndex.rawValue).lazy.map { ($0 + 1, term($0 + 1)) }
        )
    }
}
