import KafkaProtocol

/// ApiVersions: what is answered here, in which versions.
///
/// - Source: kafka.md a.3: each rule below has broken some client's day.
enum ApiVersionsHandler {
    static func handle(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        guard let range = KafkaVersions.served(.apiVersions), range.contains(request.version)
        else { return answerUnknownVersion(request) }
        let body = try ApiVersionsRequest(reading: &reader, version: request.version)
        var response = ApiVersionsResponse()
        if request.version >= 3 {
            guard isName(body.clientSoftwareName), isName(body.clientSoftwareVersion) else {
                response.errorCode = KafkaError.invalidRequest.rawValue
                return request.answer { response.write(to: &$0, version: request.version) }
            }
            request.connection.softwareName = body.clientSoftwareName
            request.connection.softwareVersion = body.clientSoftwareVersion
        }
        response.apiKeys = ranges
        // No feature is supported or finalized, so no tag is written: librdkafka before 2.2
        // cannot skip tags, and Debian 12 ships 2.0.2.
        request.answer { response.write(to: &$0, version: request.version) }
    }

    /// Error 35 in the body of version 0, with the versions that would have been understood.
    private static func answerUnknownVersion(_ request: KafkaRequest) {
        var response = ApiVersionsResponse()
        response.errorCode = KafkaError.unsupportedVersion.rawValue
        response.apiKeys = ranges.filter { $0.apiKey == ApiKey.apiVersions.rawValue }
        request.answer { response.write(to: &$0, version: 0) }
    }

    private static let ranges: [ApiVersionsResponse.ApiVersion] = KafkaRequests.all.map {
        var range = ApiVersionsResponse.ApiVersion()
        range.apiKey = $0.api.rawValue
        range.minVersion = $0.advertised.lowerBound
        range.maxVersion = $0.advertised.upperBound
        return range
    }

    /// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`, as Kafka checks it.
    static func isName(_ text: String) -> Bool {
        func isLetterOrDigit(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: false
            }
        }
        guard let first = text.utf8.first, let last = text.utf8.last else { return false }
        return isLetterOrDigit(first) && isLetterOrDigit(last)
            && text.utf8.allSatisfy {
                isLetterOrDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
            }
    }
}
