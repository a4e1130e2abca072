import Systemd
import Testing

@testable import JournalHistory

/// Journals of three brokers, made up line by line; seconds since the beginning.
private struct Journals {
    var entries: [JournalEntry] = []
    var boot: [Int32: Int] = [:]
    var process: [Int32: Int] = [:]

    mutating func add(_ time: Double, _ fields: [String: String]) {
        var all = fields
        all["__REALTIME_TIMESTAMP"] = "\(1_700_000_000_000_000 + Int64(time * 1_000_000))"
        if let entry = JournalEntry(fields: all) { entries.append(entry) }
    }

    /// A line of a broker's own.
    mutating func broker(
        _ node: Int32,
        _ time: Double,
        _ message: String,
        _ event: MessageID? = nil,
        _ fields: [String: String] = [:]
    ) {
        var all = fields
        all["MESSAGE"] = message
        all["MARTLET_BROKER"] = "\(node)"
        all["_HOSTNAME"] = "host\(node)"
        all["_SYSTEMD_UNIT"] = "brokerd.service"
        all["SYSLOG_IDENTIFIER"] = "brokerd"
        all["_BOOT_ID"] = "\(boot[node, default: 1])"
        all["_PID"] = "\(process[node, default: 100])"
        all["MESSAGE_ID"] = event.map(\.description)
        add(time, all)
    }

    /// A line of the service manager about a broker.
    mutating func manager(_ node: Int32, _ time: Double, _ message: String) {
        add(
            time,
            [
                "MESSAGE": message, "_PID": "1", "UNIT": "brokerd.service",
                "_HOSTNAME": "host\(node)", "SYSLOG_IDENTIFIER": "systemd",
                "_BOOT_ID": "\(boot[node, default: 1])",
            ]
        )
    }

    mutating func leads(
        _ node: Int32,
        _ time: Double,
        term: Int,
        _ reason: String,
        after former: Int32? = nil,
        group: Int = 1001
    ) {
        var fields = Self.group(group, term)
        fields["MARTLET_REASON"] = reason
        fields["MARTLET_FORMER_LEADER"] = former.map { "\($0)" }
        broker(node, time, "Leading Raft group 1001 in term \(term)", .leaderElected, fields)
    }

    mutating func loses(_ node: Int32, _ time: Double, term: Int, _ reason: String) {
        var fields = Self.group(1001, term)
        fields["MARTLET_REASON"] = reason
        broker(node, time, "No longer leading Raft group 1001", .leaderLost, fields)
    }

    static func group(_ group: Int, _ term: Int) -> [String: String] {
        [
            "MARTLET_TOPIC": "orders", "MARTLET_PARTITION": "0", "MARTLET_GROUP": "\(group)",
            "MARTLET_TERM": "\(term)",
        ]
    }

    func history(_ topic: String = "orders") -> LeaderHistory {
        LeaderHistory(of: .partition(topic: topic, number: 0), in: entries.reversed())
    }
}

@Suite struct LeaderHistoryTests {
    /// Broker 2 leads in term 3, and broker 3 follows in term 4; what lies between is the test's.
    private func second(
        _ reason: String,
        _ between: (inout Journals) -> Void
    ) throws -> LeaderHistory.Move {
        var journals = Journals()
        for node: Int32 in 1...3 { journals.broker(node, 1, "brokerd is ready", .daemonReady) }
        journals.leads(2, 10, term: 3, "no-leader")
        journals.leads(3, 100, term: 4, reason, after: 2)
        between(&journals)
        let history = journals.history()
        #expect(history.group == 1001)
        #expect(history.moves.map(\.to.node) == [2, 3])
        let move = try #require(history.moves.last)
        #expect(move.evidence.last == move.to.entry)
        return move
    }

    @Test func `a broker that was stopped handed over first`() throws {
        let move = try second("handover") {
            $0.broker(2, 99.8, "brokerd stops: SIGTERM", .daemonStopping)
            $0.loses(2, 99.9, term: 4, "handover")
        }
        #expect(move.cause == "broker 2 was stopped, and handed over before it went")
        #expect(move.leaderless == 100_000)
        #expect(move.evidence.map(\.message).first == "brokerd stops: SIGTERM")
    }

    @Test func `a stop that found no successor in time is told, not guessed`() throws {
        let move = try second("leader-gone") {
            $0.broker(2, 98, "brokerd stops: SIGTERM", .daemonStopping)
            $0.broker(2, 99, "brokerd has stopped", .daemonStopped)
            $0.boot[2] = 2
            $0.broker(2, 150, "brokerd is ready", .daemonReady)
        }
        #expect(move.cause == "broker 2 was stopped before another one could take over")
        #expect(move.leaderless == 1_000_000)
    }

    @Test func `fields that make no sense trap nothing`() {
        for (group, term, time) in [
            ("-1", "4", "100"), ("1001", "-4", "100"), ("1001", "4", "9223372036854775807"),
            ("1001", "9223372036854775807", "0"), ("x", "", "-5"),
        ] {
            var journals = Journals()
            journals.leads(2, 10, term: 3, "no-leader")
            var fields = Journals.group(1001, 4)
            fields["MARTLET_GROUP"] = group
            fields["MARTLET_TERM"] = term
            fields["MARTLET_BROKER"] = "99999999999"
            fields["MARTLET_REASON"] = "leader-gone"
            fields["MESSAGE_ID"] = MessageID.leaderElected.description
            fields["__REALTIME_TIMESTAMP"] = time
            if let entry = JournalEntry(fields: fields) { journals.entries.append(entry) }
            #expect(!journals.history().moves.isEmpty)
        }
    }

