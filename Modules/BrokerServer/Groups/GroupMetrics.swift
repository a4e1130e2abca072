import Telemetry

/// What a broker counts for the consumer groups that it coordinates.
struct GroupMetrics {
    let rebalances: CounterMetric
    let commits: CounterMetric
    let commitsRefused: CounterMetric
    /// By state, in the order of `ConsumerGroup.State.allCases`.
    private let groups: [GaugeMetric]

    init(_ registry: MetricsRegistry = .process) {
        rebalances = registry.counter(.groupRebalances)
        commits = registry.counter(.offsetCommits, ["result": "ok"])
        commitsRefused = registry.counter(.offsetCommits, ["result": "error"])
        groups = ConsumerGroup.State.allCases.map {
            registry.gauge(.consumerGroups, ["state": $0.rawValue])
        }
    }

    /// Shows how many groups are in each state.
    func show(_ states: [ConsumerGroup.State]) {
        for (place, state) in ConsumerGroup.State.allCases.enumerated() {
            groups[place].set(states.count { $0 == state })
        }
    }
}
