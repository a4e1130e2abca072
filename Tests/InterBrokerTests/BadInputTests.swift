import InterBroker
import InterBrokerProtocol
import Model
import NIOCore
import Testing

@Suite struct BadInputTests {
    private let id = "00000000-0000-0001-0000-000000000001"

    private var header: String {
        #""cluster_id":"\#(id)","sender_role":"controller","sender_id":1,"target_id":2,"#
            + #""request_id":"\#(id)","controller_epoch":5"#
    }

    /// The listener lives on and answers the next good request.
    private func serves(_ peers: Peers) async throws {
        let response = try await sendStartPartitionRaftGroupRequest(
            Peers.start(1001),
            to: peers.target,
            from: Peers.controller,
            options: peers.call
        )
        #expect(response.message == "started 1001")
    }

    @Test func `an unknown type gets an answer and a closed connection`() async throws {
        try await Peers.with { peers in
            let raw = try await RawPeer(to: peers.address)
            await raw.send(type: 4711, length: 2, "{}")
            #expect(
                try await raw.closed()
                    == #"{"error":"unknown request type 4711","message":"","success":false}"#
            )
            #expect(peers.metrics.refusals("bad_frame") == 1)
            try await serves(peers)
        }
    }

    @Test(arguments: [-1, Int32.min, 16_777_217, Int32.max] as [Int32])
    func `a length that cannot be gets an answer and a closed connection`(
        length: Int32
    ) async throws {
        try await Peers.with { peers in
            let raw = try await RawPeer(to: peers.address)
            await raw.send(type: 1003, length: length)
            let answer = try await raw.closed()
            #expect(answer.contains(length < 0 ? "negative frame length" : "exceeds the limit"))
            #expect(peers.metrics.refusals("bad_frame") == 1)
            #expect(peers.log.texts.contains { $0.hasPrefix("Refused inter-broker peer") })
            try await serves(peers)
        }
    }

    @Test func `bytes that are not JSON get an answer and a closed connection`() async throws {
        try await Peers.with { peers in
            for body in ["", "GET / HTTP/1.1\r\n", "[]", "{\"cluster_id\":"] {
                let raw = try await RawPeer(to: peers.address)
                await raw.send(.startPartitionRaftGroup, body)
                #expect(
                    try await raw.closed()
                        == #"{"error":"not JSON","message":"","success":false}"#,
                    "\(body)"
                )
            }
            #expect(peers.metrics.refusals("bad_request") == 4)
            try await serves(peers)
        }
    }

    @Test func `a missing field is named, a common one or one of the request's own`()
        async throws
    {
        try await Peers.with { peers in
            let raw = try await RawPeer(to: peers.address)
            await raw.send(.startPartitionRaftGroup, #"{"cluster_id":""}"#)
            #expect(try await raw.closed().contains("missing field: sender_role"))
            let second = try await RawPeer(to: peers.address)
            await second.send(
                .startPartitionRaftGroup,
                #"{\#(header),"raft_group_id":1001,"join":false}"#
            )
            #expect(try await second.closed().contains("missing field: topic_id"))
            #expect(peers.metrics.refusals("bad_request") == 2)
            try await serves(peers)
        }
    }

    @Test func `group 0 is refused and the connection lives on`() async throws {
        try await Peers.with { peers in
            let raw = try await RawPeer(to: peers.address)
            let rest =
                #""topic_id":"\#(id)","topic_name":"t","partition_id":0,"purge":false"#
            await raw.send(.stopPartitionRaftGroup, #"{\#(header),"raft_group_id":0,\#(rest)}"#)
            await raw.send(.stopPartitionRaftGroup, #"{\#(header),"raft_group_id":9,\#(rest)}"#)
            try await eventually("both are answered") { raw.answers().count == 2 }
            #expect(
                raw.answers() == [
                    #"{"error":"invalid raft group ID","message":"","success":false}"#,
                    #"{"error":"","message":"not running","success":true}"#,
                ]
            )
            await raw.close()
        }
    }

    @Test func `half a request and silence is ended by the clock`() async throws {
        let change: (inout ListenerOptions, inout PeerChecks) -> Void = { options, _ in
            options.requestTimeout = .milliseconds(60)
        }
        try await Peers.with(change: change) { peers in
            let raw = try await RawPeer(to: peers.address)
            await raw.send(type: 1003, length: 100, "{\"clu")
            #expect(try await raw.closed() == "")
            #expect(peers.metrics.refusals("half_request") == 1)
            try await serves(peers)
        }
    }

    @Test func `one byte after the other does not prolong the time`() async throws {
        let change: (inout ListenerOptions, inout PeerChecks) -> Void = { options, _ in
            options.requestTimeout = .milliseconds(500)
        }
        try await Peers.with(change: change) { peers in
            let raw = try await RawPeer(to: peers.address)
            await raw.send(type: 1003, length: 1 << 20)
            var sent = 0
            while raw.channel.isActive, sent < 1_000_000 {
                await raw.send(ByteBuffer(string: " "))
                sent += 1
            }
            #expect(try await raw.closed() == "")
            #expect(sent > 1 && sent < 1_000_000)
            #expect(peers.metrics.refusals("half_request") == 1)
        }
    }

    @Test func `a peer that leaves in the middle of a request is counted`() async throws {
        try await Peers.with { peers in
            let raw = try await RawPeer(to: peers.address)
            await raw.send(type: 1003, length: 100, "{")
            await raw.close()
            try await eventually("it is counted") {
                peers.metrics.refusals("half_request") == 1
            }
        }
    }

    @Test func `a silent connection is closed`() async throws {
        let change: (inout ListenerOptions, inout PeerChecks) -> Void = { options, _ in
            options.idleTimeout = .milliseconds(50)
        }
        try await Peers.with(change: change) { peers in
            let raw = try await RawPeer(to: peers.address)
            #expect(try await raw.closed() == "")
            #expect(peers.metrics.keys.isEmpty)
        }
    }

    @Test func `requests beyond the waiting limit wait in the socket`() async throws {
        let change: (inout ListenerOptions, inout PeerChecks) -> Void = { options, _ in
            options.waitingRequestsMax = 1
        }
        try await Peers.with(change: change) { peers in
            let raw = try await RawPeer(to: peers.address)
            let body =
                #"{\#(header),"raft_group_id":9,"topic_id":"\#(id)","topic_name":"t","#
                + #""partition_id":0}"#
            for _ in 0..<200 { await raw.send(.stopPartitionRaftGroup, body) }
            try await eventually("all are answered") { raw.answers().count == 200 }
            await raw.close()
        }
    }

    @Test func `requests of all connections together are bounded`() async throws {
        let change: (inout ListenerOptions, inout PeerChecks) -> Void = { options, _ in
            options.bufferedBytesMax = 100_000
        }
        try await Peers.with(change: change) { peers in
            let raw = try await RawPeer(to: peers.address)
            await raw.send(
                type: 1003,
                length: 1_000_000,
                String(repeating: " ", count: 500_000)
            )
            #expect(try await raw.closed() == "")
            #expect(peers.metrics.refusals("memory_limit") == 1)
            try await serves(peers)
        }
    }

    @Test func `shutdown closes open connections and accepts no more`() async throws {
        try await Peers.with { peers in
            let raw = try await RawPeer(to: peers.address)
            try await eventually("it is open") { peers.listener.connectionCount == 1 }
            await peers.listener.shutdown()
            #expect(try await raw.closed() == "")
            await #expect(throws: InterBrokerError.self) {
                try await connectToSpecificBroker(peers.address.description)
            }
        }
    }
}
