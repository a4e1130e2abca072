import ToolSupport

/// One line of the result.
enum BenchResult {
    case disk(DiskFloor)
    case produce(String, LoadOptions, ProduceFigures)
    case consume(String, ConsumeFigures)
}

/// The results as a table or as JSON.
enum Report {
    static func text(_ results: [BenchResult]) -> String {
        results.map { result in
            switch result {
            case .disk(let floor): text(floor)
            case .produce(let title, let options, let figures): text(title, options, figures)
            case .consume(let title, let figures): text(title, figures)
            }
        }.joined()
    }

    private static func text(_ floor: DiskFloor) -> String {
        """
        disk alone
          fdatasync    p50 \(Words.duration(nanoseconds: floor.syncP50)), \
        p99 \(Words.duration(nanoseconds: floor.syncP99))
          overwriting  \(Words.fixed(floor.bytesPerSecond / 1e6, 1)) MB/s, synced each MiB
          growing      \(Words.fixed(floor.newBytesPerSecond / 1e6, 1)) MB/s, a new file, unsynced

        """
    }

    private static func text(
        _ title: String,
        _ options: LoadOptions,
        _ figures: ProduceFigures
    ) -> String {
        let latency = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)].map { name, share in
            "\(name) \(Words.duration(nanoseconds: figures.latency.percentile(share)))"
        }
        var text = """
            produce: \(title)
              acks=\(options.acks), \(Words.bytes(options.recordSize)) records, \
            batches of \(options.batchSize == 1 ? "one record" : Words.bytes(options.batchSize)), \
            \(options.inFlight) in flight
              written      \(Words.count(figures.records, "record")) \
            in \(Words.fixed(figures.seconds, 1)) s
              throughput   \(rate(figures.bytes, figures.records, figures.seconds))
              latency      \(latency.joined(separator: ", ")), \
            max \(Words.duration(nanoseconds: figures.latency.longest))
              client CPU   \(Words.fixed(figures.clientCPUSeconds, 1)) s

            """
        if figures.daemonCPUSeconds > 0, figures.bytes > 0 {
            let each = figures.daemonCPUSeconds * 1e9 / Double(figures.bytes)
            text += "  daemons' CPU \(Words.fixed(figures.daemonCPUSeconds, 1)) s, "
            text += "\(Words.fixed(each, 1)) s for each GB\n"
        }
        if figures.failed > 0, let error = figures.firstError {
            text += "  FAILED       \(Words.count(figures.failed, "record")): \(error)\n"
        }
        return text
    }

    private static func text(_ title: String, _ figures: ConsumeFigures) -> String {
        """
        consume: \(title)
          read         \(Words.count(figures.records, "record")) \
        in \(Words.fixed(figures.seconds, 1)) s, \
        \(Words.count(figures.batches, "batch", plural: "batches"))
          throughput   \(rate(figures.bytes, figures.records, figures.seconds))
          client CPU   \(Words.fixed(figures.clientCPUSeconds, 1)) s

        """
    }

    private static func rate(_ bytes: Int, _ records: Int, _ seconds: Double) -> String {
        let time = max(seconds, 1e-9)
        return "\(Words.fixed(Double(bytes) / time / 1e6, 1)) MB/s, "
            + "\(Words.grouped(Int(Double(records) / time))) records/s"
    }

    // MARK: JSON

    static func json(_ results: [BenchResult]) -> String {
        let objects = results.map { result in
            switch result {
            case .disk(let floor): json(floor)
            case .produce(let title, let options, let figures): json(title, options, figures)
            case .consume(let title, let figures): json(title, figures)
            }
        }
        return "{\"results\": [\n  " + objects.joined(separator: ",\n  ") + "\n]}\n"
    }

    private static func json(_ floor: DiskFloor) -> String {
        object([
            ("kind", quoted("disk")), ("sync_p50_ns", "\(floor.syncP50)"),
            ("sync_p99_ns", "\(floor.syncP99)"),
            ("bytes_per_second", "\(Int(floor.bytesPerSecond))"),
            ("new_bytes_per_second", "\(Int(floor.newBytesPerSecond))"),
        ])
    }

    private static func json(
        _ title: String,
        _ options: LoadOptions,
        _ figures: ProduceFigures
    ) -> String {
        let time = max(figures.seconds, 1e-9)
        return object([
            ("kind", quoted("produce")), ("title", quoted(title)),
            ("acks", quoted(options.acks.description)),
            ("compression", quoted(options.compression.description)),
            ("idempotence", "\(options.idempotence)"), ("record_size", "\(options.recordSize)"),
            ("batch_size", "\(options.batchSize)"), ("in_flight", "\(options.inFlight)"),
            ("seconds", Words.fixed(figures.seconds, 3)), ("records", "\(figures.records)"),
            ("failed", "\(figures.failed)"), ("bytes", "\(figures.bytes)"),
            ("records_per_second", "\(Int(Double(figures.records) / time))"),
            ("bytes_per_second", "\(Int(Double(figures.bytes) / time))"),
            ("latency_p50_ns", "\(figures.latency.percentile(0.5))"),
            ("latency_p99_ns", "\(figures.latency.percentile(0.99))"),
            ("latency_p999_ns", "\(figures.latency.percentile(0.999))"),
            ("latency_max_ns", "\(figures.latency.longest)"),
            ("client_cpu_seconds", Words.fixed(figures.clientCPUSeconds, 3)),
            ("daemon_cpu_seconds", Words.fixed(figures.daemonCPUSeconds, 3)),
        ])
    }

    private static func json(_ title: String, _ figures: ConsumeFigures) -> String {
        let time = max(figures.seconds, 1e-9)
        return object([
            ("kind", quoted("consume")), ("title", quoted(title)),
            ("seconds", Words.fixed(figures.seconds, 3)), ("records", "\(figures.records)"),
            ("bytes", "\(figures.bytes)"), ("batches", "\(figures.batches)"),
            ("records_per_second", "\(Int(Double(figures.records) / time))"),
            ("bytes_per_second", "\(Int(Double(figures.bytes) / time))"),
            ("client_cpu_seconds", Words.fixed(figures.clientCPUSeconds, 3)),
        ])
    }

    private static func object(_ fields: [(String, String)]) -> String {
        "{" + fields.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}"
    }

    /// Our own words only: nothing in them needs escaping but quotes and backslashes.
    private static func quoted(_ text: String) -> String {
        "\"" + text.flatMap { "\"\\".contains($0) ? ["\\", $0] : [$0] } + "\""
    }
}
