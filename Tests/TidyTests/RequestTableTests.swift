import Foundation
import Testing

/// What is answered stands in readable lists, each in one file, and nothing registers itself
/// elsewhere.
@Suite struct RequestTableTests {
    let repository = Repository.here

    /// Where a daemon's peer listener is told what to answer: its role's table, and the row of Raft
    /// streams that its tool adds.
    static let peerTables: [String: [String]] = [
        "brokerd": ["Modules/BrokerServer", "Tools/brokerd"],
        "controllerd": ["Modules/Controller", "Tools/controllerd"],
    ]

    /// Types that have a number and a meaning, but are not answered yet.
    static let reserved: Set = ["writeTxnMarkers"]

    /// A file's code as one text: comments gone, strings emptied, spaces squeezed.
    private func code(_ path: String) -> String {
        SourceScanner(repository.lines(path)).code
            .map { $0.text.trimmingCharacters(in: .whitespaces) }
            .joined(separator: " ")
    }

    private func swiftFiles(_ folders: [String]) -> [String] {
        folders.flatMap { repository.files(under: $0, suffix: ".swift") }
    }

    /// The first word after each occurrence of a mark, for instance the case after
    /// `RequestConfig(.`.
    private func words(after mark: String, in text: String) -> [String] {
        var found: [String] = []
        var rest = text[...]
        while let range = rest.firstRange(of: mark) {
            rest = rest[range.upperBound...]
            let word = rest.drop { $0 == " " || $0 == "." }
                .prefix { $0.isLetter || $0.isNumber || $0 == "_" }
            if !word.isEmpty { found.append(String(word)) }
        }
        return found
    }

    private func cases(of path: String) -> Set<String> {
        Set(
            SourceScanner(repository.lines(path)).code.compactMap { line in
                let words = line.text.split(separator: " ")
                guard words.count == 4, words[0] == "case", words[2] == "=" else { return nil }
                return String(words[1])
            }
        )
    }

    @Test func `every inter-broker type is answered by a table or reserved`() {
        let folders = Self.peerTables.values.flatMap { $0 }
        guard folders.allSatisfy(repository.exists) else { return }
        let all = cases(of: "Modules/InterBrokerProtocol/InterBrokerRequestType.swift")
        #expect(all.count >= 17)
        var answered: Set<String> = []
        for (daemon, folders) in Self.peerTables {
            let rows = swiftFiles(folders).flatMap { words(after: "RequestConfig(", in: code($0)) }
            #expect(!rows.isEmpty, "\(daemon) answers nothing")
            #expect(Set(rows).count == rows.count, "\(daemon) has a type twice: \(rows.sorted())")
            answered.formUnion(rows)
        }
        #expect(all.subtracting(answered).subtracting(Self.reserved) == [], "not answered")
        #expect(answered.intersection(Self.reserved) == [], "answered, so not reserved any more")
        #expect(answered.subtracting(all) == [], "unknown types")
    }

    @Test func `a peer table is one file of each role`() {
        for folder in ["Modules/BrokerServer", "Modules/Controller"] {
            let files = swiftFiles([folder]).filter { code($0).contains("RequestConfig(.") }
            #expect(files.count <= 1, "\(files)")
        }
    }

    @Test func `every inter-broker handler stands in one table`() {
        for folders in Self.peerTables.values where folders.allSatisfy(repository.exists) {
            let files = swiftFiles(folders)
            let tables = files.map(code).filter { $0.contains("RequestConfig(.") }
            for path in files {
                let text = code(path)
                for keyword in ["struct ", "class "] {
                    for name in words(after: keyword, in: text)
                    where text.contains("\(name): InterBrokerRequestHandler") {
                        let places = tables.filter { $0.contains(name) }.count
                        #expect(places == 1, "\(name) stands in \(places) tables")
                    }
                }
            }
        }
    }

    @Test func `every Kafka API has one row, and every row is in the one table`() {
        let table = "Modules/BrokerServer/Listener/KafkaRequests.swift"
        guard repository.exists(table) else { return }
        for path in swiftFiles(["Modules/BrokerServer"]) where path != table {
            #expect(!code(path).contains("KafkaRequestEntry("), "\(path) has a row of its own")
        }
        let rows = words(after: "KafkaRequestEntry(.", in: code(table))
        let keys = cases(of: "Modules/KafkaProtocol/ApiKey.swift")
        #expect(Set(rows).count == rows.count, "twice in the table: \(rows.sorted())")
        #expect(Set(rows) == keys)
    }

    @Test func `every Kafka handler stands in the table`() {
        let table = "Modules/BrokerServer/Listener/KafkaRequests.swift"
        guard repository.exists(table) else { return }
        let rows = code(table)
        for path in repository.files(under: "Modules/BrokerServer/Handlers", suffix: ".swift") {
            let text = code(path)
            for keyword in ["struct ", "enum ", "class "] {
                for name in words(after: keyword, in: text)
                where name.hasSuffix("Handler") || name.hasSuffix("Handlers") {
                    #expect(rows.contains("\(name)."), "\(name) in \(path) answers nothing")
                }
            }
        }
    }
}
