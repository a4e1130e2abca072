import ClusterHarness
import Glibc
import Testing

extension ClusterTests {
    /// A checker that finds nothing wrong must be known to find something.
    @Suite("The checker of histories")
    struct CheckerTests {
        /// What the checker says about one writer's log and what was read, both made up.
        private func verdict(read: [String], log: [String]) async throws -> CommandResult {
            let directory = try Places.makeDirectory("checker")
            defer { Places.remove(directory) }
            try writeFile("\(directory)/read.txt", read.map { "\($0)\n" }.joined())
            try writeFile("\(directory)/w.log", log.map { "\($0)\n" }.joined())
            return try await runCommand(
                Places.python,
                [script("check_history.py"), "\(directory)/read.txt", "\(directory)/w.log"],
                in: directory
            )
        }

        /// Three messages to partition 0, all acknowledged.
        private let log = ["S 0 0", "S 0 1", "S 0 2", "A 1 2 0 0 0", "A 1 2 0 1 1", "A 1 2 0 2 2"]

        @Test func `a true history passes`() async throws {
            let result = try await verdict(read: ["0 0 w 0", "0 1 w 1", "0 2 w 2"], log: log)
            #expect(result.isSuccess, "\(result.report)")
            #expect(result.output == "3 acknowledged messages stand among 3\n")
        }

        @Test func `a message that was never acknowledged may stand there or not`() async throws {
            let unanswered = log + ["S 0 3", "S 0 4"]
            let there = ["0 0 w 0", "0 1 w 1", "0 2 w 2", "0 3 w 3"]
            #expect(try await verdict(read: there, log: unanswered).isSuccess)
        }

        @Test(arguments: [
            ("lost", ["0 0 w 0", "0 1 w 1"]),
            ("lost", ["0 0 w 0", "0 1 w 2", "0 2 w 1"]),
            ("duplicated", ["0 0 w 0", "0 1 w 1", "0 2 w 2", "0 3 w 1"]),
            ("reordered", ["0 0 w 0", "0 1 w 2", "0 2 w 1"]),
            ("invented", ["0 0 w 0", "0 1 w 1", "0 2 w 2", "0 3 w 3"]),
            ("invented", ["0 0 w 0", "0 1 w 1", "0 2 w 2", "0 3 x 0"]),
            ("gap", ["0 0 w 0", "0 1 w 1", "0 2 w 2", "0 4 w 3"]),
        ])
        func `a false history is named`(kind: String, read: [String]) async throws {
            let result = try await verdict(read: read, log: log)
            #expect(result.exit == .status(1))
            #expect(result.output.contains("\(kind): "), "\(result.report)")
        }

        @Test func `a message that was given up is named`() async throws {
            let result = try await verdict(
                read: ["0 0 w 0", "0 1 w 1", "0 2 w 2"],
                log: log + ["S 0 3", "F 9 0 3 Local: Message timed out"]
            )
            #expect(result.exit == .status(1))
            #expect(result.output.contains("given up: 1"))
        }
    }
}
