/// Everything that is wrong with one settings file, in the order of its lines.
public struct SettingsError: Error, Equatable, CustomStringConvertible {
    /// One thing that is wrong.
    public struct Problem: Equatable, Sendable {
        /// The line, from 1; nil when it concerns the file as a whole.
        public let line: Int?
        /// A sentence for the operator.
        public let sentence: String
    }

    /// The file's name as the operator wrote it.
    public let file: String
    /// Never empty.
    public let problems: [Problem]

    init(file: String, problems: [Problem]) {
        precondition(!problems.isEmpty, "a settings error names at least one problem")
        self.file = file
        self.problems = problems.sorted {
            ($0.line ?? 0, $0.sentence) < ($1.line ?? 0, $1.sentence)
        }
    }

    /// One line per problem: `file:line: sentence`.
    public var description: String {
        problems.map { problem in
            let line = problem.line.map { ":\($0)" } ?? ""
            return "\(file)\(line): \(problem.sentence)"
        }
        .joined(separator: "\n")
    }
}
