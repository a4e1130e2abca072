/// One line of a daemon's service list.
///
/// The list is started from top to bottom, each service when the one above it is ready, and stopped
/// from bottom to top.
public struct DaemonService: Sendable {
    /// What the status line calls it.
    public let name: String
    let start: @Sendable () async throws -> Void
    let run: (@Sendable () async throws -> Void)?
    let stop: @Sendable () async -> Void

    /// Describes a service.
    ///
    /// - Parameters:
    ///   - name: A few words for the status line: `starting: log recovery`.
    ///   - start: Returns when the service is ready; an error ends the daemon.
    ///   - run: Works until its task is shut down gracefully (`gracefulShutdown()` of
    ///     ServiceLifecycle); leave it out when the service needs no task of its own. Returning
    ///     early or throwing ends the daemon.
    ///   - stop: Returns when the service has ended; called once whenever `start` was called.
    public init(
        _ name: String,
        start: @escaping @Sendable () async throws -> Void,
        run: (@Sendable () async throws -> Void)? = nil,
        stop: @escaping @Sendable () async -> Void = {}
    ) {
        self.name = name
        self.start = start
        self.run = run
        self.stop = stop
    }
}
