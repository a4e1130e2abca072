import Glibc

/// Loads a settings file: parses it, hands its keys to a body, reports all problems.
enum SettingsFile {
    static func load<Value>(
        path: String,
        _ body: (SettingsReader) -> Value?
    ) throws(SettingsError) -> Value {
        try parse(readBytes(path), file: path, body)
    }

    static func parse<Value>(
        _ bytes: [UInt8],
        file: String,
        _ body: (SettingsReader) -> Value?
    ) throws(SettingsError) -> Value {
        func failure(_ line: Int?, _ sentence: String) -> SettingsError {
            SettingsError(file: file, problems: [.init(line: line, sentence: sentence)])
        }
        let root: YAMLNode?
        do { root = try YAMLReader.read(bytes) } catch { throw failure(error.line, error.sentence) }
        var entries: [YAMLEntry] = []
        switch root?.content {
        case nil, .scalar("", isQuoted: false): break
        case .mapping(let found): entries = found
        default: throw failure(root?.line, "the file must hold keys, one \"key: value\" per line")
        }
        let problems = SettingsReader.Problems()
        let reader = SettingsReader(entries, problems: problems)
        let value = body(reader)
        reader.finish()
        guard let value, problems.list.isEmpty else {
            let list = problems.list
            guard list.isEmpty else { throw SettingsError(file: file, problems: list) }
            throw failure(nil, "the settings are not complete")
        }
        return value
    }

    private static func readBytes(_ path: String) throws(SettingsError) -> [UInt8] {
        func failure(_ what: String) -> SettingsError {
            let reason = String(cString: strerror(errno))
            return SettingsError(
                file: path,
                problems: [.init(line: nil, sentence: "cannot \(what) the file: \(reason)")]
            )
        }
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard file >= 0 else { throw failure("open") }
        defer { close(file) }
        // One byte more than is allowed shows that the file is too large.
        var bytes = [UInt8](repeating: 0, count: YAMLReader.bytesMax + 1)
        var count = 0
        while count < bytes.count {
            let more = bytes.withUnsafeMutableBytes { buffer in
                read(file, buffer.baseAddress.map { $0 + count }, buffer.count - count)
            }
            if more < 0 && errno == EINTR { continue }
            guard more >= 0 else { throw failure("read") }
            if more == 0 { break }
            count += more
        }
        return Array(bytes[..<count])
    }
}
