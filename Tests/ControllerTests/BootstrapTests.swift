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
    joined: [ControllerID]? = nil,
    places: [ControllerPlace]? = nil
) -> ControllerBootstrap.Answer {
    ControllerBootstrap.Answer(
        id: ControllerID(id),
        answer: ControllerDiscoverResponse(
            controllerID: ControllerID(id),
            clusterID: cluster,
            leaderID: leader.map { ControllerID($0) },
            leaderAddress: leader.map { "c\($0):9190" },
            epoch: epoch,
            joined: joined,
            replicas: cluster == nil ? [] : places ?? founders
        )
    )
}

private func silence(_ id: Int32) -> ControllerBootstrap.Answer {
    ControllerBootstrap.Answer(id: ControllerID(id), answer: nil)
}

private func place(
    _ id: Int32,
    _ incarnation: UInt32 = 1,
    directory: DirectoryID? = nil
) -> ControllerPlace {
    ControllerPlace(
        node: NodeID(owner: id, incarnation: incarnation),
        directoryID: directory,
        address: "c\(id):9190"
    )
}

/// What everybody says of a cluster that began with three controllers.
private let founders = (1...3).map { place($0) }

private let one = ClusterID(UniqueID(high: 1, low: 1))
private let two = ClusterID(UniqueID(high: 2, low: 2))

@Suite struct BootstrapTests {
    /// Decides for controller `id` with the directory of the same number.
    private func decide(
        _ id: Int32,
        _ answers: [ControllerBootstrap.Answer]
    ) -> ControllerBootstrap.Decision {
        ControllerBootstrap.decide(
            InterBrokerTarget(id: id, address: "c\(id):9190"),
            directory(id),
            answers
        )
    }

    @Test func `a lone controller creates its cluster`() {
        #expect(decide(1, []) == .create)
    }

    @Test func `the lowest number creates, once everybody says no cluster`() {
        #expect(decide(1, [answer(2), answer(3)]) == .create)
        #expect(
            decide(2, [answer(1), answer(3)])
                == .wait("controller 1 draws the cluster's identity")
        )
        #expect(
            decide(1, [answer(2), silence(3)])
                == .wait("no answer from controller 3")
        )
    }

    @Test func `the others learn the identity while nobody can have voted`() {
        #expect(
            decide(2, [answer(1, cluster: one, joined: []), answer(3)]) == .join(one)
        )
    }

    @Test func `a late one joins only if the leader knows that it never held anything`() {
        let follower = answer(3, cluster: one, leader: 1, epoch: 4, joined: [])
        let leader = answer(1, cluster: one, leader: 1, epoch: 4, joined: [1, 3])
        #expect(decide(2, [leader, follower]) == .join(one))
        let candidate = answer(1, cluster: one, epoch: 4, joined: [1, 3])
        #expect(
            decide(2, [candidate, answer(3, cluster: one, epoch: 4, joined: [])])
                == .wait("the other controllers have no leader yet")
        )
    }

    @Test func `a controller that lost its disk waits, and the command is named`() {
        let leader = answer(1, cluster: one, leader: 1, epoch: 4, joined: [1, 2, 3])
        for answers in [
            [leader, answer(3, cluster: one, epoch: 4)], [leader, silence(3)],
        ] {
            guard case .askFor(let text) = decide(2, answers) else {
                Issue.record("a controller without its data took part")
                continue
            }
            #expect(text.contains("martlet cluster replace-controller 2@c2:9190"))
        }
    }

    @Test func `a new controller waits until it is added, even while another is silent`() {
        let alone = answer(
            1,
            cluster: one,
            leader: 1,
            epoch: 4,
            joined: [1],
            places: [place(1)]
        )
        guard case .askFor(let text) = decide(2, [alone, silence(3)]) else {
            Issue.record("a controller that nobody has added took part")
            return
        }
        #expect(text.contains("martlet cluster add-controller 2@c2:9190"))
        // One that was removed, and has never been there, are asked for in the same way.
        let left = answer(
            1,
            cluster: one,
            leader: 1,
            epoch: 4,
            joined: [1, 2, 3],
            places: [place(1), place(3)]
        )
        guard case .askFor(let again) = decide(2, [left, silence(3)]) else {
            Issue.record("a controller that was removed took part")
            return
        }
        #expect(again.contains("martlet cluster add-controller 2@c2:9190"))
    }

    @Test func `a directory that was given a place takes it, whoever tells of it`() {
        let places = [place(1), place(2, 2, directory: directory(2)), place(3)]
        let follower = answer(3, cluster: one, epoch: 4, joined: [1, 2, 3], places: places)
        #expect(
            decide(2, [silence(1), follower])
                == .take(places[1], of: one, members: places)
        )
        let other = [place(1), place(2, 2, directory: directory(9)), place(3)]
        let leader = answer(1, cluster: one, leader: 1, epoch: 4, joined: [1, 3], places: other)
        guard case .askFor(let text) = decide(2, [leader, silence(3)]) else {
            Issue.record("a directory took another one's place")
            return
        }
        #expect(text.contains("replace-controller 2"))
    }

    @Test func `controllers of two clusters are refused`() {
        guard
            case .refuse(let text) = decide(
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
            own: InterBrokerTarget(id: 1, address: "c1"),
            directory: directory(1),
            controllers: (1...3).map { InterBrokerTarget(id: Int32($0), address: "c\($0)") },
            communicator: Silent(clock: clock),
            clock: clock,
            logger: LogCapture().logger()
        )
        var random = Drawn(state: 1)
        let start = try await bootstrap.run(random: &random)
        var again = Drawn(state: 1)
        #expect(start == .founder(ClusterID(using: &again)))
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
