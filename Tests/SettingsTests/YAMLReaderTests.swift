import Testing

@testable import Settings

private func failure(_ text: String) -> YAMLReader.Failure? {
    do {
        _ = try YAMLReader.read(Array(text.utf8))
        return nil
    } catch { return error }
}

@Suite struct YAMLReaderTests {
    @Test func `lines are those of an editor`() throws {
        let root = try YAMLReader.read(Array("# note\na: 1\nb:\n  - x\n  - 'y'\n".utf8))
        guard case .mapping(let entries) = root?.content else {
            Issue.record("not a mapping: \(String(describing: root))")
            return
        }
        #expect(entries.map(\.key) == ["a", "b"])
        #expect(entries.map(\.line) == [2, 3])
        guard case .sequence(let items) = entries[1].value.content else {
            Issue.record("not a sequence")
            return
        }
        #expect(items.map(\.line) == [4, 5])
        #expect(items[1].content == .scalar("y", isQuoted: true))
    }

    @Test(
        arguments: [
            ("a: &x 1\nb: *x\n", 1, "anchors"),
            ("a: 1\nb: *x\n", 2, "aliases"),
            ("a: !!str 1\n", 1, "tags"),
            ("a: 1\n---\nb: 2\n", 2, "a second document"),
            ("a: 1\nb: 2\na: 3\n", 3, "\"a\" is given twice, the first time in line 1"),
            ("? [a]\n: 1\n", 1, "a key must be a plain word"),
            ("a: [1\n", 2, "this is not YAML"),
            ("a: b: c\n", 1, "this is not YAML"),
            ("\tx\n", 1, "this is not YAML"),
        ]
    ) func `what a settings file does not need is refused`(
        text: String,
        line: Int,
        start: String
    ) {
        let found = failure(text)
        #expect(found?.line == line)
        #expect(found?.sentence.hasPrefix(start) == true, "\(String(describing: found))")
    }

    @Test func `depth is bounded`() {
        let deepest = String(repeating: "[", count: 16) + String(repeating: "]", count: 16)
        #expect(failure(deepest) == nil)
        #expect(failure("[" + deepest + "]") == nil)
        #expect(failure("[[" + deepest + "]]")?.sentence == "nested deeper than 16 levels")
        let bomb = String(repeating: "[", count: 100_000)
        #expect(failure(bomb)?.sentence == "nested deeper than 16 levels")
    }

    @Test func `size is bounded`() {
        let comment = "#" + String(repeating: "x", count: YAMLReader.bytesMax - 1)
        #expect(failure(comment) == nil)
        #expect(failure(comment + "x")?.sentence.contains("at most 262144 are read") == true)
        #expect(failure("a: \0")?.sentence.contains("zero byte") == true)
    }

    @Test func `no cut of a good file traps`() {
        let text = Array("a: {b: [1, \"x\\u00e9\"], c: 'd'}\ne: |\n  text\n  more\n".utf8)
        for length in 0...text.count { _ = try? YAMLReader.read(Array(text[..<length])) }
        for position in text.indices {
            for byte in [UInt8(0xff), 0x80, 0x7f, 0x0a, 0x5b, 0x22] {
                var changed = text
                changed[position] = byte
                _ = try? YAMLReader.read(changed)
            }
        }
    }
}
