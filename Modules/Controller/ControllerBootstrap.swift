public import InterBroker
public import InterBrokerProtocol
public import Logging
public import Model

/// Why a controller with an empty directory must not start.
public struct BootstrapRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    /// A sentence for the operator, with the command that helps.
    public let description: String

    init(_ text: String) { description = text }
}

/// As what a controller whose directory is empty begins.
public enum ControllerStart: Equatable, Sendable {
    /// As one of those with which the cluster began: it knows the first members.
    case founder(ClusterID)
    /// As a replica that was added since: the group's leader fills it.
    case replica(ClusterID, NodeID, members: [ControllerPlace])
    /// Not yet: a person has to say that it belongs to the cluster.
    case notAdded
}

/// Decides with which cluster a controller whose directory is empty begins, and as what.
///
/// A new cluster begins only when every configured controller has said that it belongs to none;
/// the one with the lowest number then draws the cluster's identity and the others learn it.
/// Whoever comes later is given a place by command, which names its data directory. A controller
/// that has held entries before and comes back with nothing must not take part as if nothing were
/// missing: it would forget its votes and entries that it has acknowledged.
public struct ControllerBootstrap: Sendable {
    /// What is to be done next.
    enum Decision: Equatable {
        case create
        case join(ClusterID)
        case take(ControllerPlace, of: ClusterID, members: [ControllerPlace])
        case wait(String)
        /// Wait until a command has given this directory a place.
        case askFor(String)
        case refuse(String)
    }

    /// What a controller said, or nil if it did not answer.
    struct Answer: Sendable {
        let id: ControllerID
        let answer: ControllerDiscoverResponse?
    }

    private let own: InterBrokerTarget
    private let directory: DirectoryID
    private let others: [InterBrokerTarget]
    private let communicator: any InterBrokerCommunicator
    private let clock: any ControllerClock
    private let logger: Logger

    /// The time between two rounds of questions; 200 ms.
    static let interval = Duration.milliseconds(200)

    /// Describes a controller, `own`, among all configured ones.
    ///
    /// - Parameter directory: the identity of its data directory.
    public init(
        own: InterBrokerTarget,
        directory: DirectoryID,
        controllers: [InterBrokerTarget],
        communicator: any InterBrokerCommunicator,
        clock: any ControllerClock,
        logger: Logger
    ) {
        self.own = own
        self.directory = directory
        self.others = controllers.filter { $0.id != own.id }
        self.communicator = communicator
        self.clock = clock
        self.logger = logger
    }

    /// Asks the other controllers until it is clear as what this one begins.
    ///
    /// - Parameter known: the cluster that stands in the directory already, if this controller
    ///   ended between writing that and creating its group.
    /// - Parameter waitsForPlace: whether to go on asking while only a command can help, instead
    ///   of returning `notAdded`.
    /// - Throws: `BootstrapRefusal` if it must not begin, `CancellationError` if it must stop.
    public func run(
        known: ClusterID? = nil,
        waitsForPlace: Bool = true,
        random: inout some RandomNumberGenerator
    ) async throws -> ControllerStart {
        var reason = ""
        while true {
            try Task.checkCancellation()
            switch Self.decide(own, directory, await ask()) {
            case .create:
                let cluster = known ?? ClusterID(using: &random)
                LogLines.clusterCreated(cluster, logger)
                return .founder(cluster)
            case .join(let cluster):
                try check(known, cluster)
                LogLines.clusterJoined(cluster, logger)
                return .founder(cluster)
            case .take(let place, of: let cluster, let members):
                try check(known, cluster)
                LogLines.clusterJoined(cluster, logger)
                return .replica(cluster, place.node, members: members)
            case .refuse(let text): throw BootstrapRefusal(text)
            case .wait(let text):
                if text != reason { LogLines.bootstrapWaits(text, logger) }
                reason = text
            case .askFor(let text):
                guard waitsForPlace else { return .notAdded }
                if text != reason { LogLines.waitsForPlace(text, logger) }
                reason = text
            }
            try await clock.sleep(for: Self.interval)
        }
    }

