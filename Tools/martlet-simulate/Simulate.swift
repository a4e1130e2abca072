import ArgumentParser
import Simulation

/// Runs simulated clusters from seeds.
@main
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet-simulate",
        abstract: "Runs a simulated cluster with faults, all of it drawn from a seed.",
        discussion: """
            The same seed does the same every time: the last line of the output is its trace \
            hash. Exit status 1 means that a promise was broken; the line that says so ends \
            with the command that repeats the run.
            """
    )

    @Argument(help: "The seed, or the first of several.")
    var seed: UInt64

    @Option(help: "How many events with faults each run has.")
    var steps = 20_000

    @Option(help: "How many seeds to run, one after the other.")
    var count: UInt64 = 1

    @Flag(help: "Print one line for each event.")
    var lines = false

    @Option(help: "Put a defect in: \(Sabotage.allCases.map(\.rawValue).joined(separator: ", ")).")
    var sabotage: Sabotage?

    func run() throws {
        let reader: ((String) -> Void)? = lines ? { print($0) } : nil
        for seed in seed..<seed + count {
            CrashNote.set("the process died in seed \(seed); repeat it with: \(command(seed))")
            let simulation = Simulation(seed: seed, sabotage: sabotage, reader: reader)
            let result = simulation.run(steps: steps)
            print(
                """
                seed \(seed): \(result.steps) events, \(Int(result.seconds)) s simulated, \
                \(result.entries) entries, \(result.acknowledged) acknowledged
                """
            )
            if let violation = result.violation {
                print("  \(result.mix)\n  BROKEN: \(violation)\n  repeat: \(command(seed))")
                print("trace hash \(Self.hexadecimal(result.traceHash))")
                throw ExitCode.failure
            }
            print("trace hash \(Self.hexadecimal(result.traceHash))")
        }
    }

    private func command(_ seed: UInt64) -> String {
        var text = "martlet-simulate \(seed) --steps \(steps)"
        if let sabotage { text += " --sabotage \(sabotage.rawValue)" }
        return text + " --lines"
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension Sabotage: ExpressibleByArgument {}
