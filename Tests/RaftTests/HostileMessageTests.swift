import Model
import Raft
import Testing

/// Whatever peers send, the process goes on.
@Suite struct HostileMessageTests {
    private func number(_ random: inout Random) -> UInt64 {
        switch random.below(8) {
        case 0: .max
        case 1: .max - UInt64(random.below(3))
        case 2: 1 << 62
        case 3: random.next()
        default: UInt64(random.below(12))
        }
    }

    private func message(_ random: inout Random, _ node: borrowing RaftNode) -> Message {
        var message = Message(
            type: MessageType.allCases[random.below(MessageType.allCases.count)]
        )
        message.to = 1
        message.from = NodeID(UInt64(random.below(6)))
        message.term = random.below(3) == 0 ? Term(number(&random)) : node.term
        message.logTerm = Term(number(&random))
        message.index = LogIndex(number(&random))
        message.commit = LogIndex(number(&random))
        message.reject = random.below(3) == 0
        message.rejectHint = LogIndex(number(&random))
        if random.below(2) == 0 { message.context = number(&random) }
        if random.below(3) > 0 { message.logTerm = min(message.logTerm, 3) }
        var index = message.index
        for _ in 0..<random.below(4) {
            index =
                random.below(9) > 0 && index.rawValue < .max ? index + 1 : LogIndex(number(&random))
            message.entries.append(
                Entry(
                    term: Term(random.below(4) > 0 ? message.term.rawValue : number(&random)),
                    index: index,
                    type: [.normal, .confChange, .confChangeV2][random.below(3)],
                    payload: Payload((0..<random.below(20)).map { _ in UInt8(random.below(5)) })
                )
            )
        }
        if random.below(6) == 0 {
            let ids = (0..<random.below(5)).map { _ in NodeID(UInt64(random.below(5))) }
            message.snapshot = Snapshot(
                metadata: SnapshotMetadata(
                    index: LogIndex(number(&random)),
                    term: Term(number(&random)),
                    confState: ConfState(voters: ids, learners: Array(ids.dropFirst(3)))
                )
            )
        }
        return message
    }

    @Test(arguments: 0..<40)
    func `no message from outside stops the process`(seed: Int) throws {
        var random = Random(seed: UInt64(seed + 1))
        let solo = SoloNode(
            terms: [1, 1, 2],
            seed: UInt64(seed),
            configure: {
                $0.preVote = seed % 2 == 0
                $0.checkQuorum = seed % 3 == 0
                $0.disableProposalForwarding = seed % 5 != 0
            }
        )
        for _ in 0..<2_000 {
            let message = message(&random, solo.node)
            _ = message.isAcceptableFromPeer
            if !message.from.isLocalThread { try? solo.node.step(message) }
            if random.below(4) == 0 { solo.drain() }
            if random.below(8) == 0 { solo.tick(random.below(12)) }
            if random.below(50) == 0 { try? solo.lead() }
            if random.below(20) == 0 { try? solo.propose("x") }
        }
        solo.drain()
        #expect(solo.node.applied <= solo.node.commit)
        #expect(solo.node.commit <= solo.node.lastIndex)
    }

    @Test func `what only this process may send is not acceptable from peers`() {
        for type: MessageType in [.hup, .beat, .storageAppendResponse, .forgetLeader] {
            #expect(!Message(type: type, from: 2, term: 1).isAcceptableFromPeer)
        }
        let disguised = Message(type: .heartbeat, from: .localAppendThread, term: 1)
        #expect(!disguised.isAcceptableFromPeer)
        #expect(Message(type: .heartbeat, from: 2, term: 1).isAcceptableFromPeer)
        let gap = Message(type: .append, from: 2, term: 1, entries: [Entry(term: 1, index: 5)])
        #expect(!gap.isAcceptableFromPeer)
    }

    @Test func `local messages cannot be stepped, nor answers of strangers`() {
        let solo = SoloNode()
        #expect(throws: RaftError.localMessage) {
            try solo.node.step(Message(type: .hup, from: 2))
        }
        #expect(throws: RaftError.peerNotFound) {
            try solo.node.step(Message(type: .appendResponse, from: 9, term: 1))
        }
    }

    @Test(
        arguments: [
            { $0.id = 0 }, { $0.electionTicks = 1 }, { $0.heartbeatTicks = 0 },
            { $0.maxInflightMessages = 0 }, { $0.maxInflightBytes = 10 },
            {
                $0.readOnlyOption = .leaseBased
                $0.checkQuorum = false
            },
        ] as [@Sendable (inout RaftConfig) -> Void]
    )
    func `a configuration that contradicts itself is refused`(
        spoil: @Sendable (inout RaftConfig) -> Void
    ) throws {
        var config = RaftConfig(id: 1)
        try config.validate()
        spoil(&config)
        let spoilt = config
        #expect(throws: RaftError.self) { try spoilt.validate() }
    }
}
