import Foundation
import Testing

/// `PORTED.md` says which of our sentences holds the behaviour of which of etcd's tests.
@Suite struct PortedTests {
    /// How many tests etcd's files have; fewer rows would mean that some were forgotten.
    private static let counts: KeyValuePairs = [
        "raft_paper_test.go": 26, "raft_test.go": 118, "log_test.go": 21,
        "log_unstable_test.go": 9, "rawnode_test.go": 12, "storage_test.go": 8,
        "raft_snap_test.go": 5, "raft_flow_control_test.go": 3, "tracker/progress_test.go": 8,
        "tracker/inflights_test.go": 4, "confchange/quick_test.go": 1,
        "confchange/restore_test.go": 1, "quorum/quick_test.go": 1, "quorum/majority_test.go": 1,
        "util_test.go": 5, "types_test.go": 2, "raftpb/confchange_test.go": 1,
        "raftpb/confstate_test.go": 1, "raftpb/raft_test.go": 1, "node_test.go": 22,
    ]

    private struct Row {
        let file: String
        let test: String
        /// What holds it here; nil if it does not apply.
        let sentence: String?
    }

    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

    private static func rows() throws -> [Row] {
        let table = try String(
            contentsOf: folder.appendingPathComponent("PORTED.md"),
            encoding: .utf8
        )
        var rows: [Row] = []
        var file = ""
        for line in table.split(separator: "\n") {
            if let title = line.wholeMatch(of: /## (\S+) \((\d+)\)/) {
                file = String(title.1)
            } else if let row = line.wholeMatch(of: /\| (Test\w+) \| `(.+)` \|/) {
                rows.append(Row(file: file, test: String(row.1), sentence: String(row.2)))
            } else if let row = line.wholeMatch(of: /\| (Test\w+) \| does not apply: .+ \|/) {
                rows.append(Row(file: file, test: String(row.1), sentence: nil))
            } else {
                let isOther =
                    !line.hasPrefix("|") || line == "| test | sentence |"
                    || line == "|---|---|"
                #expect(isOther, "not understood: \(line)")
            }
        }
        return rows
    }

    /// The titles of all tests here.
    private static func sentences() throws -> Set<String> {
        var sentences: Set<String> = []
        let walker = try #require(
            FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        )
        for case let url as URL in walker where url.pathExtension == "swift" {
            let source = try String(contentsOf: url, encoding: .utf8)
            for match in source.matches(of: /func `([^`]+)`/) {
                sentences.insert(String(match.1))
            }
        }
        return sentences
    }

    @Test func `every test of etcd's raft is held by one of ours, or does not apply`() throws {
        let rows = try Self.rows()
        let sentences = try Self.sentences()
        for row in rows {
            guard let sentence = row.sentence else { continue }
            #expect(sentences.contains(sentence), "\(row.file) \(row.test): no such test here")
        }
        var summary: [String] = []
        for (file, count) in Self.counts {
            let own = rows.filter { $0.file == file }
            #expect(own.count == count, "\(file)")
            #expect(Set(own.map(\.test)).count == count, "\(file) names a test twice")
            let left = own.count { $0.sentence == nil }
            summary.append(
                "\(file) \(count - left)/\(count)" + (left > 0 ? " (\(left) do not apply)" : "")
            )
        }
        #expect(rows.count == Self.counts.map(\.value).reduce(0, +))
        print("Ported from etcd: " + summary.joined(separator: ", "))
    }
}
