import Foundation
import Testing

/// The list of metric names promises what dashboards find: nothing stands in it that nobody counts.
@Suite struct MetricTests {
    let repository = Repository.here
    static let list = "Modules/Telemetry/MetricNames.swift"

    /// The constants of the list with their texts, by reading `static let a = MetricName("b", ...`.
    private func names() -> [(constant: String, text: String)] {
        let source = repository.lines(Self.list).joined(separator: " ")
        return source.matches(of: /static let (\w+) = MetricName\(\s*"(\w+)"/).map {
            (String($0.output.1), String($0.output.2))
        }
    }

    @Test func `every metric in the list is counted somewhere`() {
        let all = names()
        #expect(all.count > 40)
        let files = ["Modules", "Tools"].flatMap { repository.files(under: $0, suffix: ".swift") }
        // Without spaces, so that a call may stand on several lines.
        let sources = files.filter { $0 != Self.list }.map { file in
            repository.lines(file).joined().replacingOccurrences(of: " ", with: "")
        }
        for (constant, text) in all {
            let calls = ["counter", "gauge", "histogram", "observe"]
                .flatMap { ["\($0)(.\(constant))", "\($0)(.\(constant),"] }
            let isCounted = sources.contains { source in
                source.contains("\"\(text)\"") || calls.contains { source.contains($0) }
            }
            #expect(isCounted, "\(text) is counted nowhere")
        }
    }
}
