import FoundationEssentials

/// Where the controller reads time.
public protocol ControllerClock: Sendable {
    /// Time that never goes back, counted from any moment.
    var now: Duration { get }
    /// Milliseconds since 1970; only written into records, never compared.
    var unixMilliseconds: Int64 { get }
    /// Returns after this time, or throws when the task is cancelled.
    func sleep(for time: Duration) async throws
}

/// The machine's clocks.
public struct SystemControllerClock: ControllerClock {
    private let start = ContinuousClock.now

    /// Counts from now on.
    public init() {}

    /// Time since this value was made.
    public var now: Duration { ContinuousClock.now - start }
    /// Milliseconds since 1970.
    public var unixMilliseconds: Int64 { Int64(Date().timeIntervalSince1970 * 1000) }
    /// Returns after this time, or throws when the task is cancelled.
    public func sleep(for time: Duration) async throws { try await Task.sleep(for: time) }
}
