/// Syncs that take so long that producers notice, gathered so that one report serves many.
///
/// - Thread: the writer's.
struct SlowSyncs {
    /// From here on a sync is slow.
    static let limit = Duration.seconds(1)
    /// There is one report in this time; the first comes at once.
    static let pause = Duration.seconds(10)

    /// Several slow syncs.
    struct Report: Equatable {
        var longest: Duration
        var count: Int
    }

    private var gathered: Report?
    private var lastReport: ContinuousClock.Instant?

    /// Notes how long a sync took; returns what is to be reported now.
    mutating func note(_ time: Duration, at now: ContinuousClock.Instant) -> Report? {
        if time >= Self.limit {
            gathered = Report(
                longest: max(gathered?.longest ?? .zero, time),
                count: (gathered?.count ?? 0) + 1
            )
        }
        guard let report = gathered, lastReport.map({ now >= $0 + Self.pause }) ?? true else {
            return nil
        }
        gathered = nil
        lastReport = now
        return report
    }
}
