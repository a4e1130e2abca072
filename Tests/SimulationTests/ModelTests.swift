import RaftModel
import Testing

/// The model of Raft by itself: traces written by hand.
@Suite struct ModelTests {
    // MARK: Lines

    /// A replica as it starts: all of its state in one line.
    private static func recovered(
        _ node: Int,
        term: Int = 0,
        vote: Int = 0,
        commit: Int = 0,
        _ entries: String = ""
    ) -> String {
        "{\"tag\":\"simulator\",\"event\":{\"name\":\"Recovered\",\"nid\":\"\(node)\",\"state\":"
            + "{\"term\":\(term),\"vote\":\"\(vote)\",\"commit\":\(commit)},"
            + "\"snapshot\":{\"index\":0,\"term\":0},\"entries\":[\(entries)]}}"
    }

    private static func stored(
        _ node: Int,
        term: Int,
        vote: Int,
        _ entries: String = ""
    ) -> String {
        recovered(node, term: term, vote: vote, entries)
            .replacing("Recovered", with: "Stored")
    }

    /// A replica as a step shows it; the voters are 1, 2 and 3.
    private struct Shown {
        var node: Int
        var term = 1
        var vote = 1
        var commit = 0
        var role = "Follower"
        var log = 0
        var voters = "\"1\",\"2\",\"3\""

        func line(_ name: String, _ rest: String = "") -> String {
            "{\"tag\":\"trace\",\"event\":{\"name\":\"\(name)\",\"nid\":\"\(node)\",\"state\":"
                + "{\"term\":\(term),\"vote\":\"\(vote)\",\"commit\":\(commit)},"
                + "\"role\":\"State\(role)\",\"log\":\(log),\"conf\":[[\(voters)],[]]\(rest)}}"
        }
    }

    private static func message(
        _ type: String,
        from: Int,
        to: Int,
        entries: Int = 0,
        logTerm: Int = 0,
        index: Int = 0,
        commit: Int = 0,
        reject: Bool = false
    ) -> String {
        ",\"msg\":{\"type\":\"\(type)\",\"term\":1,\"from\":\"\(from)\",\"to\":\"\(to)\","
            + "\"entries\":\(entries),\"logTerm\":\(logTerm),\"index\":\(index),"
            + "\"commit\":\(commit),\"vote\":\"0\",\"reject\":\(reject),\"rejectHint\":0}"
    }

    /// Replicas 1, 2 and 3 start, 1 is elected, and all store and commit its first entry.
    private static let legal: [String] = {
        var lines: [String] = []
        for node in 1...3 {
            let new = Shown(node: node, term: 0, vote: 0, voters: "")
            let member = Shown(node: node, term: 0, vote: 0)
            lines += [
                recovered(node), new.line("InitState"),
                new.line(
                    "ApplyConfChange",
                    ",\"prop\":{\"cc\":{\"newconf\":[\"1\",\"2\",\"3\"]}}"
                ),
                member.line("BecomeFollower"),
            ]
        }
        let candidate = Shown(node: 1, role: "Candidate")
        let leader = Shown(node: 1, role: "Leader")
        let appended = Shown(node: 1, role: "Leader", log: 1)
        let committed = Shown(node: 1, commit: 1, role: "Leader", log: 1)
        let own = message("MsgVoteResp", from: 1, to: 1)
        let asked = message("MsgVote", from: 1, to: 2)
        let granted = message("MsgVoteResp", from: 2, to: 1)
        let mine = message("MsgAppResp", from: 1, to: 1, index: 1)
        let sent = message("MsgApp", from: 1, to: 2, entries: 1)
        let theirs = message("MsgAppResp", from: 2, to: 1, index: 1)
        let beat = message("MsgHeartbeat", from: 1, to: 2, commit: 1)
        let free = Shown(node: 2, vote: 0)
        let voter = Shown(node: 2)
        return lines + [
            candidate.line("BecomeCandidate"),
            candidate.line("SendRequestVoteResponse", own),
            candidate.line("SendRequestVoteRequest", asked),
            candidate.line("Ready"),
            Shown(node: 2, term: 0, vote: 0).line("ReceiveRequestVoteRequest", asked),
            free.line("BecomeFollower"),
            free.line("SendRequestVoteResponse", granted),
            voter.line("Ready"),
            stored(2, term: 1, vote: 1),
            stored(1, term: 1, vote: 1),
            candidate.line("ReceiveRequestVoteResponse", own),
            candidate.line("ReceiveRequestVoteResponse", granted),
            leader.line("BecomeLeader"),
            leader.line("Replicate"),
            appended.line("SendAppendEntriesResponse", mine),
            appended.line("SendAppendEntriesRequest", sent),
            appended.line("Ready"),
            voter.line("ReceiveAppendEntriesRequest", sent),
            Shown(node: 2, log: 1).line("SendAppendEntriesResponse", theirs),
            stored(2, term: 0, vote: 0, "[1,1,1]"),
            appended.line("ReceiveAppendEntriesResponse", theirs),
            appended.line("Commit"),
            stored(1, term: 0, vote: 0, "[1,1,1]"),
            appended.line("ReceiveAppendEntriesResponse", mine),
            committed.line("Commit"),
            Shown(node: 2, log: 1).line("ReceiveAppendEntriesRequest", beat),
            Shown(node: 2, commit: 1, log: 1).line(
                "SendAppendEntriesResponse",
                message("MsgHeartbeatResp", from: 2, to: 1)
            ),
        ]
    }()

