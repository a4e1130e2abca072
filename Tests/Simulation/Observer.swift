import Model
import Raft
import RaftHost
import RaftLog

/// Sees what cores hand to their disk and to each other; spoils it, if that is the run's purpose.
final class Observer: RaftInterceptor {
    private unowned let simulation: Simulation
    private let place: Int
    private let life: UInt64

    /// Watches one process: the one that starts now on a machine.
    init(_ simulation: Simulation, of place: Int) {
        self.simulation = simulation
        self.place = place
        life = simulation.hosts[place].life + 1
    }

    func starting(from log: any LogStorage) -> TraceHook? {
        (log as? GroupLog).flatMap { simulation.traces?.starting(from: $0) }
    }

    func returned(_ answer: @escaping () -> Void) {
        simulation.answer(place, life: life, answer)
    }

    func leaving(_ message: inout Message, of replica: Replica) {
        simulation.sabotage?.spoil(leaving: &message, of: replica, in: simulation)
        guard message.type == .storageAppend else { return }
        simulation.checker.storing(replica.id, replica.nodeID, message)
    }

    func arriving(_ message: inout Message, at replica: Replica) {
        simulation.sabotage?.spoil(arriving: &message, at: replica)
    }

    func stored(_ message: Message, of replica: Replica) {
        simulation.traces?.stored(message, of: replica)
        simulation.checker.stored(replica.id, replica.nodeID, message)
    }
}
