import CoreMetrics
import Testing

@testable import Telemetry

@Suite struct MetricsRegistryTests {
    let registry = MetricsRegistry()

    @Test func `a counter with labels is one object and one line`() {
        let first = registry.counter(.interBrokerRequests, ["type": "1003", "result": "ok"])
        let second = registry.counter(.interBrokerRequests, ["type": "1003", "result": "ok"])
        first.add()
        second.add(2)
        #expect(first === second)
        #expect(
            registry.prometheusText().contains(
                """
                # HELP inter_broker_requests_total Inter-broker requests by type, side and result.
                # TYPE inter_broker_requests_total counter
                inter_broker_requests_total{type="1003",result="ok"} 3

                """
            )
        )
    }

    @Test func `a gauge rises and falls`() {
        let gauge = registry.gauge(.raftGroups)
        gauge.set(12)
        gauge.add(-2)
        gauge.add(0.5)
        #expect(registry.value(.raftGroups) == 10.5)
        #expect(registry.prometheusText().contains("\nraft_groups 10.5\n"))
    }

    @Test func `a duration lands in its bucket and is shown in seconds`() {
        let histogram = registry.histogram(.walSyncDuration)
        histogram.observe(.microseconds(300))
        histogram.observe(.microseconds(500))
        histogram.observe(.seconds(60))
        histogram.observe(.seconds(-1))
        let text = registry.prometheusText()
        #expect(text.contains("# TYPE wal_sync_duration_seconds histogram\n"))
        #expect(text.contains("wal_sync_duration_seconds_bucket{le=\"0.00025\"} 1\n"))
        #expect(text.contains("wal_sync_duration_seconds_bucket{le=\"0.0005\"} 3\n"))
        #expect(text.contains("wal_sync_duration_seconds_bucket{le=\"30\"} 3\n"))
        #expect(text.contains("wal_sync_duration_seconds_bucket{le=\"+Inf\"} 4\n"))
        #expect(text.contains("wal_sync_duration_seconds_sum 60.0008"))
        #expect(text.contains("wal_sync_duration_seconds_count 4\n"))
    }

    @Test func `every bound is its own bucket's last value`() {
        for kind in [MetricName.Kind.seconds, .sizes] {
            let histogram = HistogramMetric(kind)
            #expect(histogram.bounds.count == HistogramMetric.boundCount)
            #expect(histogram.bounds == histogram.bounds.sorted())
            for bound in histogram.bounds { histogram.record(Int64(bound)) }
            let counts = histogram.snapshot.cumulated.map(\.count)
            #expect(counts == (1...18).map { UInt64($0) } + [18])
        }
    }

    @Test func `the largest duration does not trap`() {
        let histogram = registry.histogram(.walSyncDuration)
        histogram.observe(Duration(secondsComponent: .max, attosecondsComponent: 0))
        histogram.record(Double.infinity)
        histogram.record(Double.nan)
        #expect(histogram.observations == 3)
    }

    @Test func `an observed value is read when the text is made`() {
        let gauge = GaugeMetric()
        registry.observe(.connections, ["listener": "client"]) { gauge.value }
        gauge.set(7)
        #expect(registry.prometheusText().contains("connections{listener=\"client\"} 7\n"))
        registry.remove(.connections, ["listener": "client"])
        #expect(registry.value(.connections, ["listener": "client"]) == nil)
    }

    @Test func `label values are escaped`() {
        registry.counter(.peerRefusals, ["reason": "a\"b\\c\nd"]).add()
        #expect(registry.prometheusText().contains(#"peer_refusals_total{reason="a\"b\\c\nd"} 1"#))
    }

    @Test func `a full family drops further series and says so`() {
        for number in 0..<(MetricsRegistry.seriesMax + 5) {
            registry.counter(.peerRefusals, ["reason": "\(number)"]).add()
        }
        #expect(registry.value(.seriesDropped) == 5)
        #expect(registry.value(.peerRefusals, ["reason": "0"]) == 1)
    }

    @Test func `metrics of swift-metrics appear under legal names`() {
        Counter(label: "2nd-party.count", dimensions: [("a-b", "c")], factory: registry)
            .increment(by: 4)
        Timer(label: "kafka_request_duration_seconds", dimensions: [], factory: registry)
            .recordMilliseconds(2)
        let text = registry.prometheusText()
        #expect(text.contains("_nd_party_count{a_b=\"c\"} 4\n"))
        #expect(text.contains("kafka_request_duration_seconds_count 1\n"))
    }

    @Test func `the list names each family once, with help, and units last`() {
        let names = MetricName.all.map(\.text)
        #expect(Set(names).count == names.count)
        for name in MetricName.all {
            #expect(name.help.hasSuffix("."))
            #expect(PrometheusText.name(name.text) == name.text)
            if name.kind == .seconds { #expect(name.text.hasSuffix("_seconds")) }
            if name.kind == .counter { #expect(name.text.hasSuffix("_total")) }
        }
    }

    @Test func `the process shows its memory, CPU time and files`() {
        ProcessMetrics.register(in: registry)
        #expect(registry.value(.processResidentMemory) ?? 0 > 1_000_000)
        #expect(registry.value(.processOpenFiles) ?? 0 > 2)
        #expect(registry.value(.processStartTime) ?? 0 > 1_700_000_000)
        #expect(registry.value(.processCPU) ?? -1 >= 0)
    }

    @Test func `counting from many threads loses nothing`() async {
        let counter = registry.counter(.walFrames)
        let gauge = registry.gauge(.walQueueDepth)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<10_000 {
                        counter.add()
                        gauge.add(1)
                    }
                }
            }
        }
        #expect(counter.value == 40_000)
        #expect(gauge.value == 40_000)
    }
}
