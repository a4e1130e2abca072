import KafkaProtocol
import Model
import NIOCore
import Testing

/// Our codecs against the bytes of two other implementations, kio and kafka-python.
@Suite struct GoldenTests {
    let file: GoldenFile

    init() throws { file = try GoldenFile() }

    private static let types: [String: any KafkaMessage.Type] = Dictionary(
        RoundTripTests.messages.map { (String(describing: $0), $0) },
        uniquingKeysWith: { first, _ in first }
    )

    @Test func `every message in every version has golden bytes`() {
        var present: Set<String> = []
        for golden in file.messages {
            let kind = golden.isRequest ? "request" : "response"
            if let key = golden.key {
                present.insert("\(key) \(kind) \(golden.version) \(golden.variant)")
            }
            present.insert(golden.title)
            #expect(Self.types[golden.name]?.versions.contains(golden.version) == true)
        }
        for variant in GoldenVariant.allCases {
            for api in ApiKey.allCases {
                for version in KafkaVersions.served(api).map(Array.init) ?? [] {
                    for kind in ["request", "response"] {
                        let line = "\(api.rawValue) \(kind) \(version) \(variant)"
                        #expect(present.contains(line), "\(api): run make_golden.py")
                    }
                }
            }
            for (name, type) in Self.types {
                for version in type.versions {
                    let title = "\(name) \(version) \(variant)"
                    #expect(present.contains(title), "\(title): run make_golden.py")
                }
            }
        }
    }

    @Test func `golden bytes are read to their end and written back the same`() throws {
        for golden in file.messages {
            guard let (header, message) = Self.read(golden.bytes, golden) else { continue }
            var writer = KafkaWriter()
            try header?.write(to: &writer, golden)
            message.write(to: &writer, version: golden.version)
            #expect(writer.buffer == ByteBuffer(bytes: golden.bytes), "\(golden.title)")
        }
    }

    @Test func `each field holds what was written for its name`() {
        for golden in file.messages {
            guard let (header, message) = Self.read(golden.bytes, golden) else { continue }
            var check = GoldenCheck(golden: golden, fields: file.fields[golden.name] ?? [:])
            check.structure(message)
            #expect(check.wrong == [], "\(golden.title)")
            if golden.variant == .full {
                #expect(check.missing == [], "\(golden.title)")
            }
            #expect(header?.isExpected(golden) ?? (golden.key == nil), "\(golden.title)")
        }
    }

    @Test func `unknown tags are read over in every flexible message`() {
        // Tag 40,000 of three bytes, as a later version of Kafka might add it.
        let unknown: [UInt8] = [1, 0xc0, 0xb8, 0x02, 3, 7, 8, 9]
        var flexible = 0
        for golden in file.messages where golden.variant == .least {
            guard let key = golden.key, let api = ApiKey(rawValue: key),
                golden.version >= KafkaVersions.firstFlexible(api)
            else { continue }
            var bytes = golden.bytes
            // The least message ends with its own count of tags.
            #expect(bytes.popLast() == 0)
            bytes += unknown
            if golden.isRequest || api != .apiVersions {
                let position = golden.isRequest ? 2 + 2 + 4 + 2 : 4
                #expect(bytes[position] == 0)
                bytes.replaceSubrange(position...position, with: unknown)
            }
            guard let (_, message) = Self.read(bytes, golden),
                let (_, plain) = Self.read(golden.bytes, golden)
            else { continue }
            #expect(Self.written(message, golden) == Self.written(plain, golden))
            flexible += 1
        }
        #expect(flexible >= 2 * ApiKey.allCases.count)
    }

    // MARK: Reading and writing

    /// Reads to the last byte; what fails is recorded, so that the other messages have their turn.
    private static func read(
        _ bytes: [UInt8],
        _ golden: GoldenFile.Message
    ) -> (header: GoldenHeader?, message: any KafkaMessage)? {
        var reader = KafkaReader(ByteBuffer(bytes: bytes))
        do {
            let type = try #require(types[golden.name])
            let header = try golden.key.map { _ in try GoldenHeader(reading: &reader, golden) }
            let message = try type.init(reading: &reader, version: golden.version)
            try reader.expectEnd()
            return (header, message)
        } catch {
            Issue.record("\(golden.title): \(error), with \(reader.bytesLeft) bytes left")
            return nil
        }
    }

