import Model
import Raft
import RaftHost

/// Sees what cores hand to their disk and to each other; spoils it, if that is the run's purpose.
final class Observer: RaftInterceptor {
    private unowned let simulation: Simulation

    init(_ simulation: Simulation) { self.simulation = simulation }

    func leaving(_ message: inout Message, of replica: Replica) {
        simulation.sabotage?.spoil(leaving: &message, of: replica, in: simulation)
        guard message.type == .storageAppend else { return }
        simulation.checker.storing(replica.id, replica.nodeID, message)
    }

    func arriving(_ message: inout Message, at replica: Replica) {
        simulation.sabotage?.spoil(arriving: &message, at: replica)
    }

    func stored(_ message: Message, of replica: Replica) {
        simulation.checker.stored(replica.id, replica.nodeID, message)
    }
}
