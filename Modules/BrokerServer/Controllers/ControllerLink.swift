public import InterBroker
public import InterBrokerProtocol
public import Logging
public import Model
import Synchronization

/// This broker's way to the controllers: finds their leader and asks it things.
///
/// Holds no connection: every call is one of InterBroker's stateless functions. What it keeps is
/// an address book: which controller led when it was last heard of.
/// - Thread: any; an actor, for control work only.
public actor ControllerLink {
    /// Makes a communicator for a caller, whose calls may take a time of the link's or, if nil, of
    /// the settings; a test hands in another one.
    public typealias MakeCommunicator =
        @Sendable (InterBrokerCaller, Duration?) -> any InterBrokerCommunicator

    /// What the link needs to know.
    public struct Configuration: Sendable {
        /// This broker.
        public var broker: BrokerID
        /// The configured controllers: where to look for the others.
        public var controllers: [InterBrokerTarget]
        /// What clients and peers are told of this broker.
        public var registration: RegisterBrokerRequest
        /// Between two heartbeats; 1 s.
        public var heartbeatInterval: Duration = .seconds(1)
        /// How long new leaders are gathered before they are reported; 50 ms.
        public var reportDelay: Duration = .milliseconds(50)
        /// Between two attempts to find a controller leader; 200 ms.
        public var retryInterval: Duration = .milliseconds(200)
        /// How long a controller may be silent before another one is asked; 2 s, which is less
        /// than the time after which a silent broker counts as offline.
        public var patience: Duration = .seconds(2)
        /// Told of the cluster when this broker joins it, before anything else happens in it.
        public var adopt: @Sendable (ClusterID) async throws -> Void = { _ in }

        /// Describes a broker and its controllers.
        public init(
            broker: BrokerID,
            controllers: [InterBrokerTarget],
            registration: RegisterBrokerRequest
        ) {
            self.broker = broker
            self.controllers = controllers
            self.registration = registration
        }
    }

    let configuration: Configuration
    let logger: Logger
    let broker: BrokerReference
    private let state: BrokerStateFile
    private let makeCommunicator: MakeCommunicator
    private var leader: InterBrokerTarget?
    /// Whether this run of the process is registered with the current leader.
    var isRegistered = false
    private var isUnreachableLogged = false {
        didSet { unreachable.store(isUnreachableLogged, ordering: .relaxed) }
    }
    private let unreachable = Atomic(false)

    /// Makes a link; `run` does its regular work.
    public init(
        _ configuration: Configuration,
        broker: BrokerReference,
        state: BrokerStateFile,
        logger: Logger,
        makeCommunicator: @escaping MakeCommunicator
    ) {
        precondition(!configuration.controllers.isEmpty, "no controllers are configured")
        self.configuration = configuration
        self.broker = broker
        self.state = state
        self.logger = logger
        self.makeCommunicator = makeCommunicator
    }

    /// Everybody who may be a controller: those that the metadata named last, then the settings'.
    var controllers: [InterBrokerTarget] {
        let known = state.controllers
        return known + configuration.controllers.filter { !known.contains($0) }
    }

    /// Remembers who the controllers are, for the time when those of the settings are gone.
    func remember(_ controllers: [InterBrokerTarget]) async {
        guard !controllers.isEmpty, controllers != state.controllers else { return }
        do {
            try await state.save(controllers)
            LogLines.controllersKnown(controllers, logger)
        } catch {
            LogLines.controllersUnreachable("cannot store where they are: \(error)", logger)
        }
    }

    /// Whether no controller leader was found when last asked for; for the status line.
    public nonisolated var isAlone: Bool { unreachable.load(ordering: .relaxed) }

    private func communicator(within limit: Duration?) -> any InterBrokerCommunicator {
        makeCommunicator(
            InterBrokerCaller(
                role: .broker,
                id: configuration.broker.rawValue,
                clusterID: state.clusterID
            ),
            limit
        )
    }

    /// Asks the controller leader, following its successors until `attempts` are used up.
    ///
    /// A request is sent again only where the one before it was refused by a controller that does
    /// not lead, or never reached one: what might have taken effect is not repeated. A broker
    /// that belongs to no cluster yet registers first; everything else waits for that.
    ///
    /// - Parameter limit: the time for each attempt; that of the settings if nil.
    public func ask<Request: InterBrokerRequest>(
        _ request: Request,
        attempts: Int = 10,
        within limit: Duration? = nil
    ) async throws(InterBrokerError) -> Request.Response {
        var last = InterBrokerError.connectFailed(
            address: controllers.map(\.address).joined(separator: ", "),
            reason: "no controller leader answers"
        )
        for attempt in 0..<attempts {
            if attempt > 0 { try? await Task.sleep(for: configuration.retryInterval) }
            guard !Task.isCancelled else { break }
            guard state.clusterID != nil || request is RegisterBrokerRequest else {
                last = .refused(Refusal("this broker is not registered with a controller yet"))
                continue
            }
            guard let target = await findLeader() else { continue }
            do {
                let answer = try await communicator(within: limit).send(request, to: target)
                isUnreachableLogged = false
                return answer
            } catch {
                last = error
                // Whose caller gave up says nothing of the leader.
                if Task.isCancelled { throw error }
                guard await mayAskAgain(error, target) else { throw error }
            }
        }
        throw last
    }

    /// Notes what an error says of who was asked; whether the request may be sent to another one.
    private func mayAskAgain(_ error: InterBrokerError, _ asked: InterBrokerTarget) async -> Bool {
        switch error {
        case .refused(let refusal) where refusal.isNotControllerLeader:
            forgetLeader(asked)
            adopt(refusal.leaderID, refusal.leaderAddress)
            return true
        case .missingAddress, .connectFailed:
            forgetLeader(asked)
            return true
        case .deadlineExceeded, .connectionClosed, .badAnswer:
            forgetLeader(asked)
            return false
        case .badRequest, .refused, .cannotListen: return false
        }
    }

    /// Drops the leader that was believed in; the next call looks for one.
    ///
    /// Another call may have found its successor meanwhile, and that one stays.
    private func forgetLeader(_ asked: InterBrokerTarget) {
        guard leader == nil || leader == asked else { return }
        leader = nil
        isRegistered = false
    }

    private func adopt(_ id: ControllerID?, _ address: String?) {
        guard let id, let address, !address.isEmpty else { return }
        leader = InterBrokerTarget(id: id.rawValue, address: address)
    }

    /// The leader that is believed in, or the one that most recently led as the controllers say.
    private func findLeader() async -> InterBrokerTarget? {
        if let leader { return leader }
        let communicator = communicator(within: configuration.patience)
        let answers = await withTaskGroup(
            of: Result<ControllerDiscoverResponse, InterBrokerError>.self
        ) { group in
            for controller in controllers {
                group.addTask {
                    do throws(InterBrokerError) {
                        return .success(
                            try await communicator.send(ControllerDiscoverRequest(), to: controller)
                        )
                    } catch {
                        return .failure(error)
                    }
                }
            }
            var answers: [Result<ControllerDiscoverResponse, InterBrokerError>] = []
            for await answer in group {
                answers.append(answer)
                // A machine that is gone would be waited for longer than the others may wait.
                if case .success(let found) = answer, isLeader(found) { group.cancelAll() }
            }
            return answers
        }
        // Another call may have found it meanwhile.
        if let leader { return leader }
        let known = answers.compactMap { try? $0.get() }.filter { $0.leaderAddress != nil }
        if let newest = known.max(by: { $0.epoch < $1.epoch }) {
            adopt(newest.leaderID, newest.leaderAddress)
        }
        if leader == nil { logUnreachable(answers) }
        return leader
    }

    /// Whether a controller says that it leads itself, and none that is newer was heard of.
    private nonisolated func isLeader(_ answer: ControllerDiscoverResponse) -> Bool {
        answer.controllerID != nil && answer.controllerID == answer.leaderID
            && answer.epoch >= state.controllerEpoch
    }

    private func logUnreachable(_ answers: [Result<ControllerDiscoverResponse, InterBrokerError>]) {
        guard !isUnreachableLogged else { return }
        isUnreachableLogged = true
        var reason = "they know no leader"
        for answer in answers {
            if case .failure(let error) = answer { reason = error.description }
        }
        LogLines.controllersUnreachable(reason, logger)
    }

    /// The address of the leader, for a line in the log.
    var leaderAddress: String { leader?.address ?? "unknown" }

    /// Stores the cluster after the first registration; false if it is another one than ours.
    func belongs(to cluster: ClusterID) async -> Bool {
        if let ours = state.clusterID {
            if ours != cluster { LogLines.wrongCluster(ours: ours, theirs: cluster, logger) }
            return ours == cluster
        }
        do {
            try await configuration.adopt(cluster)
            try await state.save(cluster)
            return true
        } catch {
            LogLines.controllersUnreachable("cannot store the cluster id: \(error)", logger)
            return false
        }
    }
}
