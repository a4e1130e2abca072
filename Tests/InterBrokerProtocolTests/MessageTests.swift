import InterBrokerProtocol
import Model
import NIOCore
import Testing

@Suite struct MessageTests {
    private func text(_ value: some Encodable) throws -> String {
        String(buffer: try InterBrokerJSON.encode(value))
    }

    private func decode<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
        try InterBrokerJSON.decode(type, from: ByteBuffer(string: text))
    }

    @Test func `every request type has a sample, a name and its number`() {
        #expect(Samples.all.map { type(of: $0).type } == InterBrokerRequestType.allCases)
        #expect(InterBrokerRequestType.allCases.map(\.rawValue) == Array(1000...1020))
        #expect(Set(InterBrokerRequestType.allCases.map(\.name)).count == 21)
    }

    @Test func `every request survives its JSON, beside the common fields`() throws {
        for sample in Samples.all { try roundTrip(sample) }
    }

    private func roundTrip<Body: InterBrokerRequest>(_ body: Body) throws {
        let envelope = RequestEnvelope(header: Samples.header, body: body)
        let bytes = try InterBrokerJSON.encode(envelope)
        #expect(try InterBrokerJSON.decode(RequestEnvelope<Body>.self, from: bytes) == envelope)
        #expect(body.validate() == nil)
    }

    @Test func `the JSON of a start request is fixed`() throws {
        let envelope = RequestEnvelope(header: Samples.header, body: Samples.start)
        let id = "11111111-1111-4111-8111-111111111111"
        #expect(
            try text(envelope)
                == #"{"cluster_id":"\#(id)","controller_epoch":7,"directory_id":"\#(id)","#
                + #""join":false,"node_members":{"4294967297":"broker1:9192","#
                + #""8589934593":"broker2:9192"},"partition_id":0,"raft_group_id":1001,"#
                + #""request_id":"\#(id)","sender_id":1,"sender_role":"controller","#
                + #""target_id":2,"topic_id":"\#(id)","topic_name":"test-topic"}"#
        )
    }

    @Test func `the JSON of a stop request is fixed`() throws {
        let id = "11111111-1111-4111-8111-111111111111"
        #expect(
            try text(Samples.stop)
                == #"{"directory_id":"\#(id)","node_id":8589934593,"partition_id":0,"purge":true,"#
                + #""raft_group_id":1001,"topic_id":"\#(id)","topic_name":"test-topic"}"#
        )
    }

    @Test func `what was added later may be absent`() throws {
        let id = "11111111-1111-4111-8111-111111111111"
        let report = try decode(
            ReportLeadersRequest.self,
            #"{"session":"\#(id)","leaders":[]}"#
        )
        #expect(report.members == [])
        let hosted = try decode(HostedReplica.self, #"{"group":1001,"node":4294967297}"#)
        #expect(!hosted.isSuspect)
        #expect(try text(hosted) == #"{"group":1001,"node":4294967297}"#)
        let stop = try decode(
            StopPartitionRaftGroupRequest.self,
            #"{"raft_group_id":1001,"topic_id":"\#(id)","topic_name":"t","partition_id":0}"#
        )
        #expect(stop.nodeID == nil && !stop.purge)
    }

    @Test func `the JSON of answers is fixed`() throws {
        #expect(
            try text(Answer.success(StopPartitionRaftGroupResponse(message: "not running")))
                == #"{"error":"","message":"not running","success":true}"#
        )
        #expect(
            try text(Answer<StartPartitionRaftGroupResponse>.refused(.alreadyRunning))
                == #"{"error":"Raft group already running","message":"","success":false}"#
        )
        #expect(
            try text(
                Answer<CreateTopicsResponse>.refused(
                    .notControllerLeader(leaderID: 2, leaderAddress: "c2:9190")
                )
            )
                == #"{"error":"not controller leader","leader_address":"c2:9190","#
                + #""leader_id":2,"message":"","success":false}"#
        )
    }

    @Test func `an answer is read without the fields that only a success has`() throws {
        let refused = try decode(
            Answer<RegisterBrokerResponse>.self,
            #"{"success":false,"error":"no"}"#
        )
        #expect(refused == .refused(Refusal("no")))
        #expect(throws: InterBrokerCodingError.missingField("cluster_id")) {
            try decode(Answer<RegisterBrokerResponse>.self, #"{"success":true}"#)
        }
        #expect(throws: InterBrokerCodingError.missingField("success")) {
            try decode(Answer<RegisterBrokerResponse>.self, #"{"error":"x"}"#)
        }
    }

    @Test(arguments: [
        "cluster_id", "sender_role", "sender_id", "target_id", "request_id", "raft_group_id",
        "topic_id", "topic_name", "partition_id", "node_members", "join", "directory_id",
    ])
    func `a missing field of a start request is refused by its name`(name: String) throws {
        let whole = try text(RequestEnvelope(header: Samples.header, body: Samples.start))
        let without = whole.replacing("\"\(name)\":", with: "\"other_\(name)\":")
        #expect(without != whole)
        let error = #expect(throws: InterBrokerCodingError.self) {
            try decode(RequestEnvelope<StartPartitionRaftGroupRequest>.self, without)
        }
        #expect(error?.description == "missing field: \(name)")
    }

    @Test func `null is a missing field`() throws {
        let whole = try text(Samples.stop)
        let null = whole.replacing("\"topic_name\":\"test-topic\"", with: "\"topic_name\":null")
        #expect(throws: InterBrokerCodingError.missingField("topic_name")) {
            try decode(StopPartitionRaftGroupRequest.self, null)
        }
    }

    @Test func `a field of another kind is refused by its name`() throws {
        let whole = try text(Samples.stop)
        let wrong = whole.replacing("\"partition_id\":0", with: "\"partition_id\":\"0\"")
        #expect(throws: InterBrokerCodingError.invalidField("partition_id")) {
            try decode(StopPartitionRaftGroupRequest.self, wrong)
        }
        let large = whole.replacing("\"partition_id\":0", with: "\"partition_id\":99999999999")
        #expect(throws: InterBrokerCodingError.numberOutOfRange) {
            try decode(StopPartitionRaftGroupRequest.self, large)
        }
        let uuid = whole.replacing("\"topic_id\":\"11111111", with: "\"topic_id\":\"1111111")
        #expect(throws: InterBrokerCodingError.invalidField("topic_id")) {
            try decode(StopPartitionRaftGroupRequest.self, uuid)
        }
    }

    @Test func `a missing field in a list is refused with its place`() {
        let error = #expect(throws: InterBrokerCodingError.self) {
            try decode(
                CreateTopicsRequest.self,
                #"{"topics":[{"name":"a","partitions":1,"replication_factor":1},{"name":"b"}]}"#
            )
        }
        #expect(error?.description == "missing field: topics[1].partitions")
    }

    @Test func `unknown fields are ignored`() throws {
        let whole = try text(Samples.start)
        let more = "{\"later\":{\"a\":[1,2]}," + whole.dropFirst()
        #expect(try decode(StartPartitionRaftGroupRequest.self, more) == Samples.start)
    }

    @Test func `bytes that are not JSON are called so`() {
        for bad in ["", "x", "{", "[1,2", "\"", "{\"a\":}", "\u{0}", "nul"] {
            #expect(throws: InterBrokerCodingError.notJSON, "\(bad)") {
                try decode(RequestHeader.self, bad)
            }
        }
        #expect(throws: InterBrokerCodingError.notJSON) {
            try InterBrokerJSON.decode(
                RequestHeader.self,
                from: ByteBuffer(bytes: [0x7b, 0xff, 0xfe])
            )
        }
        #expect(throws: InterBrokerCodingError.notJSON) { try decode(RequestHeader.self, "[]") }
    }

    @Test func `deep nesting is refused and does not overflow the stack`() {
        let deep = "{\"x\":" + String(repeating: "[", count: 1_000_000)
        #expect(throws: InterBrokerCodingError.self) { try decode(RequestHeader.self, deep) }
    }

    @Test func `a sender without a cluster says so with an empty cluster id`() throws {
        var header = Samples.header
        header.clusterID = nil
        let bytes = try text(header)
        #expect(bytes.contains("\"cluster_id\":\"\""))
        #expect(try decode(RequestHeader.self, bytes).clusterID == nil)
    }

    @Test func `a start request names what cannot be`() {
        var request = Samples.start
        request.raftGroupID = 0
        #expect(request.validate()?.error == "invalid raft group ID")
        request = Samples.start
        request.nodeMembers = [:]
        #expect(request.validate()?.error == "invalid field: node_members")
        for key in ["x", "0", "+7", "007", "-1", "18446744073709551616"] {
            request.nodeMembers = [key: "a:1"]
            #expect(request.validate()?.error == "invalid field: node_members", "\(key)")
        }
        request.nodeMembers = ["1": "nowhere"]
        #expect(request.validate()?.error == "invalid field: node_members")
        request = Samples.start
        request.topicName = "../etc"
        #expect(request.validate()?.error == "invalid field: topic_name")
        request = Samples.start
        request.partitionID = -1
        #expect(request.validate()?.error == "invalid field: partition_id")
        var stop = Samples.stop
        stop.raftGroupID = 0
        #expect(stop.validate()?.error == "invalid raft group ID")
    }

    @Test func `members are in the order of their node ids`() {
        let members: [(node: NodeID, address: String)] = [
            (NodeID(owner: 10, incarnation: 1), "c:1"), (NodeID(owner: 9, incarnation: 1), "b:1"),
        ]
        var request = Samples.start
        request.nodeMembers = StartPartitionRaftGroupRequest.nodeMembers(members)
        #expect(request.members?.map(\.node.owner) == [9, 10])
        #expect(request.members?.map(\.address) == ["b:1", "c:1"])
    }

    @Test func `limits of single types are held`() {
        #expect(AllocateProducerIDsRequest(count: 1001).validate() != nil)
        #expect(AllocateProducerIDsRequest(count: 0).validate() != nil)
        let hello = RaftStreamRequest(session: SessionID(Samples.id), formatVersion: 99)
        #expect(hello.validate()?.error == "unsupported Raft stream version 99")
    }

    @Test func `each role may ask only what belongs to it`() {
        func allowed(_ sender: SenderRole, _ receiver: SenderRole) -> [Int32] {
            InterBrokerRequestType.allCases
                .filter { $0.isAllowed(from: sender, to: receiver) }
                .map(\.rawValue)
        }
        #expect(allowed(.controller, .broker) == [1000, 1003, 1004, 1008])
        #expect(allowed(.broker, .broker) == [1000, 1014, 1016])
        #expect(allowed(.controller, .controller) == [1000, 1001, 1002, 1014, 1020])
        #expect(
            allowed(.broker, .controller)
                == [1000, 1001, 1002, 1005, 1006, 1007] + Array(1009...1013) + [1015]
                + Array(1017...1020)
        )
    }
}
