import InterBroker
import InterBrokerProtocol
import Logging
import Metadata
import Model
import Raft
import Synchronization

@testable import Controller

/// A clock that stands still until a test moves it.
final class ManualClock: ControllerClock {
    private let time = Mutex(Duration.zero)

    var now: Duration { time.withLock { $0 } }
    var unixMilliseconds: Int64 { 1_700_000_000_000 }
    func advance(_ step: Duration) { time.withLock { $0 += step } }
    func sleep(for step: Duration) async throws {
        advance(step)
        try Task.checkCancellation()
        await Task.yield()
    }
}

/// A log of one controller: every command is committed at once, in order.
final class InstantLog: MetadataProposer {
    let store: MetadataStore
    private let state = Mutex(State())

    private struct State {
        var isLeading = true
        var listener: (@Sendable (ControllerEvent) async -> Void)?
        var commands: [MetadataCommand] = []
        /// The controllers' group; nil where a test is not about it.
        var members: ConfState?
        /// Members that do not answer, and have nothing.
        var silent: Set<NodeID> = []
        var own = NodeID(owner: 1, incarnation: 1)
        var changes: [[ConfChangeSingle]] = []
        var transfers: [NodeID] = []
    }

    init(store: MetadataStore = MetadataStore()) {
        self.store = store
    }

    var commands: [MetadataCommand] { state.withLock { $0.commands } }
    func setLeading(_ isLeading: Bool) { state.withLock { $0.isLeading = isLeading } }
    func connect(_ listener: @escaping @Sendable (ControllerEvent) async -> Void) {
        state.withLock { $0.listener = listener }
    }

    func propose(_ command: MetadataCommand) async throws(ProposalFailure) -> [Effect] {
        let (effects, listener) = try append(command)
        await listener?(.applied(effects))
        return effects
    }

    private func append(
        _ command: MetadataCommand
    ) throws(ProposalFailure) -> ([Effect], (@Sendable (ControllerEvent) async -> Void)?) {
        let result = state.withLock {
            state -> ([Effect], (@Sendable (ControllerEvent) async -> Void)?)? in
            guard state.isLeading else { return nil }
            state.commands.append(command)
            let effects = store.apply(command, command.jsonText, at: store.version + 1)
            return (effects, state.listener)
        }
        guard let result else { throw .notLeader }
        return result
    }

    // MARK: The controllers' group

    /// The group's members become these founders, of which the first leads.
    func form(_ ids: [Int32], silent: [Int32] = []) {
        let nodes = ids.map { NodeID(owner: $0, incarnation: 1) }
        state.withLock { state in
            state.members = ConfState(voters: nodes)
            state.silent = Set(silent.map { NodeID(owner: $0, incarnation: 1) })
        }
        setMembers()
    }

    func setSilent(_ nodes: [NodeID]) { state.withLock { $0.silent = Set(nodes) } }
    func setOwn(_ node: NodeID) { state.withLock { $0.own = node } }
    var members: ConfState { state.withLock { $0.members ?? ConfState() } }
    var changes: [[ConfChangeSingle]] { state.withLock { $0.changes } }
    var transfers: [NodeID] { state.withLock { $0.transfers } }

    private func setMembers() { store.setMembers(members) }

    func quorum() async -> QuorumView? {
        state.withLock { state in
            guard state.isLeading, let members = state.members else { return nil }
            let end = LogIndex(store.version.rawValue)
            return QuorumView(
                own: state.own,
                members: members,
                lastIndex: end,
                committed: end,
                peers: (members.voters + members.learners).map { node in
                    let isActive = !state.silent.contains(node)
                    return QuorumView.Peer(
                        node: node,
                        match: isActive ? end : 0,
                        isActive: isActive
                    )
                }
            )
        }
    }

    /// Done at once; a joint configuration is left as soon as it is reached.
    func changeMembers(_ changes: [ConfChangeSingle]) async {
        state.withLock { state in
            guard state.isLeading, var members = state.members else { return }
            state.changes.append(changes)
            for change in changes {
                members.voters.removeAll { $0 == change.node }
                members.learners.removeAll { $0 == change.node }
                if change.type == .addNode { members.voters.append(change.node) }
                if change.type == .addLearnerNode { members.learners.append(change.node) }
            }
            members.voters.sort()
            state.members = members
        }
        setMembers()
    }

    func transferLeadership(to node: NodeID) async {
        state.withLock { $0.transfers.append(node) }
    }
}

/// Brokers that do what they are told, unless they are down.
final class FakeBrokers: InterBrokerCommunicator {
    struct Broker {
        var isUp = true
        var directory: DirectoryID
        var groups: [RaftGroupID: NodeID] = [:]
        var kept: Set<RaftGroupID> = []
        var version: MetadataVersion = 0
        var leaders: [RaftGroupID: LeaderReport] = [:]
        /// Groups whose data are damaged.
        var suspects: Set<RaftGroupID> = []
        var starts = 0
        /// The orders to start something that were carried out.
        var started: [StartPartitionRaftGroupRequest] = []
        var pushes: [MetadataChangedRequest] = []
        /// Answers that get lost after the order was carried out.
        var lostAnswers = 0
    }

    private let state = Mutex<[Int32: Broker]>([:])
    private let groups = Mutex<[RaftGroupID: [NodeID]]>([:])
    /// What answers at an address when it is asked which controller it is.
    private let controllers = Mutex<[String: ControllerDiscoverResponse]>([:])