    @Test func `a later stop is not the cause`() throws {
        let move = try second("handover") {
            $0.broker(2, 110, "brokerd stops: SIGTERM", .daemonStopping)
            $0.loses(2, 99.9, term: 4, "handover")
        }
        #expect(move.cause == "broker 2 handed over, and stayed")
    }

    @Test func `replicas that are moved`() throws {
        let move = try second("handover") {
            $0.broker(
                2,
                99,
                "Reassignment of orders-0: leadership goes to broker 3",
                nil,
                Journals.group(1001, 3)
            )
        }
        #expect(move.cause == "broker 2 handed over while the replicas were moved")
    }

    @Test(arguments: [
        (
            "brokerd.service: Main process exited, code=killed, status=9/KILL",
            "was killed (signal KILL)"
        ),
        (
            "brokerd.service: A process of this unit has been killed by the OOM killer.",
            "was killed because memory ran out"
        ),
        (
            "brokerd.service: Watchdog timeout (limit 15s)!",
            "hung, and was ended by its watchdog"
        ),
        (
            "brokerd.service: Main process exited, code=dumped, status=11/SEGV", "crashed"
        ),
    ])
    func `the service manager tells how a process ended`(line: String, words: String) throws {
        let move = try second("leader-gone") { $0.manager(2, 98.5, line) }
        #expect(move.cause == "broker 2 \(words)")
        #expect(move.leaderless == 1_500_000)
        #expect(move.evidence.map(\.message).first == line)
    }

    @Test func `the watchdog's own line is shown beside what stood still`() throws {
        let move = try second("leader-gone") {
            $0.broker(2, 80, "the write-ahead log makes no progress", .progressStalled)
            $0.manager(2, 95, "brokerd.service: Watchdog timeout (limit 15s)!")
            $0.manager(2, 95.1, "brokerd.service: Main process exited, code=killed, status=6/ABRT")
        }
        #expect(move.cause == "broker 2 hung, and was ended by its watchdog")
        #expect(move.evidence.count == 3)
    }

    @Test func `a daemon that gave up says why itself`() throws {
        let move = try second("leader-gone") {
            $0.broker(2, 99, "brokerd failed: No space left on device", .daemonFailed)
            $0.manager(
                2,
                99.1,
                "brokerd.service: Main process exited, code=exited, status=74/IOERR"
            )
        }
        #expect(move.cause == "broker 2 failed: brokerd failed: No space left on device")
    }

    @Test func `a machine that went down is known by its next boot`() throws {
        let move = try second("leader-silent") {
            $0.broker(2, 97, "something")
            $0.boot[2] = 2
            $0.broker(2, 160, "brokerd is ready", .daemonReady)
        }
        #expect(
            move.cause == "the machine of broker 2 went down without a word, and was booted again"
        )
        #expect(move.leaderless == 3_000_000)
    }

    @Test func `a broker that was cut off, and one that nobody heard`() throws {
        var move = try second("leader-silent") { $0.loses(2, 102, term: 3, "no-quorum") }
        #expect(move.cause == "broker 2 was cut off from the majority, and stepped down")
        #expect(move.leaderless == nil, "it believed to lead, alone, a while longer")
        #expect(move.evidence.count == 2)
        move = try second("leader-silent") { $0.loses(2, 102, term: 4, "newer-term") }
        #expect(move.cause.contains("a network fault in one direction"))
    }

    @Test func `a disk that held a broker up`() throws {
        let move = try second("leader-silent") {
            $0.broker(2, 99, "a sync has taken 3 s", .diskSlow)
        }
        #expect(move.cause == "broker 2 was held up: a sync has taken 3 s")
    }

    @Test func `connections that broke while the process went on`() throws {
        let move = try second("leader-gone") {
            $0.broker(2, 99, "Raft stream to broker 3 was lost")
            $0.broker(2, 101, "Raft stream to broker 3 is open")
        }
        #expect(move.cause.contains("broke, though it went on"))
    }

    @Test func `a journal that was not read is named`() {
        var journals = Journals()
        journals.leads(3, 100, term: 4, "leader-gone", after: 2)
        let history = journals.history()
        #expect(history.unheard == [2])
        #expect(history.moves.first?.cause == "what came before is not in these journals")
        #expect(history.moves.first?.leaderless == nil)
    }

    @Test func `a broker that came back leads again`() throws {
        var journals = Journals()
        journals.leads(2, 10, term: 3, "no-leader")
        journals.manager(2, 20, "brokerd.service: Main process exited, code=killed, status=9/KILL")
        journals.leads(2, 21, term: 4, "no-leader")
        let move = try #require(journals.history().moves.last)
        #expect(
            move.cause == "broker 2 was killed (signal KILL); it was elected again when it was back"
        )
    }

    @Test func `of two topics of one name the newest counts, and other groups do not`() {
        var journals = Journals()
        journals.leads(1, 10, term: 7, "no-leader", group: 1001)
        journals.leads(2, 20, term: 1, "no-leader", group: 1009)
        let history = journals.history()
        #expect(history.group == 1009)
        #expect(history.moves.map(\.to.node) == [2])
        #expect(journals.history("payments").group == nil)
        #expect(journals.history("payments").moves.isEmpty)
    }

    @Test func `terms decide the order, not the machines' clocks`() {
        var journals = Journals()
        journals.leads(2, 50, term: 3, "no-leader")
        journals.leads(3, 40, term: 4, "leader-gone", after: 2)
        #expect(journals.history().moves.map(\.to.term) == [3, 4])
    }
}
