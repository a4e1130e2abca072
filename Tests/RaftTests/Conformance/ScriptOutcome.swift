/// Carries out the directives of one script, one after the other.
protocol ScriptInterpreter: AnyObject {
    func run(_ directive: Script.Directive) -> String
}

/// How many directives of a script had the output that they must have, and which had not.
struct ScriptOutcome {
    struct Mismatch: CustomStringConvertible {
        let script: String
        let seed: UInt64
        let directive: Script.Directive
        let actual: String

        var description: String {
            """
            \(script):\(directive.line) (seed \(seed)) \(directive.command)
            --- expected
            \(directive.expected)--- actual
            \(actual)
            """
        }
    }

    let mismatches: [Mismatch]
    let directiveCount: Int

    /// How many directives were satisfied under every seed.
    var satisfied: Int { directiveCount - Set(mismatches.map(\.directive.line)).count }

    /// Runs a script once under each seed, each time from the beginning.
    init(
        _ script: Script,
        _ seeds: [UInt64],
        _ interpreter: (UInt64) -> any ScriptInterpreter
    ) {
        var mismatches: [Mismatch] = []
        for seed in seeds {
            let interpreter = interpreter(seed)
            for directive in script.directives {
                var actual = interpreter.run(directive)
                if !actual.isEmpty, !actual.hasSuffix("\n") { actual += "\n" }
                if actual != directive.expected {
                    mismatches.append(
                        Mismatch(
                            script: script.name,
                            seed: seed,
                            directive: directive,
                            actual: actual
                        )
                    )
                }
            }
        }
        self.mismatches = mismatches
        self.directiveCount = script.directives.count
    }
}
