import Glibc
import Testing

@testable import Systemd

@Suite struct MessageIDTests {
    @Test func `ids are 128 bits and differ`() {
        let texts = MessageID.all.map(\.description)
        #expect(Set(texts).count == texts.count)
        for text in texts {
            #expect(text.utf8.count == 32)
            #expect(text.allSatisfy { $0.isHexDigit && !$0.isUppercase })
        }
    }

    @Test func `the catalog explains every id, in the same order`() throws {
        let root = try #require(#filePath.split(separator: "/Tests/SystemdTests/").first)
        let file = try #require(fopen("\(root)/systemd/catalog/martlet.catalog", "r"))
        defer { fclose(file) }
        var ids: [String] = []
        var subjects = 0
        var line = [CChar](repeating: 0, count: 4096)
        while fgets(&line, Int32(line.count), file) != nil {
            let end = line.firstIndex(of: 0) ?? line.count
            let bytes = line[..<end].map { UInt8(bitPattern: $0) }
            let text = String(decoding: bytes, as: UTF8.self)
            if text.hasPrefix("-- ") { ids.append(String(text.dropFirst(3).prefix(32))) }
            if text.hasPrefix("Subject: ") { subjects += 1 }
        }
        #expect(ids == MessageID.all.map(\.description))
        #expect(subjects == ids.count)
    }
}
