public import InterBroker
import InterBrokerProtocol
public import Logging
public import Model

/// Why a controller with an empty directory must not start.
public struct BootstrapRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    /// A sentence for the operator, with the command that helps.
    public let description: String

    init(_ text: String) { description = text }
}

/// Decides with which cluster a controller whose directory is empty begins.
///
/// A new cluster begins only when every configured controller has said that it belongs to none;
/// the one with the lowest number then draws the cluster's identity and the others learn it. A
/// controller that has held entries before and comes back with nothing must not take part as if
/// it were new: it would forget its votes and entries that it has acknowledged.
public struct ControllerBootstrap: Sendable {
    /// What is to be done next.
    enum Decision: Equatable {
        case create
        case join(ClusterID)
        case wait(String)
        case refuse(String)
    }

    /// What a controller said, or nil if it did not answer.
    typealias Answers = [(id: ControllerID, answer: ControllerDiscoverResponse?)]

    private let id: ControllerID
    private let others: [InterBrokerTarget]
    private let communicator: any InterBrokerCommunicator
    private let clock: any ControllerClock
    private let logger: Logger

    /// The time between two rounds of questions; 200 ms.
    static let interval = Duration.milliseconds(200)

    /// Describes a controller among all configured ones.
    public init(
        id: ControllerID,
        controllers: [InterBrokerTarget],
        communicator: any InterBrokerCommunicator,
        clock: any ControllerClock,
        logger: Logger
    ) {
        self.id = id
        self.others = controllers.filter { $0.id != id.rawValue }
        self.communicator = communicator
        self.clock = clock
        self.logger = logger
    }

    /// Asks the other controllers until it is clear which cluster this one begins with.
    ///
    /// - Parameter known: the cluster that stands in the directory already, if this controller
    ///   ended between writing that and creating its group.
    /// - Throws: `BootstrapRefusal` if it must not begin, `CancellationError` if it must stop.
    public func run(
        known: ClusterID? = nil,
        random: inout some RandomNumberGenerator
    ) async throws -> ClusterID {
        var reason = ""
        while true {
            try Task.checkCancellation()
            switch Self.decide(id, await ask()) {
            case .create:
                let cluster = known ?? ClusterID(using: &random)
                LogLines.clusterCreated(cluster, logger)
                return cluster
            case .join(let cluster):
                guard known == nil || known == cluster else {
                    throw BootstrapRefusal(
                        "the other controllers belong to cluster \(cluster), this one to another"
                    )
                }
                LogLines.clusterJoined(cluster, logger)
                return cluster
            case .refuse(let text): throw BootstrapRefusal(text)
            case .wait(let text):
                if text != reason { LogLines.bootstrapWaits(text, logger) }
                reason = text
                try await clock.sleep(for: Self.interval)
            }
        }
    }

    private func ask() async -> Answers {
        let communicator = communicator
        return await withTaskGroup(of: (ControllerID, ControllerDiscoverResponse?).self) { group in
            for target in others {
                group.addTask {
                    let id = ControllerID(target.id)
                    do {
                        let request = ControllerDiscoverRequest()
                        return (id, try await communicator.send(request, to: target))
                    } catch {
                        return (id, nil)
                    }
                }
            }
            var answers: Answers = []
            for await answer in group { answers.append((id: answer.0, answer: answer.1)) }
            return answers.sorted { $0.id < $1.id }
        }
    }

    static func decide(_ own: ControllerID, _ answers: Answers) -> Decision {
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
        if heard.contains(where: { $0.joined?.contains(own) == true }) { return refuseLost(own) }
        let silent = answers.filter { $0.answer == nil }.map(\.id.description)
        guard silent.isEmpty else {
            return .wait("no answer from controller \(silent.joined(separator: ", "))")
        }
        guard let cluster = clusters.first else {
            let lowest = answers.map(\.id).min() ?? own
            return own < lowest || answers.isEmpty
                ? .create : .wait("controller \(lowest) draws the cluster's identity")
        }
        // Nobody can have voted before the first term, this controller neither.
        let newest = heard.map(\.epoch).max() ?? 0
        if newest == 0 { return .join(cluster) }
        let leader = answers.first { id, answer in
            answer?.leaderID == id && answer?.epoch == newest
        }
        guard leader != nil else { return .wait("the other controllers have no leader yet") }
        return .join(cluster)
    }

    private static func refuseLost(_ own: ControllerID) -> Decision {
        .refuse(
            """
            controller \(own) has been part of this cluster and its data directory is empty now; \
            if the data is lost, replace it by a new one: \
            martlet cluster replace-controller \(own)
            """
        )
    }
}
