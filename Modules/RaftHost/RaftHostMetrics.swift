public import Telemetry

/// What a manager counts for all of its groups; made once, counting takes no lock.
public struct RaftHostMetrics: Sendable {
    let groups: GaugeMetric
    let leaders: GaugeMetric
    let elections: CounterMetric
    let leaderChanges: CounterMetric
    let proposalsRefused: CounterMetric
    let proposalsMisdirected: CounterMetric
    let commitDuration: HistogramMetric
    let leadersResting: GaugeMetric
    let appendsRejected: CounterMetric
    let catchUpBytes: CounterMetric
    let catchUpsWaiting: GaugeMetric

    /// Makes the metrics in a registry.
    public init(_ registry: MetricsRegistry = .process) {
        groups = registry.gauge(.raftGroups)
        leaders = registry.gauge(.raftLeaders)
        elections = registry.counter(.raftElections)
        leaderChanges = registry.counter(.raftLeaderChanges)
        proposalsRefused = registry.counter(.raftProposalsRefused, ["reason": "limit"])
        proposalsMisdirected = registry.counter(.raftProposalsRefused, ["reason": "not_leader"])
        commitDuration = registry.histogram(.raftCommitDuration)
        leadersResting = registry.gauge(.raftLeadersResting)
        appendsRejected = registry.counter(.raftAppendsRejected)
        catchUpBytes = registry.counter(.raftCatchUpBytes)
        catchUpsWaiting = registry.gauge(.raftCatchUpsWaiting)
    }
}
