import InterBroker
import InterBrokerProtocol
import Model
import NIOCore
import NIOPosix
import Synchronization
import Testing

@Suite struct CallTests {
    @Test func `an empty address is a missing address`() async {
        let error = await #expect(throws: InterBrokerError.self) {
            try await connectToSpecificBroker("")
        }
        #expect(error?.description == "failed to connect to broker: missing address")
    }

    @Test func `a failed dial names the address and one reason`() async throws {
        let server = try await RawServer(answering: nil)
        let address = server.address
        try await server.close()
        let error = await #expect(throws: InterBrokerError.self) {
            try await connectToSpecificBroker(address)
        }
        #expect(
            error?.description == "failed to connect to broker \(address): connection refused"
        )
        let shape = await #expect(throws: InterBrokerError.self) {
            try await connectToSpecificBroker("nowhere")
        }
        #expect(
            shape?.description
                == "failed to connect to broker nowhere: not of the form host:port"
        )
    }

    @Test func `a start request goes there and back, with its four lines`() async throws {
        try await Peers.with { peers in
            let response = try await sendStartPartitionRaftGroupRequest(
                Peers.start(1001),
                to: peers.target,
                from: Peers.controller,
                options: peers.call
            )
            #expect(response.message == "started 1001")
            let address = peers.address.description
            let texts = peers.log.texts
            #expect(
                texts.contains(
                    "Sending StartPartitionRaftGroup request to \(address) "
                        + "for group 1001 (join=false)"
                )
            )
            #expect(
                texts.contains(
                    "Connected to broker at \(address) for StartPartitionRaftGroup request"
                )
            )
            let handling = texts.filter {
                $0.hasPrefix("Handling inter-broker request from 127.0.0.1:")
            }
            #expect(handling.count == 1)
        }
    }

    @Test func `a stop request goes there and back`() async throws {
        try await Peers.with { peers in
            let response = try await sendStopPartitionRaftGroupRequest(
                Peers.stop(1001),
                to: peers.target,
                from: Peers.controller,
                options: peers.call
            )
            #expect(response.message == "not running")
        }
    }

    @Test func `a batch uses one connection and is answered in order`() async throws {
        let seen = Mutex<[(peer: String, group: RaftGroupID)]>([])
        let table = [
            RequestConfig(
                .startPartitionRaftGroup,
                .interBroker,
                ClosureHandler<StartPartitionRaftGroupRequest> { request, context in
                    // Even numbers take longer, which must not let odd ones overtake them.
                    if request.raftGroupID.rawValue % 2 == 0 {
                        for _ in 0..<50 { await Task.yield() }
                    }
                    seen.withLock { $0.append((context.peer, request.raftGroupID)) }
                    return request.raftGroupID == 1003
                        ? .failure(.alreadyRunning)
                        : .success(.init(message: "\(request.raftGroupID)"))
                }
            )
        ]
        try await Peers.with(table) { peers in
            let groups = (1000..<1100).map { RaftGroupID(UInt64($0)) }
            let results = await sendStartPartitionRaftGroupRequests(
                groups.map(Peers.start),
                to: peers.target,
                from: Peers.controller,
                options: peers.call
            )
            #expect(results.count == 100)
            for (group, result) in zip(groups, results) {
                if group == 1003 {
                    #expect(result == .failure(.refused(.alreadyRunning)))
                } else {
                    #expect(result == .success(.init(message: "\(group)")))
                }
            }
            seen.withLock { seen in
                #expect(seen.map(\.group) == groups)
                #expect(Set(seen.map(\.peer)).count == 1)
            }
            let connected = peers.log.texts.filter { $0.hasPrefix("Connected to broker") }
            #expect(connected.count == 1)
            #expect(peers.metrics.requests(1003, "client", "ok") == 99)
            #expect(peers.metrics.requests(1003, "client", "refused") == 1)
            #expect(peers.metrics.requests(1003, "server", "ok") == 99)
            #expect(peers.metrics.requests(1003, "server", "refused") == 1)
            for side in ["client", "server"] {
                let key = "inter_broker_request_duration_seconds{type=1003,side=\(side)}"
                #expect(peers.metrics[key] == 100)
            }
        }
    }

    @Test func `a request that makes no sense is not sent`() async throws {
        try await Peers.with { peers in
            let results = await sendStartPartitionRaftGroupRequests(
                [Peers.start(1001), Peers.start(0), Peers.start(1002)],
                to: peers.target,
                from: Peers.controller,
                options: peers.call
            )
            #expect(
                results == [
                    .success(.init(message: "started 1001")),
                    .failure(.badRequest("invalid raft group ID")),
                    .success(.init(message: "started 1002")),
                ]
            )
        }
    }

    @Test func `the whole call has a deadline`() async throws {
        let server = try await RawServer(answering: nil)
        var options = CallOptions()
        options.deadline = .milliseconds(50)
        let metrics = CountingMetrics()
        options.metrics = metrics
        let target = InterBrokerTarget(id: 2, address: server.address)
        await #expect(throws: InterBrokerError.deadlineExceeded(address: server.address)) {
            try await sendControllerDiscoverRequest(
                .init(),
                to: target,
                from: Peers.controller,
                options: options
            )
        }
        #expect(metrics.requests(1000, "client", "deadline_exceeded") == 1)
        try await server.close()
    }

    @Test func `a connection that ends early is no answer`() async throws {
        let server = try await RawServer(answering: nil, thenCloses: true)
        let target = InterBrokerTarget(id: 2, address: server.address)
        await #expect(throws: InterBrokerError.connectionClosed(address: server.address)) {
            try await sendControllerDiscoverRequest(.init(), to: target, from: Peers.controller)
        }
        try await server.close()
    }

    @Test(arguments: [
        [UInt8](repeating: 0xff, count: 8), [0x7f, 0xff, 0xff, 0xff], [0, 0, 0, 1, 0x7b],
        [0, 0, 0, 2, 0x7b, 0x7d],
    ])
    func `bytes that are no answer are called so`(bytes: [UInt8]) async throws {
        let server = try await RawServer(answering: ByteBuffer(bytes: bytes))
        let target = InterBrokerTarget(id: 2, address: server.address)
        let error = await #expect(throws: InterBrokerError.self) {
            try await sendControllerDiscoverRequest(.init(), to: target, from: Peers.controller)
        }
        guard case .badAnswer = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        try await server.close()
    }

    @Test func `a cancelled call closes its connection`() async throws {
        let server = try await RawServer(answering: nil)
        let target = InterBrokerTarget(id: 2, address: server.address)
        let call = Task {
            try await sendControllerDiscoverRequest(.init(), to: target, from: Peers.controller)
        }
        call.cancel()
        await #expect(throws: InterBrokerError.connectionClosed(address: server.address)) {
            try await call.value
        }
        try await server.close()
    }

    @Test func `a cancelled call does not wait for its connection`() async throws {
        // Nobody accepts: what comes when the queue is full waits for as long as it likes.
        let listener = FullListener()
        defer { listener.close() }
        let target = InterBrokerTarget(id: 2, address: listener.address)
        let call = Task {
            try await sendControllerDiscoverRequest(.init(), to: target, from: Peers.controller)
        }
        call.cancel()
        await #expect(
            throws: InterBrokerError.connectFailed(address: target.address, reason: "cancelled")
        ) {
            try await call.value
        }
    }

    @Test func `a communicator holds nothing but its caller and settings`() async throws {
        try await Peers.with { peers in
            let communicator: any InterBrokerCommunicator = SimpleBrokerCommunicator(
                caller: Peers.controller,
                options: peers.call
            )
            let response = try await communicator.send(Peers.start(7), to: peers.target)
            #expect(response.message == "started 7")
            let results = await communicator.send(
                batch: [Peers.stop(7), Peers.stop(8)],
                to: peers.target
            )
            #expect(results.count == 2)
            try await eventually("no connection stays") { peers.listener.connectionCount == 0 }
        }
    }

    @Test func `a request keeps its id when it is sent again`() async throws {
        let ids = Mutex<[RequestID]>([])
        let table = [
            RequestConfig(
                .controllerDiscover,
                .controller,
                ClosureHandler<ControllerDiscoverRequest> { _, context in
                    ids.withLock { $0.append(context.header.requestID) }
                    return .success(.init())
                }
            )
        ]
        try await Peers.with(table) { peers in
            let id = RequestID(UniqueID(high: 9, low: 9))
            for _ in 0..<2 {
                _ = try await sendControllerDiscoverRequest(
                    .init(),
                    to: peers.target,
                    from: Peers.controller,
                    requestID: id,
                    options: peers.call
                )
            }
            _ = try await sendControllerDiscoverRequest(
                .init(),
                to: peers.target,
                from: Peers.controller,
                options: peers.call
            )
            let got = ids.withLock { $0 }
            #expect(got.count == 3 && got[0] == id && got[1] == id && got[2] != id)
        }
    }
}
