import InterBroker
import InterBrokerProtocol
import Metadata
import Model
import RecordBatch
import Testing

@testable import Controller

/// A batch around any text.
enum MetadataRecordProbe {
    static func batch(_ text: String) -> [UInt8] {
        RecordBatchBuilder.single(key: nil, value: Array(text.utf8), timestamp: 0)
    }
}

private func answer(
    _ id: Int32,
    cluster: ClusterID? = nil,
    leader: Int32? = nil,
    epoch: ControllerEpoch = 0,
    joined: [ControllerID]? = nil
) -> (id: ControllerID, answer: ControllerDiscoverResponse?) {
    (
        ControllerID(id),
        ControllerDiscoverResponse(
            controllerID: ControllerID(id),
            clusterID: cluster,
            leaderID: leader.map { ControllerID($0) },
            leaderAddress: leader.map { "c\($0):9190" },
            epoch: epoch,
            joined: joined
        )
    )
}

private let one = ClusterID(UniqueID(high: 1, low: 1))
private let two = ClusterID(UniqueID(high: 2, low: 2))

@Suite struct BootstrapTests {
    private typealias Bootstrap = ControllerBootstrap

    @Test func `a lone controller creates its cluster`() {
        #expect(Bootstrap.decide(1, []) == .create)
    }

    @Test func `the lowest number creates, once everybody says no cluster`() {
        #expect(Bootstrap.decide(1, [answer(2), answer(3)]) == .create)
        #expect(
            Bootstrap.decide(2, [answer(1), answer(3)])
                == .wait("controller 1 draws the cluster's identity")
        )
        #expect(
            Bootstrap.decide(1, [answer(2), (id: 3, answer: nil)])
                == .wait("no answer from controller 3")
        )
    }

    @Test func `the others learn the identity while nobody can have voted`() {
        #expect(
            Bootstrap.decide(2, [answer(1, cluster: one, joined: []), answer(3)]) == .join(one)
        )
    }

    @Test func `a late one joins only if the leader knows that it never held anything`() {
        let follower = answer(3, cluster: one, leader: 1, epoch: 4, joined: [])
        let leader = answer(1, cluster: one, leader: 1, epoch: 4, joined: [1, 3])
        #expect(Bootstrap.decide(2, [leader, follower]) == .join(one))
        let candidate = answer(1, cluster: one, epoch: 4, joined: [1, 3])
        #expect(
            Bootstrap.decide(2, [candidate, answer(3, cluster: one, epoch: 4, joined: [])])
                == .wait("the other controllers have no leader yet")
        )
    }

    @Test func `a controller that lost its disk is refused, and the command is named`() {
        let leader = answer(1, cluster: one, leader: 1, epoch: 4, joined: [1, 2, 3])
        for answers in [
            [leader, answer(3, cluster: one, epoch: 4)], [leader, (id: 3, answer: nil)],
        ] {
            guard case .refuse(let text) = Bootstrap.decide(2, answers) else {
                Issue.record("a controller without its data took part")
                continue
            }
            #expect(text.contains("martlet cluster replace-controller 2"))
        }
    }

    @Test func `controllers of two clusters are refused`() {
        guard
            case .refuse(let text) = Bootstrap.decide(
                3,
                [answer(1, cluster: one), answer(2, cluster: two)]
            )
        else {
            Issue.record("two clusters were mixed")
            return
        }
        #expect(text.contains("different clusters"))
    }

    @Test func `a controller waits until all have answered, and then begins`() async throws {
        let clock = ManualClock()
        let bootstrap = ControllerBootstrap(
            id: 1,
            controllers: (1...3).map { InterBrokerTarget(id: Int32($0), address: "c\($0)") },
            communicator: Silent(clock: clock),
            clock: clock,
            logger: LogCapture().logger()
        )
        var random = Drawn(state: 1)
        let cluster = try await bootstrap.run(random: &random)
        var again = Drawn(state: 1)
        #expect(cluster == ClusterID(using: &again))
        #expect(clock.now >= .seconds(2))
    }
}

/// Controllers of which one answers only after two seconds.
private struct Silent: InterBrokerCommunicator {
    let clock: ManualClock

    func send<Request: InterBrokerRequest>(
        _ request: Request,
        to target: InterBrokerTarget,
        requestID: RequestID?
    ) async throws(InterBrokerError) -> Request.Response {
        let response = ControllerDiscoverResponse(controllerID: ControllerID(target.id))
        guard target.id != 3 || clock.now >= .seconds(2),
            let answer = response as? Request.Response
        else { throw .deadlineExceeded(address: target.address) }
        return answer
    }

    func send<Request: InterBrokerRequest>(
        batch requests: [Request],
        to target: InterBrokerTarget,
        requestIDs: [RequestID]?
    ) async -> [Result<Request.Response, InterBrokerError>] { [] }
}
