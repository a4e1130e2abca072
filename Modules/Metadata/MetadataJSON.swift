import FoundationEssentials

/// The one JSON form of metadata: keys sorted, no white space.
enum MetadataJSON {
    static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return [UInt8](try encoder.encode(value))
        } catch {
            // Integers, texts and arrays of them always have a JSON form.
            preconditionFailure("metadata without a JSON form: \(error)")
        }
    }

    static func decode<Value: Decodable>(
        _ type: Value.Type,
        from bytes: [UInt8]
    ) throws(MetadataError) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let error as MetadataError {
            throw error
        } catch let error as DecodingError {
            throw .malformed(reason(error))
        } catch {
            throw .malformed("\(error)")
        }
    }

    private static func reason(_ error: DecodingError) -> String {
        switch error {
        case .keyNotFound(let key, _): "missing field: \(key.stringValue)"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            "invalid field: \(context.codingPath.map(\.stringValue).joined(separator: "."))"
        case .dataCorrupted(let context):
            context.codingPath.isEmpty
                ? "not JSON"
                : "invalid field: \(context.codingPath.map(\.stringValue).joined(separator: "."))"
        @unknown default: "not understood"
        }
    }
}
