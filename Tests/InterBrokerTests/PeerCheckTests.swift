import InterBroker
import InterBrokerProtocol
import Model
import NIOCore
import NIOPosix
import Security
import Testing

@Suite struct PeerCheckTests {
    private func refused(
        _ peers: Peers,
        _ caller: InterBrokerCaller,
        target: Int32 = 2
    ) async -> String {
        do {
            let target = InterBrokerTarget(id: target, address: peers.address.description)
            let response = try await sendStartPartitionRaftGroupRequest(
                Peers.start(1001),
                to: target,
                from: caller,
                options: peers.call
            )
            return "success: \(response.message)"
        } catch {
            return error.description
        }
    }

    @Test func `an IP address off the list is refused at accept`() async throws {
        let list = try IPAllowList(texts: ["10.0.0.0/8"])
        let change: (inout ListenerOptions, inout PeerChecks) -> Void = { _, checks in
            checks.allowList = list
        }
        try await Peers.with(change: change) { peers in
            let raw = try await RawPeer(to: peers.address)
            #expect(try await raw.closed() == "")
            try await eventually("it is counted") {
                peers.metrics.refusals("ip_not_allowed") == 1
            }
            #expect(
                peers.log.texts.contains {
                    $0.hasPrefix("Refused inter-broker peer 127.0.0.1:")
                        && $0.hasSuffix(": IP address not allowed")
                }
            )
        }
    }

    @Test func `a changed list counts for new connections and for open ones`() async throws {
        try await Peers.with { peers in
            let early = try await RawPeer(to: peers.address)
            try await eventually("it is open") { peers.listener.connectionCount == 1 }
            peers.listener.use(try IPAllowList(texts: ["10.0.0.0/8"]))
            #expect(try await early.closed() == "")
            let late = try await RawPeer(to: peers.address)
            #expect(try await late.closed() == "")
            try await eventually("both are counted") {
                peers.metrics.refusals("ip_not_allowed") == 2
            }
            peers.listener.use(try IPAllowList(texts: ["127.0.0.0/8"]))
            let text = await refused(peers, Peers.controller, target: 7)
            #expect(text == "wrong target ID 7: this is broker 2")
        }
    }

    @Test func `a wrong target is refused`() async throws {
        try await Peers.with { peers in
            let text = await refused(peers, Peers.controller, target: 7)
            #expect(text == "wrong target ID 7: this is broker 2")
            #expect(peers.metrics.refusals("wrong_target") == 1)
            #expect(peers.metrics.requests(1003, "server", "refused") == 1)
        }
    }

    @Test func `a sender with an impossible number is refused`() async throws {
        try await Peers.with { peers in
            var caller = Peers.controller
            caller.id = -4
            #expect(await refused(peers, caller) == "unknown peer: controller -4")
            #expect(peers.metrics.refusals("identity") == 1)
        }
    }

    @Test func `another cluster and no cluster are refused`() async throws {
        try await Peers.with { peers in
            var caller = Peers.controller
            caller.clusterID = ClusterID(UniqueID(high: 8, low: 8))
            let text = await refused(peers, caller)
            #expect(text.hasPrefix("wrong cluster ID 00000000-0000-0008-0000-000000000008"))
            caller.clusterID = nil
            #expect(await refused(peers, caller).hasPrefix("wrong cluster ID: none given"))
            #expect(peers.metrics.refusals("wrong_cluster") == 2)
            // Looking for a cluster is allowed to those who have none or another one.
            _ = try await sendControllerDiscoverRequest(
                .init(),
                to: peers.target,
                from: caller,
                options: peers.call
            )
        }
    }

    @Test func `a daemon without a cluster listens to anyone's`() async throws {
        try await Peers.with(clusterID: nil) { peers in
            #expect(await refused(peers, Peers.controller) == "success: started 1001")
        }
    }

    @Test func `a broker may not start groups on another broker`() async throws {
        try await Peers.with { peers in
            var caller = Peers.broker
            caller.controllerEpoch = 9
            #expect(
                await refused(peers, caller)
                    == "request type StartPartitionRaftGroup not allowed for broker"
            )
            #expect(peers.metrics.refusals("type_not_allowed") == 1)
            #expect(peers.store.saved.isEmpty, "its epoch must not count")
        }
    }

    @Test func `a known type that is not in the table is refused`() async throws {
        try await Peers.with { peers in
            await #expect(
                throws: InterBrokerError.refused(
                    Refusal("unknown request type 1006 on this listener")
                )
            ) {
                try await sendBrokerHeartbeatRequest(
                    BrokerHeartbeatRequest(
                        session: SessionID(.zero),
                        metadataVersion: 1,
                        digest: ""
                    ),
                    to: peers.target,
                    from: Peers.broker,
                    options: peers.call
                )
            }
        }
    }

    @Test func `an older controller epoch is refused, after the newer one was stored`()
        async throws
    {
        try await Peers.with { peers in
            var caller = Peers.controller
            for epoch: ControllerEpoch in [5, 5, 7] {
                caller.controllerEpoch = epoch
                #expect(await refused(peers, caller) == "success: started 1001")
            }
            #expect(peers.store.saved == [5, 7])
            caller.controllerEpoch = 6
            #expect(await refused(peers, caller) == "stale controller epoch 6: newest seen is 7")
            #expect(peers.metrics.refusals("stale_controller_epoch") == 1)
        }
    }

    @Test func `an order without an epoch misses a field`() async throws {
        try await Peers.with { peers in
            var caller = Peers.controller
            caller.controllerEpoch = nil
            #expect(await refused(peers, caller) == "missing field: controller_epoch")
        }
    }

    @Test func `an epoch that cannot be stored is not accepted`() async throws {
        try await Peers.with { peers in
            peers.store.fail(true)
            let text = await refused(peers, Peers.controller)
            #expect(text == "controller epoch 5 could not be stored")
            peers.store.fail(false)
            #expect(await refused(peers, Peers.controller) == "success: started 1001")
        }
    }

    @Test func `epochs are stored in order however many arrive at once`() async throws {
        let store = MemoryEpochStore()
        let gate = ControllerEpochGate(newest: 3, store: store)
        await withTaskGroup(of: Void.self) { tasks in
            for epoch in 1...60 {
                tasks.addTask { try? await gate.admit(ControllerEpoch(UInt64(epoch))) }
            }
        }
        #expect(store.saved == store.saved.sorted())
        #expect(Set(store.saved).count == store.saved.count)
        #expect(store.saved.allSatisfy { $0 > 3 })
        #expect(await gate.newest == 60)
        #expect(store.saved.last == 60)
    }

    @Test func `connections beyond the limit are refused`() async throws {
        let change: (inout ListenerOptions, inout PeerChecks) -> Void = { options, _ in
            options.connectionsMax = 2
        }
        try await Peers.with(change: change) { peers in
            let first = try await RawPeer(to: peers.address)
            let second = try await RawPeer(to: peers.address)
            try await eventually("two are open") { peers.listener.connectionCount == 2 }
            let third = try await RawPeer(to: peers.address)
            #expect(try await third.closed() == "")
            #expect(peers.metrics.refusals("too_many_connections") == 1)
            await first.close()
            await second.close()
            try await eventually("both are gone") { peers.listener.connectionCount == 0 }
            #expect(await refused(peers, Peers.controller) == "success: started 1001")
        }
    }

    @Test func `one kind of refusal fills no journal`() async throws {
        try await Peers.with { peers in
            for _ in 0..<20 { _ = await refused(peers, Peers.controller, target: 7) }
            #expect(peers.metrics.refusals("wrong_target") == 20)
            let lines = peers.log.texts.filter { $0.hasPrefix("Refused inter-broker peer") }
            #expect(lines.count == 5)
        }
    }

    @Test func `without TLS only loopback is bound, unless that is asked for`() async throws {
        func listener(_ insecure: Bool) -> InterBrokerListener {
            var options = ListenerOptions()
            options.insecurePeers = insecure
            return InterBrokerListener(
                address: Address(host: "0.0.0.0", port: 0),
                requestConfigs: [],
                checks: PeerChecks(
                    allowList: .everyone,
                    role: .broker,
                    id: 1,
                    clusterID: { nil }
                ),
                options: options,
                group: MultiThreadedEventLoopGroup.singleton,
                logger: LogCapture().logger
            )
        }
        let error = await #expect(throws: InterBrokerError.self) {
            try await listener(false).start()
        }
        #expect(error?.description.contains("insecure_peers: true") == true)
        let open = listener(true)
        try await open.start()
        await open.shutdown()
    }
}