    private static func written(
        _ message: any KafkaMessage,
        _ golden: GoldenFile.Message
    ) -> ByteBuffer {
        var writer = KafkaWriter()
        message.write(to: &writer, version: golden.version)
        return writer.buffer
    }
}

/// The header of a golden request or response.
private enum GoldenHeader {
    case request(RequestHeader)
    case response(ResponseHeader)

    init(reading reader: inout KafkaReader, _ golden: GoldenFile.Message) throws {
        if golden.isRequest {
            self = .request(try RequestHeader(reading: &reader))
        } else {
            let api = try #require(golden.key.flatMap { ApiKey(rawValue: $0) })
            let version = golden.version
            self = .response(try ResponseHeader(reading: &reader, api: api, version: version))
        }
    }

    func write(to writer: inout KafkaWriter, _ golden: GoldenFile.Message) throws {
        switch self {
        case .request(let header): header.write(to: &writer)
        case .response(let header):
            let api = try #require(golden.key.flatMap { ApiKey(rawValue: $0) })
            header.write(to: &writer, api: api, version: golden.version)
        }
    }

    func isExpected(_ golden: GoldenFile.Message) -> Bool {
        let variant = golden.variant
        switch self {
        case .request(let header):
            return header
                == RequestHeader(
                    apiKey: golden.key ?? -1,
                    apiVersion: golden.version,
                    correlationID: variant.integer("correlationId"),
                    clientID: variant.isNull("clientId") ? nil : variant.string("clientId")
                )
        case .response(let header):
            return header == ResponseHeader(correlationID: variant.integer("correlationId"))
        }
    }
}

/// Compares the fields of a message with what the golden values say, by their names.
private struct GoldenCheck {
    let golden: GoldenFile.Message
    let fields: [String: GoldenFile.Field]
    private(set) var wrong: [String] = []
    private var seen: Set<String> = []

    init(golden: GoldenFile.Message, fields: [String: GoldenFile.Field]) {
        self.golden = golden
        self.fields = fields
    }

    /// Fields that Kafka has in this version and our message has not.
    var missing: [String] {
        fields.filter { $0.value.versions.contains(golden.version) && !seen.contains($0.key) }
            .keys.sorted()
    }

    /// Compares a structure; `path` has the numbers of elements and `name` has not.
    mutating func structure(_ value: Any, path: String = "", name: String = "") {
        for child in Mirror(reflecting: value).children {
            let label = child.label ?? "?"
            guard let field = fields[name + label] else {
                wrong.append("\(name)\(label) is not a field of Kafka's")
                continue
            }
            // What is absent from the version, or from the tags, holds its default.
            guard field.versions.contains(golden.version) else { continue }
            seen.insert(name + label)
            if field.isTagged && golden.variant == .least { continue }
            compare(child.value, path + label, name + label)
        }
    }

    private mutating func compare(_ value: Any, _ path: String, _ name: String) {
        let variant = golden.variant
        let isRight: Bool
        let mirror = Mirror(reflecting: value)
        if mirror.displayStyle == .optional && mirror.children.isEmpty {
            isRight = variant.isNull(path)
        } else if let number = value as? any FixedWidthInteger {
            isRight = isEqual(number, path)
        } else if let flag = value as? Bool {
            isRight = flag == variant.bool(path)
        } else if let text = value as? String {
            isRight = text == variant.string(path)
        } else if let uuid = value as? UniqueID {
            isRight = uuid == variant.uuid(path)
        } else if let bytes = value as? ByteBuffer {
            isRight = bytes == variant.bytes(path)
        } else if let elements = value as? [Any] {
            isRight = compare(elements: elements, path, name)
        } else {
            return structure(value, path: path + ".", name: name + ".")
        }
        if !isRight { wrong.append("\(path) is \(value)") }
    }

    private mutating func compare(elements: [Any], _ path: String, _ name: String) -> Bool {
        let isStructure = fields.keys.contains { $0.hasPrefix(name + ".") }
        for (index, element) in elements.enumerated() {
            let inner = "\(path)[\(index)]"
            if isStructure {
                structure(element, path: inner + ".", name: name + ".")
            } else {
                compare(element, inner, name)
            }
        }
        return elements.count == golden.variant.elementCount(path, isStructure: isStructure)
    }

    private func isEqual<T: FixedWidthInteger>(_ number: T, _ path: String) -> Bool {
        number == golden.variant.integer(path, as: T.self)
    }
}
