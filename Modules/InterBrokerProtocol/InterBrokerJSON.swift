import FoundationEssentials
public import NIOCore

/// Why JSON was not understood, or not written.
public enum InterBrokerCodingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The bytes are not JSON, or not a JSON object.
    case notJSON
    /// A field is missing; its JSON name.
    case missingField(String)
    /// A field holds a value of another kind, or one out of range; its JSON name.
    case invalidField(String)
    /// Some number is too large for its field; which one is not known.
    case numberOutOfRange
    /// A value cannot be written as JSON.
    case notEncodable(String)

    /// A sentence for the log and for the answer.
    public var description: String {
        switch self {
        case .notJSON: "not JSON"
        case .missingField(let name): "missing field: \(name)"
        case .invalidField(let name): "invalid field: \(name)"
        case .numberOutOfRange: "number out of range"
        case .notEncodable(let reason): "not encodable: \(reason)"
        }
    }
}

/// The JSON of requests and answers: UTF-8, keys sorted, unknown fields ignored.
public enum InterBrokerJSON {
    /// Reads a value; the error names the field that is missing or wrong.
    public static func decode<Value: Decodable>(
        _ type: Value.Type,
        from bytes: ByteBuffer
    ) throws(InterBrokerCodingError) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes.readableBytesView))
        } catch let error as DecodingError {
            throw reason(of: error, in: bytes)
        } catch {
            throw .notJSON
        }
    }

    /// Writes a value with sorted keys.
    public static func encode(
        _ value: some Encodable
    ) throws(InterBrokerCodingError) -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return ByteBuffer(bytes: try encoder.encode(value))
        } catch {
            throw .notEncodable("\(error)")
        }
    }

    private static func isObject(_ bytes: ByteBuffer) -> Bool {
        (try? JSONDecoder().decode(ObjectOfAnyFields.self, from: Data(bytes.readableBytesView)))
            != nil
    }

    private static func reason(
        of error: DecodingError,
        in bytes: ByteBuffer
    ) -> InterBrokerCodingError {
        switch error {
        case .keyNotFound(let key, let context): .missingField(path(context.codingPath + [key]))
        case .valueNotFound(_, let context): .missingField(path(context.codingPath))
        case .typeMismatch(_, let context):
            context.codingPath.isEmpty ? .notJSON : .invalidField(path(context.codingPath))
        case .dataCorrupted(let context):
            if !context.codingPath.isEmpty {
                .invalidField(path(context.codingPath))
            } else if isObject(bytes) {
                // Numbers that do not fit are reported like bad JSON, without their place.
                .numberOutOfRange
            } else {
                .notJSON
            }
        @unknown default: .notJSON
        }
    }

    /// `topics[2].name`, as the sender would write it.
    private static func path(_ keys: [any CodingKey]) -> String {
        var text = ""
        for key in keys {
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
            }
        }
        return text
    }
}

/// A JSON object, whatever is in it.
private struct ObjectOfAnyFields: Decodable {
    private enum CodingKeys: CodingKey {}

    init(from decoder: any Decoder) throws {
        _ = try decoder.container(keyedBy: CodingKeys.self)
    }
}

extension Refusal {
    /// The answer to a request whose JSON was not understood.
    public init(_ error: InterBrokerCodingError) { self.init(error.description) }
}
