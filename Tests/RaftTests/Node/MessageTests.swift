import Model
import Testing

@testable import Raft

/// Which messages there are, and which of them make sense.
@Suite struct MessageTests {
    @Test func `message types are local, answers, both or neither`() {
        let local: [MessageType] = [
            .hup, .beat, .unreachable, .snapshotStatus, .checkQuorum, .storageAppend,
            .storageAppendResponse, .storageApply, .storageApplyResponse,
        ]
        let answers: [MessageType] = [
            .unreachable, .appendResponse, .voteResponse, .heartbeatResponse,
            .readIndexResponse, .preVoteResponse, .storageAppendResponse, .storageApplyResponse,
        ]
        for type in MessageType.allCases {
            #expect(type.isLocal == local.contains(type), "\(type)")
            #expect(type.isResponse == answers.contains(type), "\(type)")
        }
    }

    @Test func `no local message is taken from outside`() {
        for type in MessageType.allCases where type.isLocal {
            #expect(throws: RaftError.localMessage) {
                try SoloNode().node.step(Message(type: type, to: 1, from: 2, term: 1))
            }
        }
    }

    /// The entries of an append: what they follow, and whether they may be one leader's.
    struct Slice: Sendable {
        let term: Term
        var previous: (index: LogIndex, term: Term) = (0, 0)
        var entries: [(index: LogIndex, term: Term)] = []
        let isSound: Bool
    }

    @Test(arguments: [
        Slice(term: 9, previous: (123, 10), isSound: false),
        Slice(term: 10, previous: (123, 10), isSound: true),
        Slice(term: 11, previous: (123, 10), isSound: true),
        Slice(term: 1, entries: [(1, 1)], isSound: true),
        Slice(term: 2, entries: [(1, 1)], isSound: true),
        Slice(term: 2, entries: [(2, 1), (3, 1), (4, 2)], isSound: false),
        Slice(term: 1, previous: (1, 1), entries: [(2, 1), (3, 1), (4, 2)], isSound: false),
        Slice(term: 2, previous: (1, 1), entries: [(2, 1), (3, 1), (4, 2)], isSound: true),
        Slice(term: 10, previous: (123, 5), entries: [(111, 5)], isSound: false),
        Slice(term: 10, previous: (123, 5), entries: [(124, 4)], isSound: false),
        Slice(term: 10, previous: (123, 5), entries: [(234, 6)], isSound: false),
        Slice(term: 10, previous: (123, 5), entries: [(124, 6)], isSound: true),
        Slice(term: 10, previous: (12, 2), entries: [(13, 2), (12, 2)], isSound: false),
        Slice(term: 10, previous: (12, 2), entries: [(13, 2), (15, 2)], isSound: false),
        Slice(term: 10, previous: (12, 2), entries: [(13, 2), (14, 1)], isSound: false),
        Slice(term: 10, previous: (12, 2), entries: [(13, 2), (14, 3)], isSound: true),
    ])
    func `an append's entries follow each other, in terms that never fall`(slice: Slice) {
        let message = Message(
            type: .append,
            from: 2,
            term: slice.term,
            logTerm: slice.previous.term,
            index: slice.previous.index,
            entries: EntryList(slice.entries.map { Entry(term: $0.term, index: $0.index) })
        )
        #expect(message.isAcceptableFromPeer == slice.isSound)
    }

    @Test func `an entry is described in etcd's words`() {
        let text = entry(1, 2, "hello\u{0}world")
        #expect(text.description == "1/2 EntryNormal \"hello\\x00world\"")
        let change = ConfChange(changes: [
            ConfChangeSingle(.addNode, 1), ConfChangeSingle(.addLearnerNode, 2),
        ])
        let entry = Entry(
            term: 3,
            index: 4,
            type: .confChangeV2,
            payload: Payload(change.bytes)
        )
        #expect(entry.description == "3/4 EntryConfChangeV2 v1 l2")
        #expect(
            Entry(term: 3, index: 4, type: .confChangeV2).description == "3/4 EntryConfChangeV2"
        )
    }

    @Test func `an empty entry has no payload bytes`() {
        #expect(EntryList([Entry(), Entry()]).payloadBytes == 0)
        #expect(EntryList([Entry(), Entry()]).sizeBytes == 2 * Entry.overheadBytes)
        #expect(EntryList(entry(1, 1, "abc")).payloadBytes == 3)
    }

    @Test(
        arguments: [(.max, 3), (0, 1), (48, 2), (60, 2), (71, 2), (72, 3)] as [(Int, Int)]
    )
    func `entries are cut to a limit in bytes, but never all of them`(
        bytesMax: Int,
        count: Int
    ) {
        let all: [Entry] = entries([4, 5, 6], from: 4)
        #expect(all[...].countFitting(bytesMax) == count)
        #expect(all.suffix(0).countFitting(bytesMax) == 0)
    }

    @Test func `an empty change asks to leave, whatever its context`() {
        let steps = [ConfChangeSingle(.addNode, 0)]
        #expect(ConfChange().leavesJoint)
        #expect(ConfChange(context: [1, 2]).leavesJoint)
        #expect(!ConfChange(changes: steps).leavesJoint)
        #expect(!ConfChange(changes: steps + steps).leavesJoint)
        #expect(!ConfChange(transition: .jointImplicit).leavesJoint)
        #expect(!ConfChange(transition: .jointExplicit).leavesJoint)
    }

    @Test func `members are compared without regard to their order`() {
        let state = ConfState(
            voters: [1, 2, 3],
            votersOutgoing: [9, 8, 7],
            learners: [5, 4, 6],
            learnersNext: [10, 20, 15]
        )
        let same = ConfState(
            voters: [3, 2, 1],
            votersOutgoing: [7, 9, 8],
            learners: [4, 5, 6],
            learnersNext: [20, 10, 15]
        )
        #expect(state == same)
        #expect(ConfState(voters: [1, 2, 3, 4]) != ConfState(voters: [2, 1, 3]))
        #expect(ConfState(voters: [1, 4, 3]) != ConfState(voters: [2, 1, 3]))
        #expect(ConfState(learners: [1]) != ConfState(learners: [2]))
        #expect(ConfState(autoLeave: true) != ConfState())
    }
}
