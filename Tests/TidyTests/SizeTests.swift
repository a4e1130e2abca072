import Testing

/// Files, functions and lines that a reader can hold in the head.
@Suite struct SizeTests {
    static let fileLinesMax = 500
    static let functionLinesMax = 70
    static let columnsMax = 100

    /// Files that may pass a limit, each with its own limit and reason; the numbers may only fall.
    static let exceptions: [String: (lines: Int, reason: String)] = [:]

    let repository = Repository.here

    @Test func `no file is longer than 500 lines`() {
        for path in repository.handwritten {
            let limit = Self.exceptions[path]?.lines ?? Self.fileLinesMax
            let count = repository.lines(path).count
            #expect(count <= limit + 1, "\(path) has \(count) lines")
        }
    }

    @Test func `no function is longer than 70 lines`() {
        for path in repository.handwritten {
            for function in SourceScanner(repository.lines(path)).functions {
                #expect(
                    function.length <= Self.functionLinesMax,
                    "\(path):\(function.line): \(function.name) has \(function.length) lines"
                )
            }
        }
    }

    @Test func `no line is wider than 100 columns`() {
        for path in repository.handwritten {
            for (index, line) in repository.lines(path).enumerated() {
                #expect(line.count <= Self.columnsMax, "\(path):\(index + 1)")
            }
        }
    }

    @Test func `no line waits to be finished`() {
        let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X:"]
        for path in repository.handwritten {
            for (index, line) in repository.lines(path).enumerated() {
                for mark in marks where line.contains(mark) {
                    Issue.record("\(path):\(index + 1): \(mark)")
                }
            }
        }
    }

    @Test func `the scanner sees functions, imports and types`() {
        let source = """
            public import NIOCore
            @testable import Raft
            struct Sample {
                func short() {
                    let text = "import Nothing // func no() {"
                }
                public init(
                    value: Int
                ) {
                    _ = value
                }
                func oneLine() -> [Int] { [1].map { $0 } }
            }
            """
        let scan = SourceScanner(source.split(separator: "\n", omittingEmptySubsequences: false))
        #expect(scan.imports.map(\.module) == ["NIOCore", "Raft"])
        #expect(scan.types.map(\.name) == ["Sample"])
        #expect(scan.functions.map(\.length) == [3, 5, 1])
    }
}
