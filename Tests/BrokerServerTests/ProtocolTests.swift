import KafkaProtocol
import NIOCore
import Testing

@testable import BrokerServer

/// What the listener does with odd requests and odd bytes.
@Suite struct ProtocolTests {
    private func request(_ key: Int16, _ version: Int16, _ body: [UInt8] = []) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeInteger(Int32(10 + body.count))
        bytes.writeInteger(key)
        bytes.writeInteger(version)
        bytes.writeInteger(Int32(42))
        bytes.writeInteger(Int16(-1))
        bytes.writeBytes(body)
        return bytes
    }

    @Test(arguments: [Int16(0), 1, 2, 3])
    func `ApiVersions lists what is served`(version: Int16) async throws {
        let broker = try await TestBroker.start()
        let client = try await broker.client()
        var ask = ApiVersionsRequest()
        ask.clientSoftwareName = "librdkafka"
        ask.clientSoftwareVersion = "2.0.2"
        let answer = try await client.call(.apiVersions, version, ask, ApiVersionsResponse.self)
        #expect(answer.errorCode == 0)
        #expect(answer.apiKeys.count == KafkaRequests.all.count)
        let produce = try #require(answer.apiKeys.first { $0.apiKey == 0 })
        #expect(produce.minVersion == 0)
        #expect(produce.maxVersion == 9)
        try await broker.stop()
    }

    @Test func `the answer to ApiVersions ends without tags that old clients cannot skip`()
        async throws
    {
        let broker = try await TestBroker.start()
        let client = try await broker.client()
        var ask = ApiVersionsRequest()
        ask.clientSoftwareName = "librdkafka"
        ask.clientSoftwareVersion = "2.0.2"
        let bytes = try await client.send(TestClient.frame(.apiVersions, 3, ask)).get()
        // Correlation id, error, a count, 7 bytes for each API, throttle time, and no tags.
        #expect(bytes.readableBytes == 4 + 2 + 1 + 7 * KafkaRequests.all.count + 4 + 1)
        #expect(bytes.readableBytesView.last == 0)
        try await broker.stop()
    }

    @Test func `an unknown version of ApiVersions is answered in version 0`() async throws {
        let broker = try await TestBroker.start()
        let client = try await broker.client()
        let bytes = try await client.send(request(18, 99, [1, 2, 3])).get()
        let answer = try TestClient.decode(bytes, .apiVersions, 0, ApiVersionsResponse.self)
        #expect(answer.errorCode == 35)
        #expect(answer.apiKeys.map(\.apiKey) == [18])
        // The connection is still of use.
        let next = try await client.call(
            .apiVersions,
            0,
            ApiVersionsRequest(),
            ApiVersionsResponse.self
        )
        #expect(next.errorCode == 0)
        try await broker.stop()
    }

    @Test func `a client that calls itself by no name is refused`() async throws {
        let broker = try await TestBroker.start()
        let client = try await broker.client()
        var ask = ApiVersionsRequest()
        ask.clientSoftwareName = "no name!"
        ask.clientSoftwareVersion = "1"
        let answer = try await client.call(.apiVersions, 3, ask, ApiVersionsResponse.self)
        #expect(answer.errorCode == 42)
        try await broker.stop()
    }

    @Test func `what cannot be understood closes the connection and is logged`() async throws {
        let broker = try await TestBroker.start()
        let cases: [(ByteBuffer, String)] = [
            (request(4711, 0), "unknown API key 4711"),
            (request(0, 2), "unsupported version 2 of produce"),
            (request(1, 99), "unsupported version 99 of fetch"),
            (request(3, 9), "malformed request"),
            (request(3, 1, [0x7f, 0xff, 0xff, 0xff]), "malformed request"),
            (ByteBuffer(integer: Int32(-1)), "negative frame size -1"),
            (ByteBuffer(integer: Int32.max), "exceeds the limit"),
            (ByteBuffer(bytes: [0, 0, 0, 1, 9]), "no request header"),
        ]
        for (bytes, reason) in cases {
            let client = try await broker.client()
            try await client.push(bytes)
            try await client.waitForClose()
            #expect(broker.log.texts.contains { $0.contains(reason) }, "\(reason)")
        }
        try await broker.stop()
    }

    @Test func `answers to pipelined requests come in their order`() async throws {
        let broker = try await TestBroker.start()
        let client = try await broker.client()
        var frames = ByteBuffer()
        for _ in 0..<200 {
            frames.writeImmutableBuffer(
                TestClient.frame(.metadata, 9, MetadataRequest())
            )
        }
        for future in client.send(frames, answers: 200) {
            let answer = try TestClient.decode(
                try await future.get(),
                .metadata,
                9,
                MetadataResponse.self
            )
            #expect(answer.brokers.count == 1)
        }
        try await broker.stop()
    }

    @Test func `more requests than the limit wait until the first are answered`() async throws {
        let broker = try await TestBroker.start { $0.limits.requestsInFlightMax = 2 }
        try await broker.createTopic("t")
        let client = try await broker.client()
        var futures: [EventLoopFuture<ByteBuffer>] = []
        for _ in 0..<20 {
            futures.append(
                client.send(
                    TestClient.frame(.fetch, 11, ServingTests.fetchRequest("t", 0, wait: 5))
                )
            )
        }
        for future in futures {
            let answer = try TestClient.decode(
                try await future.get(),
                .fetch,
                11,
                FetchResponse.self
            )
            #expect(answer.errorCode == 0)
        }
        try await broker.stop()
    }

    @Test func `connections over the limit are closed`() async throws {
        let broker = try await TestBroker.start { $0.limits.connectionsMax = 1 }
        let first = try await broker.client()
        let second = try await broker.client()
        try await second.waitForClose()
        #expect(broker.log.texts.contains { $0.hasPrefix("Refused the connection of client") })
        let answer = try await first.call(
            .apiVersions,
            0,
            ApiVersionsRequest(),
            ApiVersionsResponse.self
        )
        #expect(answer.errorCode == 0)
        try await broker.stop()
    }
}