    private static func judge(_ lines: [String], checksSteps: Bool = true) -> RaftModel {
        var model = RaftModel(checksSteps: checksSteps)
        for line in lines { model.read(line) }
        return model
    }

    // MARK: Steps

    @Test func `an election and a commit are legal`() {
        let model = Self.judge(Self.legal)
        #expect(model.violation == nil)
        #expect(model.lineCount == Self.legal.count)
    }

    /// What the legal trace becomes if one of its lines is changed or lost.
    private struct Fault: CustomTestStringConvertible, Sendable {
        let name: String
        let line: String
        var about = ""
        var from = ""
        var to: String?
        let rule: Rule

        var testDescription: String { name }
    }

    private static let faults: [Fault] = [
        Fault(
            name: "a broken line",
            line: "BecomeLeader",
            from: "role",
            to: "roll",
            rule: .readableLine
        ),
        Fault(
            name: "a term from nowhere",
            line: "BecomeLeader",
            from: "\"term\":1",
            to: "\"term\":2",
            rule: .stateFollows
        ),
        Fault(
            name: "a vote changed",
            line: "BecomeLeader",
            from: "\"vote\":\"1\"",
            to: "\"vote\":\"2\"",
            rule: .stateFollows
        ),
        Fault(
            name: "a voter lost",
            line: "\"Replicate",
            from: ",\"3\"",
            to: "",
            rule: .stateFollows
        ),
        Fault(
            name: "one vote of three",
            line: "ReceiveRequestVoteResponse",
            about: "\"from\":\"2\"",
            rule: .electedByQuorum
        ),
        Fault(
            name: "a vote that is not stored",
            line: "Stored\",\"nid\":\"2\",\"state\":{\"term\":1",
            rule: .votesAreDurable
        ),
        Fault(
            name: "a vote that was never given",
            line: "SendRequestVoteResponse\",\"nid\":\"2\"",
            rule: .stateFollows
        ),
        Fault(name: "an entry that nobody proposed", line: "\"Replicate", rule: .legalAppend),
        Fault(
            name: "more entries than the leader has",
            line: "SendAppendEntriesRequest",
            from: "\"entries\":1",
            to: "\"entries\":2",
            rule: .legalAppend
        ),
        Fault(
            name: "an entry after one that is not there",
            line: "ReceiveAppendEntriesRequest",
            from: "\"entries\":1,\"logTerm\":0,\"index\":0",
            to: "\"entries\":0,\"logTerm\":1,\"index\":1",
            rule: .legalAppend
        ),
        Fault(
            name: "an acknowledgement of too much",
            line: "SendAppendEntriesResponse\",\"nid\":\"2\"",
            from: "\"index\":1",
            to: "\"index\":2",
            rule: .acknowledgedIsDurable
        ),
        Fault(
            name: "an entry that is not stored",
            line: "Stored\",\"nid\":\"2\",\"state\":{\"term\":0",
            rule: .acknowledgedIsDurable
        ),
        Fault(
            name: "a commit of what one has",
            line: "ReceiveAppendEntriesResponse",
            rule: .committedByQuorum
        ),
        Fault(
            name: "a commit that was not told",
            line: "MsgHeartbeatResp",
            from: "\"commit\":1},\"role\"",
            to: "\"commit\":0},\"role\"",
            rule: .stateFollows
        ),
        Fault(
            name: "a heartbeat that says too much",
            line: "MsgHeartbeat\"",
            from: "\"commit\":1,\"vote\"",
            to: "\"commit\":2,\"vote\"",
            rule: .commitWasTold
        ),
    ]

