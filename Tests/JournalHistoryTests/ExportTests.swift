import Testing

@testable import JournalHistory

@Suite struct ExportTests {
    /// Two entries as journalctl 252 writes them, the second with a value of two lines.
    static let text: [UInt8] =
        Array("__CURSOR=s=1\n__REALTIME_TIMESTAMP=1700000000000001\n_HOSTNAME=a\n".utf8)
        + Array("MESSAGE=one = 1\nPRIORITY=6\nMARTLET_GROUP=1001\n\n".utf8)
        + Array("__REALTIME_TIMESTAMP=1700000000000002\nMESSAGE\n".utf8)
        + [7, 0, 0, 0, 0, 0, 0, 0] + Array("two\nthr\n_HOSTNAME=b\n\n".utf8)

    private func read(_ pieces: [ArraySlice<UInt8>]) -> [JournalEntry] {
        var export = JournalExport()
        var entries: [JournalEntry] = []
        for piece in pieces {
            export.append(piece)
            while let entry = export.next() { entries.append(entry) }
        }
        if let entry = export.end() { entries.append(entry) }
        return entries
    }

    @Test func `entries are read however the text is cut`() {
        for cut in 0...Self.text.count {
            let entries = read([Self.text[..<cut], Self.text[cut...]])
            #expect(entries.map(\.message) == ["one = 1", "two\nthr"])
            #expect(entries.map(\.host) == ["a", "b"])
            #expect(entries.map(\.time) == [1_700_000_000_000_001, 1_700_000_000_000_002])
            #expect(entries[0].fields["MARTLET_GROUP"] == "1001")
            #expect(entries[0].fields["PRIORITY"] == nil, "nobody asks for it")
        }
        #expect(read(Self.text.indices.map { Self.text[$0...$0] }).count == 2)
    }

    @Test func `the last entry needs no blank line, and one without a time is none`() {
        #expect(read([Self.text.dropLast()]).count == 2)
        #expect(read([Array("MESSAGE=lost\n\n".utf8)[...]]).isEmpty)
    }

    @Test func `the daemon's own time counts more than the journal's`() {
        let text = "__REALTIME_TIMESTAMP=9\n_SOURCE_REALTIME_TIMESTAMP=5\n\n"
        #expect(read([Array(text.utf8)[...]]).map(\.time) == [5])
    }

    @Test func `no bytes trap`() {
        for place in Self.text.indices {
            for byte: UInt8 in [0, 0x0a, 0x3d, 0xff] {
                var text = Self.text
                text[place] = byte
                _ = read([text[...]])
            }
        }
        let long = Array("MESSAGE\n".utf8) + [UInt8](repeating: 0xff, count: 8)
        #expect(read([(long + [0x0a, 0x0a] + Self.text)[...]]).count == 2)
    }
}
