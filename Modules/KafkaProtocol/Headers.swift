/// What stands before a request's body.
///
/// - Shape: key int16, version int16, correlation id int32, client id; flexible versions end with
///   tagged fields, and their client id still has a length of 16 bits.
public struct RequestHeader: Equatable, Sendable {
    /// The API's number, known or not.
    public var apiKey: Int16
    /// The version of the body.
    public var apiVersion: Int16
    /// The client's number for the request; the answer repeats it.
    public var correlationID: Int32
    /// The client's name, or nil.
    public var clientID: String?

    /// Joins the fields.
    public init(apiKey: Int16, apiVersion: Int16, correlationID: Int32, clientID: String?) {
        self.apiKey = apiKey
        self.apiVersion = apiVersion
        self.correlationID = correlationID
        self.clientID = clientID
    }

    /// Reads the header; an unknown API is taken for inflexible, so that it can be refused by name.
    public init(reading reader: inout KafkaReader) throws(KafkaCodecError) {
        apiKey = try reader.readInteger()
        apiVersion = try reader.readInteger()
        correlationID = try reader.readInteger()
        clientID = try reader.readNullableString(flexible: false)
        if let api = ApiKey(rawValue: apiKey), apiVersion >= KafkaVersions.firstFlexible(api),
            KafkaVersions.served(api)?.contains(apiVersion) == true
        {
            try reader.skipTaggedFields()
        }
    }

    /// Writes the header.
    public func write(to writer: inout KafkaWriter) {
        writer.writeInteger(apiKey)
        writer.writeInteger(apiVersion)
        writer.writeInteger(correlationID)
        writer.writeNullableString(clientID, flexible: false)
        if let api = ApiKey(rawValue: apiKey), apiVersion >= KafkaVersions.firstFlexible(api) {
            writer.writeUnsignedVarint(0)
        }
    }
}

/// What stands before a response's body.
///
/// - Shape: correlation id int32; flexible versions end with tagged fields, but never those of
///   ApiVersions, whose reader does not know yet which version it gets (KIP-511).
public struct ResponseHeader: Equatable, Sendable {
    /// The number of the request.
    public var correlationID: Int32

    /// Answers a request.
    public init(correlationID: Int32) { self.correlationID = correlationID }

    /// Reads the header of an answer to a request of the given API and version.
    public init(
        reading reader: inout KafkaReader,
        api: ApiKey,
        version: Int16
    ) throws(KafkaCodecError) {
        correlationID = try reader.readInteger()
        if Self.isFlexible(api, version) { try reader.skipTaggedFields() }
    }

    /// Writes the header of an answer to a request of the given API and version.
    public func write(to writer: inout KafkaWriter, api: ApiKey, version: Int16) {
        writer.writeInteger(correlationID)
        if Self.isFlexible(api, version) { writer.writeUnsignedVarint(0) }
    }

    private static func isFlexible(_ api: ApiKey, _ version: Int16) -> Bool {
        api != .apiVersions && version >= KafkaVersions.firstFlexible(api)
    }
}
