import Foundation
import Model
import Testing

@testable import Raft

/// The steps of replicas as lines of JSON, in the schema that etcd's TLA+ validator reads.
@Suite struct StateTraceTests {
    private struct Line: Decodable {
        struct State: Decodable {
            let term: UInt64
            let vote: String
            let commit: UInt64
        }

        struct Sent: Decodable, Hashable {
            let type: String
            let term: UInt64
            let from: String
            let to: String
            let entries: Int
            let logTerm: UInt64
            let index: UInt64
            let commit: UInt64
            let vote: String
            let reject: Bool
            let rejectHint: UInt64
        }

        struct Change: Decodable, Equatable {
            let nid: String
            let action: String
        }

        struct Members: Decodable {
            let changes: [Change]?
            let newconf: [String]?
        }

        struct Properties: Decodable {
            let match: UInt64?
            let next: UInt64?
            let cc: Members?
        }

        struct Event: Decodable {
            let name: String
            let nid: String
            let state: State
            let role: String
            let log: UInt64
            let conf: [[String]]
            let msg: Sent?
            let prop: Properties?
        }

        let tag: String
        let event: Event
    }

    /// An election, replication, a snapshot, a change through a joint configuration and another
    /// election, with every step of every replica.
    private func trace() throws -> [String] {
        var lines: [String] = []
        let cluster = TestCluster(
            3,
            configure: {
                $0.makePlain()
                $0.stepDownOnRemoval = true
            },
            trace: { lines.append($0()) }
        )
        cluster.campaign(1)
        try cluster.propose(1, "a")
        cluster.settle()
        cluster.isolate(3)
        for text in ["b", "c"] { try cluster.propose(1, text) }
        cluster.settle()
        cluster.storage(1).create(snapshot(4, 1, ConfState(voters: [1, 2, 3])))
        cluster.storage(1).compact(to: 4)
        cluster.heal()
        cluster.tick(1)
        cluster.settle()
        let change = ConfChange(changes: try confChanges("r3 l3 u2"))
        try cluster[1].proposeConfChange(change)
        cluster.settle()
        cluster.tick(1)
        cluster.settle()
        #expect(cluster[2].confState() == ConfState(voters: [1, 2], learners: [3]))
        cluster.campaign(2)
        #expect(cluster[2].role == .leader)
        return lines
    }

    @Test func `a single voter's way to its first commit is traced step by step`() throws {
        var lines: [String] = []
        let cluster = TestCluster(
            1,
            configure: { $0.makePlain() },
            trace: { lines.append($0()) }
        )
        cluster.campaign(1)
        func line(_ name: String, _ rest: String) -> String {
            "{\"tag\":\"trace\",\"event\":{\"name\":\"\(name)\",\"nid\":\"1\",\(rest)}}"
        }
        let empty = "\"term\":0,\"vote\":\"0\",\"commit\":0"
        let voted = "\"term\":1,\"vote\":\"1\",\"commit\":0"
        func state(_ state: String, _ role: String, _ log: Int, _ conf: String) -> String {
            "\"state\":{\(state)},\"role\":\"State\(role)\",\"log\":\(log),\"conf\":[\(conf),[]]"
        }
        let candidate = state(voted, "Candidate", 0, "[\"1\"]")
        let vote =
            ",\"msg\":{\"type\":\"MsgVoteResp\",\"term\":1,\"from\":\"1\",\"to\":\"1\""
            + ",\"entries\":0,\"logTerm\":0,\"index\":0,\"commit\":0,\"vote\":\"0\""
            + ",\"reject\":false,\"rejectHint\":0}"
        let leader = state(voted, "Leader", 0, "[\"1\"]")
        let appended = state(voted, "Leader", 1, "[\"1\"]")
        let acknowledgement = vote.replacingOccurrences(of: "VoteResp", with: "AppResp")
            .replacingOccurrences(of: "\"index\":0", with: "\"index\":1")
        let committed = appended.replacingOccurrences(of: "\"commit\":0", with: "\"commit\":1")
        let expected = [
            line("InitState", state(empty, "Follower", 0, "[]")),
            line(
                "ApplyConfChange",
                state(empty, "Follower", 0, "[]") + ",\"prop\":{\"cc\":{\"newconf\":[\"1\"]}}"
            ),
            line("BecomeFollower", state(empty, "Follower", 0, "[\"1\"]")),
            line("BecomeCandidate", candidate),
            line("SendRequestVoteResponse", candidate + vote),
            line("Ready", candidate),
            line("ReceiveRequestVoteResponse", candidate + vote),
            line("BecomeLeader", leader),
            line("Replicate", leader),
            line("SendAppendEntriesResponse", appended + acknowledgement),
            line("Ready", appended),
            line("ReceiveAppendEntriesResponse", appended + acknowledgement),
            line("Commit", committed),
            line("Ready", committed),
        ]
        #expect(lines == expected)
    }

