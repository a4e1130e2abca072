/// One metric family: its name, kind, help text and, for histograms, its buckets.
///
/// - Invariant: every value of this type stands in ``MetricName/all``; the initializer is not
///   public, so no other module can make up a name.
public struct MetricName: Hashable, Sendable {
    /// What a family's samples mean to Prometheus.
    public enum Kind: String, Sendable {
        /// Only rises, and starts at zero with the process.
        case counter
        /// Rises and falls.
        case gauge
        /// Buckets of durations, shown in seconds.
        case seconds
        /// Buckets of counts or byte sizes.
        case sizes
    }

    /// The family's name as Prometheus shows it, unit last.
    public let text: String
    /// The kind.
    public let kind: Kind
    /// One sentence for the HELP line.
    public let help: String

    init(_ text: String, _ kind: Kind, _ help: String) {
        self.text = text
        self.kind = kind
        self.help = help
    }

    /// The word after TYPE in the Prometheus text.
    var prometheusType: String {
        switch kind {
        case .counter: "counter"
        case .gauge: "gauge"
        case .seconds, .sizes: "histogram"
        }
    }
}