    private func check(_ known: ClusterID?, _ cluster: ClusterID) throws(BootstrapRefusal) {
        guard known == nil || known == cluster else {
            throw BootstrapRefusal(
                "the other controllers belong to cluster \(cluster), this one to another"
            )
        }
    }

    private func ask() async -> [Answer] {
        let communicator = communicator
        return await withTaskGroup(of: Answer.self) { group in
            for target in others {
                group.addTask {
                    let answer = try? await communicator.send(
                        ControllerDiscoverRequest(),
                        to: target
                    )
                    return Answer(id: ControllerID(target.id), answer: answer)
                }
            }
            var answers: [Answer] = []
            for await answer in group { answers.append(answer) }
            return answers.sorted { $0.id < $1.id }
        }
    }

    static func decide(
        _ own: InterBrokerTarget,
        _ directory: DirectoryID,
        _ answers: [Answer]
    ) -> Decision {
        let heard = answers.compactMap(\.answer)
        let clusters = Set(heard.compactMap(\.clusterID)).sorted()
        if clusters.count > 1 {
            return .refuse(
                """
                the configured controllers belong to different clusters: \
                \(clusters.map(\.description).joined(separator: ", "))
                """
            )
        }
        let silent = answers.filter { $0.answer == nil }.map(\.id.description)
        let absence = Decision.wait("no answer from controller \(silent.joined(separator: ", "))")
        if let cluster = clusters.first {
            let members = heard.filter { $0.clusterID == cluster }
            return decide(own, directory, cluster, members)
                ?? (silent.isEmpty ? decideAsFounder(own, cluster, answers) : absence)
        }
        guard silent.isEmpty else { return absence }
        let lowest = answers.map(\.id).min()
        guard let lowest, lowest.rawValue < own.id else { return .create }
        return .wait("controller \(lowest) draws the cluster's identity")
    }

    /// The place of this directory in a cluster, or what to ask for; nil for a founder.
    private static func decide(
        _ own: InterBrokerTarget,
        _ directory: DirectoryID,
        _ cluster: ClusterID,
        _ members: [ControllerDiscoverResponse]
    ) -> Decision? {
        // A place that was given stays given, whoever tells of it: no other directory has it.
        let places = members.flatMap(\.replicas).filter {
            $0.node.owner == own.id && $0.directoryID == directory && !$0.isLeaving
        }
        if let place = places.max(by: { $0.node < $1.node }) {
            let told = members.first { $0.replicas.contains(place) }
            return .take(place, of: cluster, members: told?.replicas ?? [])
        }
        let newest = members.max { $0.epoch < $1.epoch }
        let former = newest?.replicas.filter { $0.node.owner == own.id && !$0.isLeaving } ?? []
        let hadEntries = members.contains {
            $0.joined?.contains(ControllerID(own.id)) == true
        }
        if !hadEntries, former.contains(where: { $0.directoryID == nil }) { return nil }
        let name = "\(own.id)@\(own.address)"
        guard !former.isEmpty else {
            return .askFor(
                """
                controller \(own.id) is no member of cluster \(cluster): to add it, run \
                martlet cluster add-controller \(name)
                """
            )
        }
        return .askFor(
            """
            controller \(own.id) has been part of cluster \(cluster) and its data directory is \
            empty now: if the data is lost, run martlet cluster replace-controller \(name)
            """
        )
    }

    private static func decideAsFounder(
        _ own: InterBrokerTarget,
        _ cluster: ClusterID,
        _ answers: [Answer]
    ) -> Decision {
        // Nobody can have voted before the first term, this controller neither.
        let newest = answers.compactMap(\.answer?.epoch).max() ?? 0
        if newest == 0 { return .join(cluster) }
        let hasLeader = answers.contains {
            $0.answer?.leaderID == $0.id && $0.answer?.epoch == newest
        }
        guard hasLeader else { return .wait("the other controllers have no leader yet") }
        return .join(cluster)
    }
}