    @Test func `a run of a group has every name of the schema and every field`() throws {
        let lines = try trace()
        var names: Set<String> = []
        for text in lines {
            let line = try JSONDecoder().decode(Line.self, from: Data(text.utf8))
            #expect(line.tag == "trace")
            #expect(line.event.conf.count == 2)
            names.insert(line.event.name)
            let isAboutMessage =
                line.event.name.hasPrefix("Send") || line.event.name.hasPrefix("Rec")
            #expect((line.event.msg != nil) == isAboutMessage, "\(text)")
            if line.event.name == "SendAppendEntriesRequest" {
                #expect((line.event.prop?.match != nil) == (line.event.msg?.type == "MsgApp"))
            }
        }
        // Snapshots travel under the names of appends.
        let all = Set(TraceEvent.allCases.map(\.rawValue))
        #expect(all.count == 19)
        #expect(names == all.subtracting(["SendSnapshot", "ReceiveSnapshot"]))
        #expect(
            lines.contains { $0.contains("\"type\":\"MsgSnap\"") && $0.contains("\"entries\":4") }
        )
    }

    @Test func `what is received was sent, and no replica's state goes back`() throws {
        var sent: [Line.Sent: Int] = [:]
        var last: [String: Line.Event] = [:]
        var leaders: [UInt64: String] = [:]
        for text in try trace() {
            let event = try JSONDecoder().decode(Line.self, from: Data(text.utf8)).event
            if let message = event.msg {
                if event.name.hasPrefix("Send") { sent[message, default: 0] += 1 }
                if event.name.hasPrefix("Receive") {
                    #expect(sent[message, default: 0] > 0, "never sent: \(text)")
                    sent[message, default: 0] -= 1
                }
            }
            if event.name == "BecomeLeader" {
                #expect(leaders[event.state.term] == nil)
                leaders[event.state.term] = event.nid
            }
            if let before = last[event.nid] {
                #expect(event.state.term >= before.state.term)
                #expect(event.state.commit >= before.state.commit)
                if event.state.term == before.state.term, before.state.vote != "0" {
                    #expect(event.state.vote == before.state.vote)
                }
                if before.name == "Replicate" { #expect(event.log == before.log + 1) }
                if before.name == "ApplyConfChange" {
                    #expect(event.conf[0] == before.prop?.cc?.newconf)
                }
            }
            last[event.nid] = event
        }
        #expect(leaders == [1: "1", 2: "2"])
        #expect(last.keys.sorted() == ["1", "2", "3"])
    }

    @Test func `a change of members is traced when it is proposed and when it is applied`() throws {
        let events = try trace().map {
            try JSONDecoder().decode(Line.self, from: Data($0.utf8)).event
        }
        let proposed = events.filter { $0.name == "ChangeConf" }
        #expect(proposed.count == 1, "the empty change that leaves has no steps")
        #expect(
            proposed.first?.prop?.cc?.changes == [
                Line.Change(nid: "3", action: "RemoveServer"),
                Line.Change(nid: "3", action: "AddLearner"),
            ]
        )
        let leader = events.filter { $0.name == "ApplyConfChange" && $0.nid == "1" }
        #expect(
            leader.map { $0.prop?.cc?.newconf } == [["1", "2", "3"], ["1", "2"], ["1", "2"]]
        )
        #expect(
            leader.map(\.conf) == [
                [[], []], [["1", "2", "3"], []], [["1", "2"], ["1", "2", "3"]],
            ]
        )
    }

    @Test func `a receiver that does not ask for the text changes nothing`() throws {
        func run(_ trace: TraceHook?) throws -> [Entry] {
            let cluster = TestCluster(3, trace: trace)
            cluster.elect(1)
            try cluster.propose(1, "x")
            cluster.settle()
            return cluster.storage(3).entries
        }
        var steps = 0
        #expect(try run { _ in steps += 1 } == run(nil))
        #expect(steps > 20)
    }
}
