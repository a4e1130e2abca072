import ArgumentParser
import Simulation

/// Runs simulated clusters from seeds.
@main
struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet-simulate",
        abstract: "Runs a simulated cluster with faults, all of it drawn from a seed.",
        discussion: """
            The same seed does the same every time: the last line of the output is its trace \
            hash. Exit status 1 means that a promise was broken; the output says which one, and \
            names the command that repeats the run.
            """
    )

    @Argument(help: "The seed, or the first of several.")
    var seed: UInt64 = 1

    @Option(help: "How many events with faults each run has.")
    var steps = 20_000

    @Option(help: "How many seeds to run.")
    var count: UInt64 = 1

    @Option(help: "How many runs go on at the same time.")
    var jobs: UInt64 = 1

    @Option(help: "After how many minutes no further seed is begun.")
    var minutes = 60.0

    @Flag(help: "Print one line for each event.")
    var lines = false

    @Option(help: "Put a defect in: \(Sabotage.allCases.map(\.rawValue).joined(separator: ", ")).")
    var sabotage: Sabotage?

    @Flag(help: "Hold every group's trace to the model, too.")
    var model = false

    @Flag(help: "Hold every group's trace to the model, and look for nothing else.")
    var modelAlone = false

    @Option(help: "Write the trace of group 1001 to the file FILE.1001, and so on.")
    var trace: String?

    @Option(help: "Run nothing: hold the trace of one group in this file to the model.")
    var checkTrace: String?

    func validate() throws {
        guard trace == nil || count == 1 else {
            throw ValidationError("--trace writes the files of one run: leave out --count")
        }
    }

    func run() async throws {
        if let checkTrace { return try check(checkTrace) }
        let start = ContinuousClock.now
        let (steps, sabotage, lines) = (steps, sabotage, lines)
        let (watch, trace) = (watch, trace)
        let (first, end, jobs) = (seed, seed + max(1, count), max(1, jobs))
        let deadline = start + .seconds(60 * minutes)
        var runs = 0
        var events = 0
        var brokenRuns = 0
        var faults: [(kind: FaultMix.Kind, count: Int)] = []
        await withTaskGroup(of: SimulationResult?.self) { group in
            var next = first
            func begin() {
                guard next < end, ContinuousClock.now < deadline else { return }
                let seed = next
                next += 1
                group.addTask {
                    let command = Self.command(seed, steps, sabotage, watch)
                    CrashNote.set("the process died in: \(command)")
                    let reader: ((String) -> Void)? = lines ? { print($0) } : nil
                    let writer = trace.map { TraceFiles.Writer(prefix: $0) }
                    return Simulation(
                        seed: seed,
                        sabotage: sabotage,
                        watch: watch,
                        tracer: writer.map { writer in { writer.write($0, $1) } },
                        reader: reader
                    ).run(steps: steps)
                }
            }
            for _ in 0..<jobs { begin() }
            while let result = await group.next() {
                guard let result else { continue }
                report(result)
                runs += 1
                events += result.steps
                faults = faults.isEmpty ? result.faults : Self.sum(faults, result.faults)
                if result.violation != nil { brokenRuns += 1 }
                if brokenRuns < Self.brokenRunsMax { begin() }
            }
        }
        if count > 1 {
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            print(
                """
                \(runs) simulated clusters, \(brokenRuns) of them broken, \(events) events, \
                \(Int(Double(events) / seconds)) events/s in \(jobs) jobs
                what struck: \(Self.text(faults))
                """
            )
        }
        if brokenRuns > 0 { throw ExitCode.failure }
    }

    /// A defect that breaks so many runs needs no further ones.
    private static let brokenRunsMax = 10

    private var watch: Watch { modelAlone ? .model : model ? .both : .checker }

    private func check(_ path: String) throws {
        let (lines, violation) = try TraceFiles.check(path)
        guard let violation else { return print("\(lines) lines, all of them legal") }
        print("BROKEN: \(violation)")
        throw ExitCode.failure
    }

    private static func sum(
        _ faults: [(kind: FaultMix.Kind, count: Int)],
        _ others: [(kind: FaultMix.Kind, count: Int)]
    ) -> [(kind: FaultMix.Kind, count: Int)] {
        zip(faults, others).map { ($0.kind, $0.count + $1.count) }
    }

    private static func text(_ faults: [(kind: FaultMix.Kind, count: Int)]) -> String {
        faults.map { "\($0.kind.rawValue) \($0.count)" }.joined(separator: ", ")
    }

    private func report(_ result: SimulationResult) {
        print(
            """
            seed \(result.seed): \(result.steps) events, \(Int(result.seconds)) s simulated, \
            \(result.entries) entries, \(result.acknowledged) acknowledged, \(result.rests) ticks \
            of leaders at rest, \(result.catchUps) messages for catching up
            """
        )
        if result.tracedLines > 0 { print("  \(result.tracedLines) lines traced") }
        if count == 1 {
            print("  what struck: \(Self.text(result.faults.filter { $0.count > 0 }))")
        }
        if let violation = result.violation {
            print("  \(result.mix)\n  BROKEN: \(violation)")
            print("  repeat: \(Self.command(result.seed, steps, sabotage, watch))")
        }
        print("trace hash \(Self.hexadecimal(result.traceHash))")
    }

    private static func command(
        _ seed: UInt64,
        _ steps: Int,
        _ sabotage: Sabotage?,
        _ watch: Watch
    ) -> String {
        var text = "martlet-simulate \(seed) --steps \(steps)"
        if let sabotage { text += " --sabotage \(sabotage.rawValue)" }
        if watch != .checker { text += watch == .both ? " --model" : " --model-alone" }
        return text + " --lines"
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension Sabotage: ExpressibleByArgument {}
