package import Raft

/// Stands between the cores and everything else: a simulation's eyes, and its means of sabotage.
///
/// - Thread: the event loop of the groups.
package protocol RaftInterceptor: AnyObject {
    /// Learns that a core begins with what its group's log holds; gives what takes its trace.
    func starting(from log: any LogStorage) -> TraceHook?

    /// Sees a message of a core, to a peer or to its own disk or state machine, before it goes.
    func leaving(_ message: inout Message, of replica: Replica)

    /// Sees a peer's message before a core takes it.
    func arriving(_ message: inout Message, at replica: Replica)

    /// Gets the disk's answer to a submission and runs it, at once or later; in their order.
    func returned(_ answer: @escaping () -> Void)

    /// Learns that what a message to the disk asked for is on stable storage.
    func stored(_ message: Message, of replica: Replica)
}
