import Synchronization

/// How long a daemon that is to stop believes that a controller leader will answer.
///
/// While leadership changes nobody answers for a moment, and that is when two daemons could go at
/// the same time without knowing of each other. Where nobody answers for longer, a stop goes on.
/// - Thread: any.
public final class StopPatience: Sendable {
    /// Longer than an election of the controllers takes, and than a stop of one of them.
    static let limit = Duration.seconds(8)

    private let since = Mutex<ContinuousClock.Instant?>(nil)

    /// Begins with a leader that answers.
    public init() {}

    /// Notes whether the leader has answered; true while it is too early to go on without it.
    public func waits(isAnswered: Bool) -> Bool { waits(isAnswered: isAnswered, now: .now) }

    func waits(isAnswered: Bool, now: ContinuousClock.Instant) -> Bool {
        since.withLock { since in
            guard !isAnswered else {
                since = nil
                return false
            }
            let start = since ?? now
            since = start
            return now - start < Self.limit
        }
    }
}
