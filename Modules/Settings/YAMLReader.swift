import CYAML

/// Reads one YAML document through libyaml's events into a tree of bounded size and depth.
///
/// Aliases, anchors, tags, second documents and repeated keys are refused: none of them helps a
/// settings file, and aliases can grow a small file without limit.
struct YAMLReader {
    /// The largest file, in bytes.
    static let bytesMax = 256 * 1024
    /// The deepest nesting of lists and groups.
    static let depthMax = 16

    struct Failure: Error, Equatable {
        var line: Int?
        var sentence: String
    }

    /// On the heap, since libyaml keeps a pointer to the parser inside it.
    let parser: UnsafeMutablePointer<yaml_parser_t>

    /// The document's root; nil when the text holds only comments.
    static func read(_ bytes: [UInt8]) throws(Failure) -> YAMLNode? {
        guard bytes.count <= bytesMax else {
            throw Failure(
                line: nil,
                sentence: "the file has \(bytes.count) bytes, but at most \(bytesMax) are read"
            )
        }
        guard !bytes.contains(0) else {
            throw Failure(line: nil, sentence: "the file holds a zero byte, it is not text")
        }
        var result: Result<YAMLNode?, Failure> = .success(nil)
        bytes.withUnsafeBufferPointer { input in
            let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
            defer { parser.deallocate() }
            guard yaml_parser_initialize(parser) == 1 else {
                result = .failure(Failure(line: nil, sentence: "no memory for the YAML parser"))
                return
            }
            defer { yaml_parser_delete(parser) }
            yaml_parser_set_input_string(parser, input.baseAddress, input.count)
            let reader = YAMLReader(parser: parser)
            result = Result { () throws(Failure) in try reader.document() }
        }
        return try result.get()
    }

    /// What Settings needs of one event; the C event is freed before this is used.
    private enum Event {
        case streamStart
        case streamEnd
        case documentStart
        case documentEnd
        case scalar(String, isQuoted: Bool)
        case sequenceStart
        case sequenceEnd
        case mappingStart
        case mappingEnd
    }

    private func next() throws(Failure) -> (event: Event, line: Int) {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw syntaxFailure() }
        defer { yaml_event_delete(&event) }
        let line = Int(event.start_mark.line) + 1
        switch event.type {
        case YAML_STREAM_START_EVENT, YAML_NO_EVENT: return (.streamStart, line)
        case YAML_STREAM_END_EVENT: return (.streamEnd, line)
        case YAML_DOCUMENT_START_EVENT: return (.documentStart, line)
        case YAML_DOCUMENT_END_EVENT: return (.documentEnd, line)
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            try refuse(anchor: scalar.anchor, tag: scalar.tag, line)
            let bytes = UnsafeBufferPointer(start: scalar.value, count: Int(scalar.length))
            let isQuoted = scalar.style != YAML_PLAIN_SCALAR_STYLE
            return (.scalar(String(decoding: bytes, as: UTF8.self), isQuoted: isQuoted), line)
        case YAML_SEQUENCE_START_EVENT:
            let start = event.data.sequence_start
            try refuse(anchor: start.anchor, tag: start.tag, line)
            return (.sequenceStart, line)
        case YAML_SEQUENCE_END_EVENT: return (.sequenceEnd, line)
        case YAML_MAPPING_START_EVENT:
            let start = event.data.mapping_start
            try refuse(anchor: start.anchor, tag: start.tag, line)
            return (.mappingStart, line)
        case YAML_MAPPING_END_EVENT: return (.mappingEnd, line)
        case YAML_ALIAS_EVENT:
            throw Failure(line: line, sentence: "aliases (*name) are refused, write the value out")
        default:
            throw Failure(line: line, sentence: "an unknown kind of YAML")
        }
    }

    private func refuse(
        anchor: UnsafeMutablePointer<UInt8>?,
        tag: UnsafeMutablePointer<UInt8>?,
        _ line: Int
    ) throws(Failure) {
        if anchor != nil {
            throw Failure(line: line, sentence: "anchors (&name) are refused, write the value out")
        }
        if tag != nil {
            throw Failure(line: line, sentence: "tags (!name) are refused, write the plain value")
        }
    }

    private func syntaxFailure() -> Failure {
        let problem = parser.pointee.problem.map { String(cString: $0) } ?? "not YAML"
        let line = Int(parser.pointee.problem_mark.line) + 1
        return Failure(line: line, sentence: "this is not YAML: \(problem)")
    }

    private func document() throws(Failure) -> YAMLNode? {
        var root: YAMLNode?
        while true {
            let (event, line) = try next()
            switch event {
            case .streamStart, .documentEnd: continue
            case .streamEnd: return root
            case .documentStart:
                guard root == nil else {
                    throw Failure(line: line, sentence: "a second document (---) is refused")
                }
                let (first, firstLine) = try next()
                root = try node(first, firstLine, depth: 0)
            default:
                throw Failure(line: line, sentence: "this is not YAML: content outside a document")
            }
        }
    }

    /// Reads the node that begins with an event; recursion is bounded by ``depthMax``.
    private func node(
        _ event: Event,
        _ line: Int,
        depth: Int
    ) throws(Failure) -> YAMLNode {
        guard depth <= Self.depthMax else {
            throw Failure(line: line, sentence: "nested deeper than \(Self.depthMax) levels")
        }
        switch event {
        case .scalar(let text, let isQuoted):
            return YAMLNode(line: line, content: .scalar(text, isQuoted: isQuoted))
        case .sequenceStart:
            var items: [YAMLNode] = []
            while true {
                let (event, itemLine) = try next()
                if case .sequenceEnd = event { break }
                items.append(try node(event, itemLine, depth: depth + 1))
            }
            return YAMLNode(line: line, content: .sequence(items))
        case .mappingStart:
            return YAMLNode(line: line, content: .mapping(try entries(depth: depth)))
        default:
            throw Failure(line: line, sentence: "this is not YAML: an end without a beginning")
        }
    }

    private func entries(depth: Int) throws(Failure) -> [YAMLEntry] {
        var entries: [YAMLEntry] = []
        var lines: [String: Int] = [:]
        while true {
            let (event, line) = try next()
            if case .mappingEnd = event { return entries }
            guard case .scalar(let key, _) = event else {
                throw Failure(line: line, sentence: "a key must be a plain word")
            }
            if let earlier = lines.updateValue(line, forKey: key) {
                throw Failure(
                    line: line,
                    sentence: "\"\(key)\" is given twice, the first time in line \(earlier)"
                )
            }
            let (value, valueLine) = try next()
            let node = try node(value, valueLine, depth: depth + 1)
            entries.append(YAMLEntry(key: key, line: line, value: node))
        }
    }
}
