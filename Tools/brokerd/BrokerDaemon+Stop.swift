import BrokerServer
import Daemon
import InterBrokerProtocol
import NIOCore
import RaftHost
import Synchronization

// What a stop waits for, and what it does for those who stay.
extension BrokerDaemon {
    /// How long clients are still answered when the leaders have moved: they learn here, and not
    /// from a connection that breaks, where to go on.
    private static let farewell = Duration.milliseconds(500)

    /// Which partitions would lose their quorum with this broker.
    ///
    /// It knows best who is away; only the controllers know who else is about to go.
    func stopObstacle() async -> String? {
        guard let parts = parts.withLock({ $0 }) else { return nil }
        let broker = parts.broker
        let asked = try? await broker.eventLoop.submit { broker.value.stopObstacle }.get()
        let obstacle = asked ?? nil
        let answer = await parts.link.mayStop(isHindered: obstacle != nil, within: .seconds(1))
        let isUnsure = stopPatience.waits(isAnswered: answer != nil)
        switch answer?.verdict {
        case .everybodyStops: return nil
        case .wait where obstacle == nil: return answer?.reason
        case .wait, .granted: return obstacle
        case nil:
            let matters = try? await broker.eventLoop.submit { broker.value.isNeededByOthers }.get()
            guard obstacle == nil, isUnsure, matters ?? false else { return obstacle }
            return "no controller leader answers, and others may be about to stop"
        }
    }

    /// Lets other replicas take over before this one goes; waits a short while for them.
    func moveLeadersAway() async {
        guard let parts = parts.withLock({ $0 }) else { return }
        let broker = parts.broker
        let moving = try? await broker.eventLoop.submit {
            broker.value.manager.transferLeaderships()
        }.get()
        guard let moving, moving > 0 else { return }
        for _ in 0..<60 {
            try? await Task.sleep(for: .milliseconds(50))
            let isMoved = try? await broker.eventLoop.submit {
                broker.value.manager.movableLeaderships == 0 && !broker.value.isElecting
            }.get()
            if isMoved ?? true { break }
        }
        let hasClients = try? await broker.eventLoop.submit { broker.value.hasClients }.get()
        if hasClients ?? false { try? await Task.sleep(for: Self.farewell) }
    }

    /// Says goodbye, so that no controller has to miss this broker first.
    func leave() async {
        guard let parts = parts.withLock({ $0 }) else { return }
        await parts.link.leave(within: .seconds(2))
    }
}