    init(_ ids: ClosedRange<Int32>) {
        for id in ids {
            state.withLock { $0[id] = Broker(directory: directory(id)) }
        }
    }

    subscript(_ id: Int32) -> Broker {
        state.withLock { $0[id] ?? Broker(directory: directory(id)) }
    }

    func change(_ id: Int32, _ body: (inout Broker) -> Void) {
        state.withLock { brokers in
            var broker = brokers[id] ?? Broker(directory: directory(id))
            body(&broker)
            brokers[id] = broker
        }
    }

    func hosted(_ id: Int32) -> [HostedReplica] {
        let broker = self[id]
        return broker.groups.map {
            HostedReplica(
                group: $0.key,
                node: $0.value,
                isSuspect: broker.suspects.contains($0.key)
            )
        }.sorted { $0.group < $1.group }
    }

    /// The digest of what a broker hosts and trusts.
    func digest(_ id: Int32) -> String {
        HostedDigest.text(of: hosted(id).filter { !$0.isSuspect }.map(ReplicaReference.init))
    }

    /// The members that a group has committed; nil if it has never changed them.
    func members(of group: RaftGroupID) -> [NodeID]? { groups.withLock { $0[group] } }

    func set(_ members: [NodeID], of group: RaftGroupID) {
        groups.withLock { $0[group] = members }
    }

    func answer(at address: String, _ answer: ControllerDiscoverResponse?) {
        controllers.withLock { $0[address] = answer }
    }

    func send<Request: InterBrokerRequest>(
        _ request: Request,
        to target: InterBrokerTarget,
        requestID: RequestID?
    ) async throws(InterBrokerError) -> Request.Response {
        await Task.yield()
        if request is ControllerDiscoverRequest {
            let answer = controllers.withLock { $0[target.address] }
            guard let response = answer as? Request.Response else {
                throw .connectFailed(address: target.address, reason: "connection refused")
            }
            return response
        }
        // One step under the lock: orders and pushes reach a broker at the same time.
        let outcome = state.withLock { brokers in
            brokers[target.id]?.take(request, target) ?? .failure(.missingAddress)
        }
        let answer = try outcome.get()
        guard let response = answer as? Request.Response else {
            throw .badAnswer(address: target.address, reason: "\(Request.type.name)")
        }
        return response
    }

    func send<Request: InterBrokerRequest>(
        batch requests: [Request],
        to target: InterBrokerTarget,
        requestIDs: [RequestID]?
    ) async -> [Result<Request.Response, InterBrokerError>] {
        var results: [Result<Request.Response, InterBrokerError>] = []
        for request in requests {
            do throws(InterBrokerError) {
                results.append(.success(try await send(request, to: target, requestID: nil)))
            } catch {
                results.append(.failure(error))
            }
        }
        return results
    }
}

extension FakeBrokers.Broker {
    /// Carries a request out; the answer may get lost nevertheless.
    fileprivate mutating func take(
        _ request: Any,
        _ target: InterBrokerTarget
    ) -> Result<Any, InterBrokerError> {
        guard isUp else {
            return .failure(
                .connectFailed(address: target.address, reason: "connection refused")
            )
        }
        do throws(Refusal) {
            let answer = try answer(request, target.id)
            guard lostAnswers > 0 else { return .success(answer) }
            lostAnswers -= 1
            return .failure(.connectionClosed(address: target.address))
        } catch {
            return .failure(.refused(error))
        }
    }

    fileprivate mutating func answer(_ request: Any, _ id: Int32) throws(Refusal) -> Any {
        switch request {
        case let start as StartPartitionRaftGroupRequest:
            guard start.directoryID == directory else { throw .wrongDirectory }
            guard let node = start.members?.map(\.node).filter({ $0.owner == id }).max() else {
                throw Refusal("wrong broker ID")
            }
            if let running = groups[start.raftGroupID], running != node { throw .alreadyRunning }
            starts += 1
            started.append(start)
            groups[start.raftGroupID] = node
            return StartPartitionRaftGroupResponse()
        case let stop as StopPartitionRaftGroupRequest:
            let running = groups[stop.raftGroupID]
            if let node = stop.nodeID, let running, node != running {
                return StopPartitionRaftGroupResponse(message: "not running")
            }
            if groups.removeValue(forKey: stop.raftGroupID) != nil, !stop.purge {
                kept.insert(stop.raftGroupID)
            }
            suspects.remove(stop.raftGroupID)
            return StopPartitionRaftGroupResponse()
        case let push as MetadataChangedRequest:
            pushes.append(push)
            for leader in push.leaders { leaders[leader.group] = leader }
            // A gap is closed by a pull, which is not played here: it ends at the same version.
            version = max(version, push.version)
            return MetadataChangedResponse(metadataVersion: version)
        default: throw Refusal("not played here")
        }
    }
}

func directory(_ id: Int32) -> DirectoryID {
    DirectoryID(UniqueID(high: 1, low: UInt64(id)))
}

func session(_ number: UInt64) -> SessionID { SessionID(UniqueID(high: 2, low: number)) }

/// Keeps log messages for a test to look at.
final class LogCapture: Sendable {
    private let lines = Mutex<[String]>([])

    var messages: [String] { lines.withLock { $0 } }

    func logger() -> Logger {
        var logger = Logger(label: "test") { _ in Handler(capture: self) }
        logger.logLevel = .trace
        return logger
    }

    private struct Handler: LogHandler {
        let capture: LogCapture
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) {
            capture.lines.withLock { $0.append("\(event.message)") }
        }
    }
}
