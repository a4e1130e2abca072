import Testing

/// What the compiler in use makes of some right programs is wrong; they are not written here.
@Suite struct CompilerTests {
    let repository = Repository.here

    /// Swift 6.3 with -O loses the first element of a tuple that a child task makes so.
    ///
    /// After `do { return (id, try await ask()) } catch { return (id, nil) }`, what a task group
    /// yields holds whatever was in memory before. A struct, or a value that is awaited
    /// beforehand, comes through.
    @Test func `no tuple is made around an await`() {
        for path in repository.handwritten {
            for (line, text) in SourceScanner(repository.lines(path)).code
            where Self.makesTupleAroundAwait(text) {
                Issue.record("\(path):\(line): await first, then make the tuple")
            }
        }
    }

    private static func makesTupleAroundAwait(_ text: String) -> Bool {
        guard let start = text.firstRange(of: "return (") else { return false }
        return text[start.upperBound...].contains(/,.*\bawait\b/)
    }

    @Test func `a tuple around an await is found`() {
        #expect(Self.makesTupleAroundAwait("    return (id, try await ask(id))"))
        #expect(!Self.makesTupleAroundAwait("    return (id, answer)"))
        #expect(!Self.makesTupleAroundAwait("    return try await ask(id, (1, 2))"))
    }
}
