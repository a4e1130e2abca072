import KafkaProtocol
import Model
import NIOCore
import Testing

/// Every message, in every version, with what its fields hold by default.
@Suite struct RoundTripTests {
    static let messages: [any KafkaMessage.Type] = [
        ProduceRequest.self, ProduceResponse.self, FetchRequest.self, FetchResponse.self,
        ListOffsetsRequest.self, ListOffsetsResponse.self, MetadataRequest.self,
        MetadataResponse.self, OffsetCommitRequest.self, OffsetCommitResponse.self,
        OffsetFetchRequest.self, OffsetFetchResponse.self, FindCoordinatorRequest.self,
        FindCoordinatorResponse.self, JoinGroupRequest.self, JoinGroupResponse.self,
        HeartbeatRequest.self, HeartbeatResponse.self, LeaveGroupRequest.self,
        LeaveGroupResponse.self, SyncGroupRequest.self, SyncGroupResponse.self,
        DescribeGroupsRequest.self, DescribeGroupsResponse.self, ListGroupsRequest.self,
        ListGroupsResponse.self, ApiVersionsRequest.self, ApiVersionsResponse.self,
        CreateTopicsRequest.self, CreateTopicsResponse.self, DeleteTopicsRequest.self,
        DeleteTopicsResponse.self, InitProducerIdRequest.self, InitProducerIdResponse.self,
        DescribeConfigsRequest.self, DescribeConfigsResponse.self,
        AlterPartitionReassignmentsRequest.self, AlterPartitionReassignmentsResponse.self,
        ListPartitionReassignmentsRequest.self, ListPartitionReassignmentsResponse.self,
        DescribeQuorumRequest.self, DescribeQuorumResponse.self, AddRaftVoterRequest.self,
        AddRaftVoterResponse.self, RemoveRaftVoterRequest.self, RemoveRaftVoterResponse.self,
        DescribeClusterRequest.self,
        DescribeClusterResponse.self, OffsetCommitKey.self, OffsetCommitValue.self,
        GroupMetadataKey.self, GroupMetadataValue.self, ConsumerProtocolSubscription.self,
        ConsumerProtocolAssignment.self,
    ]

    static func bytes<M: KafkaMessage>(_ message: M, _ version: Int16) -> ByteBuffer {
        var writer = KafkaWriter()
        message.write(to: &writer, version: version)
        return writer.buffer
    }

    static func check<M: KafkaMessage>(_ message: M, _ version: Int16) throws {
        let whole = bytes(message, version)
        var reader = KafkaReader(whole)
        let copy = try M(reading: &reader, version: version)
        try reader.expectEnd()
        #expect(bytes(copy, version) == whole, "\(M.self) version \(version)")
        for count in 0..<whole.readableBytes {
            var cut = KafkaReader(whole.getSlice(at: whole.readerIndex, length: count) ?? whole)
            #expect(throws: KafkaCodecError.self, "\(M.self) version \(version) cut at \(count)") {
                _ = try M(reading: &cut, version: version)
            }
        }
    }

    @Test func `every message in every version reads back, and never when cut`() throws {
        for type in Self.messages {
            for version in type.versions { try Self.check(type.init(), version) }
        }
    }

    @Test func `a filled produce request reads back with its records uncopied`() throws {
        for version in ProduceRequest.versions {
            var partition = ProduceRequest.TopicProduceData.PartitionProduceData()
            partition.index = 3
            partition.records = ByteBuffer(string: "not really a batch")
            var topic = ProduceRequest.TopicProduceData()
            topic.name = "orders"
            topic.partitionData = [partition, partition]
            var request = ProduceRequest()
            request.acks = -1
            request.timeoutMs = 30_000
            request.topicData = [topic]
            try Self.check(request, version)
        }
    }

    @Test func `a null topic list means all topics from version 1 on`() throws {
        var request = MetadataRequest()
        request.topics = nil
        for version in MetadataRequest.versions {
            var reader = KafkaReader(Self.bytes(request, version))
            let copy = try MetadataRequest(reading: &reader, version: version)
            #expect(copy.topics == (version == 0 ? [] : nil))
        }
    }

    @Test func `a tag with its default value is not written`() throws {
        var response = ApiVersionsResponse()
        let plain = Self.bytes(response, 3).readableBytes
        response.finalizedFeaturesEpoch = 7
        let tagged = Self.bytes(response, 3)
        #expect(tagged.readableBytes > plain)
        var reader = KafkaReader(tagged)
        #expect(try ApiVersionsResponse(reading: &reader, version: 3) == response)
    }

    @Test func `an unknown tag is read over`() throws {
        var bytes = Self.bytes(ApiVersionsResponse(), 3)
        bytes.moveWriterIndex(to: bytes.writerIndex - 1)
        bytes.writeBytes([1, 99, 3, 1, 2, 3])
        var reader = KafkaReader(bytes)
        #expect(try ApiVersionsResponse(reading: &reader, version: 3) == ApiVersionsResponse())
        try reader.expectEnd()
    }
}