    @Test(arguments: faults)
    private func `a step that Raft does not allow is found`(fault: Fault) throws {
        var lines = Self.legal
        let place = try #require(
            lines.firstIndex {
                $0.contains(fault.line) && (fault.about.isEmpty || $0.contains(fault.about))
            }
        )
        if let to = fault.to {
            #expect(lines[place].contains(fault.from))
            lines[place] = lines[place].replacing(fault.from, with: to, maxReplacements: 1)
        } else {
            lines.remove(at: place)
        }
        let violation = try #require(Self.judge(lines).violation)
        #expect(violation.rule == fault.rule, "\(violation)")
    }

    @Test(arguments: ["term", "vote", "commit", "role", "log", "conf"])
    func `every line must show what the steps before have led to`(field: String) throws {
        for (place, line) in Self.legal.enumerated() where line.contains("\"trace\"") {
            let name = try #require(line.firstRange(of: "\"\(field)\":"))
            let value = line[name.upperBound...]
            let other =
                switch field {
                case "vote": "\"9" + value.dropFirst(2)
                case "role": "\"StatePreCandidate" + value.drop { $0 != "," }.drop { $0 == "\"" }
                case "conf": "[[\"8\"" + value.drop { $0 != "]" }
                default: "7" + value
                }
            var lines = Self.legal
            lines[place] = line[..<name.upperBound] + other
            #expect(Self.judge(lines).violation?.lineNumber == place + 1, "\(lines[place])")
        }
    }

    @Test func `what was stored must be there after a crash`() {
        for lost in [Self.recovered(2, term: 1, vote: 1), Self.recovered(2, term: 0, "[1,1,1]")] {
            #expect(Self.judge(Self.legal + [lost]).violation?.rule == .storedSurvives)
        }
        let all = Self.recovered(2, term: 1, vote: 1, commit: 1, "[1,1,1]")
        #expect(Self.judge(Self.legal + [all]).violation == nil)
        // The third one never was told of anything.
        #expect(Self.judge(Self.legal + [Self.recovered(3)]).violation == nil)
    }

    @Test func `no line makes the model trap`() {
        let lines = Self.legal
        for (place, line) in lines.enumerated() {
            let bytes = Array(line.utf8)
            for cut in stride(from: 0, to: bytes.count, by: 7) {
                var short = lines
                short[place] = String(decoding: bytes[..<cut], as: UTF8.self)
                #expect(Self.judge(short).violation?.rule == .readableLine)
            }
            for (digit, other) in [("1", "9"), ("1", "999999999999999999"), ("0", "7")] {
                var odd = lines
                odd[place] = line.replacing(digit, with: other)
                for checksSteps in [true, false] {
                    _ = Self.judge(odd, checksSteps: checksSteps)
                }
            }
        }
        #expect(Self.judge(["", "x"]).violation?.lineNumber == 1)
    }

    // MARK: Invariants

    /// One trace for each invariant; its steps are not looked at, only the states they lead to.
    private static let broken: [(rule: Rule, lines: [String])] = [
        (
            .logInv,
            [recovered(1, commit: 2, "[1,1,2]"), recovered(2, commit: 2, "[1,1,1],[2,2,2]")]
        ),
        (
            .moreThanOneLeaderInv,
            [
                Shown(node: 1, role: "Leader").line("BecomeLeader"),
                Shown(node: 2, role: "Leader").line("BecomeLeader"),
            ]
        ),
        (
            .electionSafetyInv,
            [
                recovered(1, "[1,1,1]"),
                Shown(node: 1, term: 2, role: "Leader", log: 1).line("BecomeLeader"),
                recovered(2, "[1,1,1],[2,2,2]"),
            ]
        ),
        (
            .logMatchingInv,
            [recovered(1, "[1,1,1],[3,2,2]"), recovered(2, "[2,1,1],[3,2,2]")]
        ),
        (
            .quorumLogInv,
            [
                recovered(1, "[1,1,2]"), recovered(2), recovered(3),
                Shown(node: 1, commit: 2, role: "Leader", log: 2).line("Commit"),
            ]
        ),
        (
            .moreUpToDateCorrectInv,
            [recovered(1, commit: 2, "[1,1,2]"), recovered(2, "[2,1,1]")]
        ),
        (
            .leaderCompletenessInv,
            [
                recovered(1, term: 1, commit: 2, "[1,1,2]"), recovered(2, "[1,1,2]"),
                recovered(3), Shown(node: 3, term: 3, role: "Leader").line("BecomeLeader"),
            ]
        ),
        (
            .committedIsDurableInv,
            [recovered(1), recovered(2), recovered(3)]
                + legal.filter { $0.contains("BecomeLeader") || $0.contains("Replicate") }
                + legal.filter { $0.contains("SendAppendEntriesResponse\",\"nid\":\"1\"") }
                + legal.filter { $0.contains("\"entries\":1,") }
                + legal.filter { $0.contains("SendAppendEntriesResponse\",\"nid\":\"2\"") }.prefix(
                    1
                )
                + [Shown(node: 1, commit: 1, role: "Leader", log: 1).line("Commit")]
        ),
    ]

    @Test(arguments: Rule.allCases.filter(\.isInvariant))
    func `a state that breaks an invariant is found`(invariant: Rule) throws {
        let lines = try #require(Self.broken.first { $0.rule == invariant }?.lines)
        let violation = try #require(Self.judge(lines, checksSteps: false).violation)
        #expect(violation.rule == invariant, "\(violation)")
        #expect(violation.lineNumber == lines.count)
        // Without its last line the trace is good.
        #expect(Self.judge(lines.dropLast(), checksSteps: false).violation == nil)
    }

    @Test func `there are eight invariants, and a legal trace breaks none of them`() {
        #expect(Rule.allCases.count(where: \.isInvariant) == 8)
        #expect(Self.judge(Self.legal, checksSteps: false).violation == nil)
    }
}
