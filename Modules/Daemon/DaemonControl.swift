/// The handle by which any part of a daemon asks it to stop, to reload or to give up.
///
/// Signals come this way too. One control serves one ``DaemonRunner/run()``.
///
/// - Thread: any; nothing here blocks.
public final class DaemonControl: Sendable {
    enum Event: Sendable {
        case stop(reason: String)
        /// Nobody has to be waited for any more.
        case stopNow
        case reload
        case reloaded(Result<String, DaemonFailure>)
        case fail(DaemonFailure)
        case deadline
        case finished(DaemonFailure?)
    }

    let events: AsyncStream<Event>
    private let continuation: AsyncStream<Event>.Continuation

    /// Makes a handle; give it to the runner and to whoever needs it.
    public init() { (events, continuation) = AsyncStream.makeStream(of: Event.self) }

    func send(_ event: Event) { continuation.yield(event) }

    /// Stops in good order, as SIGTERM does; a second time ends the wait for others.
    public func stop(reason: String) { send(.stop(reason: reason)) }

    /// Reads the settings again, as SIGHUP does.
    public func reload() { send(.reload) }

    /// Ends the daemon with this status: something failed that it cannot work without.
    ///
    /// A failed write or sync of the log comes here with ``ExitStatus/storage``. The services are
    /// still stopped in order, but only a few seconds are spent on it.
    public func fail(_ status: ExitStatus, reason: String) {
        send(.fail(DaemonFailure(status: status, reason: reason)))
    }
}

/// Why a daemon ends other than by being asked to.
public struct DaemonFailure: Error, Equatable, CustomStringConvertible {
    /// The status with which the tool exits.
    public let status: ExitStatus
    /// A sentence for the journal.
    public let reason: String

    /// Joins a status and a reason.
    public init(status: ExitStatus, reason: String) {
        self.status = status
        self.reason = reason
    }

    /// The reason.
    public var description: String { reason }
}