@Suite struct HostileBytesTests {
    @Test func `lengths beyond the frame are refused before anything is allocated`() {
        let claims: [[UInt8]] = [
            [0x7f, 0xff, 0xff, 0xff], [0x80, 0, 0, 0], [0xff, 0xff, 0xff, 0xfe], [0, 0, 0, 9, 1],
        ]
        for claim in claims {
            var reader = KafkaReader(ByteBuffer(bytes: claim))
            #expect(throws: KafkaCodecError.self) {
                try reader.readArray(flexible: false) {
                    (inner: inout KafkaReader) throws(KafkaCodecError) in
                    try inner.readInteger(as: Int8.self)
                }
            }
        }
    }

    @Test func `varints of more than 32 bits are refused`() {
        for bytes: [UInt8] in [[0xff, 0xff, 0xff, 0xff, 0x1f], [0x80, 0x80, 0x80, 0x80, 0x80, 1]] {
            var reader = KafkaReader(ByteBuffer(bytes: bytes))
            #expect(throws: KafkaCodecError.badVarint) { try reader.readUnsignedVarint() }
        }
    }

    @Test func `text that is not UTF-8 is refused`() {
        var reader = KafkaReader(ByteBuffer(bytes: [0, 2, 0xc3, 0x28]))
        #expect(throws: KafkaCodecError.badText) { try reader.readString(flexible: false) }
    }

    @Test func `random bytes never trap a decoder`() {
        var random = Xorshift(state: 42)
        for _ in 0..<3000 {
            let bytes = (0..<Int(random.next() % 60)).map { _ in
                // Small numbers make plausible lengths.
                random.next() % 3 == 0
                    ? UInt8(truncatingIfNeeded: random.next()) : UInt8(random.next() % 4)
            }
            for type in RoundTripTests.messages { Self.read(type, bytes) }
        }
    }

    private static func read<M: KafkaMessage>(_ type: M.Type, _ bytes: [UInt8]) {
        for version in [type.versions.lowerBound, type.versions.upperBound] {
            var reader = KafkaReader(ByteBuffer(bytes: bytes))
            _ = try? M(reading: &reader, version: version)
        }
    }
}

@Suite struct HeaderTests {
    @Test func `a flexible request's header ends with tags, an ApiVersions answer's never does`()
        throws
    {
        for (version, size) in [(Int16(2), 2 + 2 + 4 + 2 + 1), (3, 2 + 2 + 4 + 2 + 1 + 1)] {
            let header = RequestHeader(
                apiKey: 18,
                apiVersion: version,
                correlationID: 5,
                clientID: "c"
            )
            var writer = KafkaWriter()
            header.write(to: &writer)
            #expect(writer.count == size)
            var reader = KafkaReader(writer.buffer)
            #expect(try RequestHeader(reading: &reader) == header)
            var answer = KafkaWriter()
            ResponseHeader(correlationID: 5).write(to: &answer, api: .apiVersions, version: version)
            #expect(answer.count == 4)
        }
        var answer = KafkaWriter()
        ResponseHeader(correlationID: 5).write(to: &answer, api: .metadata, version: 9)
        #expect(answer.count == 5)
    }
}

private struct Xorshift {
    var state: UInt64

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
