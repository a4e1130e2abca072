import Systemd

/// Finds out why one leader followed another.
///
/// What the new leader saw (it was asked, the other's process was gone, the other was silent) says
/// where to look in the former leader's journal.
struct MoveStory {
    private let from: LeaderHistory.Reign?
    private let to: LeaderHistory.Reign
    private let group: UInt64
    private let nodes: NodeJournals

    /// How long before the change its cause is looked for; 2 minutes.
    private static let lookBack: Int64 = 120_000_000
    /// How far clocks of different machines are trusted to agree; 1 s.
    private static let skew: Int64 = 1_000_000
    /// A leader that is cut off steps down later than its successor begins; 15 s.
    private static let lookAhead: Int64 = 15_000_000

    init(
        from: LeaderHistory.Reign?,
        to: LeaderHistory.Reign,
        group: UInt64,
        nodes: NodeJournals
    ) {
        self.from = from
        self.to = to
        self.group = group
        self.nodes = nodes
    }

    var move: LeaderHistory.Move {
        let found = cause
        var evidence = found.evidence
        if let lost, !evidence.contains(lost) { evidence.append(lost) }
        evidence.sort { $0.time < $1.time }
        evidence.append(to.entry)
        let end = found.end ?? lost?.time
        return LeaderHistory.Move(
            from: from,
            to: to,
            // One that stood still, or was cut off, learns of its successor afterwards.
            leaderless: end.flatMap { $0 <= to.entry.time ? to.entry.time - $0 : nil },
            cause: found.text,
            evidence: evidence
        )
    }

    private struct Finding {
        var text: String
        var evidence: [JournalEntry] = []
        /// When the former reign ended, if it ended without a word of its leader's.
        var end: Int64?
    }

    private var cause: Finding {
        let reason = to.entry.fields["MARTLET_REASON"]
        guard let from else {
            return Finding(
                text: reason == "no-leader"
                    ? "it is the first leader that the journals know"
                    : "what came before is not in these journals"
            )
        }
        if from.node == to.node, reason != "handover" { return ownReturn(from) }
        switch reason {
        case "handover": return handover(from)
        case "leader-gone": return gone(from)
        case "leader-silent": return silent(from)
        default:
            if let end = processEnd(from) { return end }
            return Finding(text: "the members had lost sight of \(name(from)), as after a restart")
        }
    }

    // MARK: Handed over

    private func handover(_ from: LeaderHistory.Reign) -> Finding {
        let near = former(from).filter { $0.time <= to.entry.time + Self.skew }
        if let stop = near.last(where: { $0.isEvent(.daemonStopping) }) {
            return Finding(
                text: "\(name(from)) was stopped, and handed over before it went",
                evidence: [stop]
            )
        }
        let moved = near.last {
            $0.isEvent(.reassignmentStarted) || $0.message.hasPrefix("Reassignment of ")
        }
        if let moved {
            return Finding(
                text: "\(name(from)) handed over while the replicas were moved",
                evidence: [moved]
            )
        }
        return Finding(text: "\(name(from)) handed over, and stayed")
    }

    // MARK: Gone

    private func gone(_ from: LeaderHistory.Reign) -> Finding {
        if let end = processEnd(from) ?? stopped(from) { return end }
        if let boot = reboot(from) { return boot }
        guard nodes.known.contains(from.node) else { return unread(from) }
        let after = nodes.next(of: from.node, after: to.entry.time)
        let before = nodes.last(of: from.node, before: to.entry.time)
        if let after, let before, after.fields["_PID"] == before.fields["_PID"] {
            return Finding(
                text: "the connections to \(name(from)) broke, though it went on: a network fault"
            )
        }
        return Finding(
            text: "the process of \(name(from)) ended, and its journal does not say why",
            evidence: [before].compactMap(\.self),
            end: before?.time
        )
    }

    /// A stop in good order for which no successor was found in time.
    private func stopped(_ from: LeaderHistory.Reign) -> Finding? {
        let near = former(from).filter { $0.time <= to.entry.time + Self.skew }
        guard let stop = near.last(where: { $0.isEvent(.daemonStopping) }) else { return nil }
        let end = near.last { $0.isEvent(.daemonStopped) && $0.time >= stop.time }
        return Finding(
            text: "\(name(from)) was stopped before another one could take over",
            evidence: [stop, end].compactMap(\.self),
            end: end?.time
        )
    }

    /// The end of the former leader's process, as the service manager or the daemon tells it.
    private func processEnd(_ from: LeaderHistory.Reign) -> Finding? {
        let near = former(from).filter { $0.time <= to.entry.time + Self.skew }
        let failed = near.last { $0.isEvent(.daemonFailed) || $0.isEvent(.storageFailed) }
        if let failed {
            return Finding(
                text: "\(name(from)) failed: \(failed.message)",
                evidence: [failed],
                end: failed.time
            )
        }
        let stalled = near.last { $0.isEvent(.progressStalled) }
        for (words, text) in Self.ends {
            guard let end = near.last(where: { $0.isOfManager && $0.message.contains(words) })
            else { continue }
            return Finding(
                text: "\(name(from)) \(text)",
                evidence: [stalled, end].compactMap(\.self),
                end: end.time
            )
        }
        return nil
    }

    /// What the service manager writes of a process's end, the more telling words first.
    private static let ends: [(String, String)] = [
        ("Watchdog timeout", "hung, and was ended by its watchdog"),
        ("killed by the OOM killer", "was killed because memory ran out"),
        ("status=9/KILL", "was killed (signal KILL)"),
        ("status=6/ABRT", "was aborted (signal ABRT)"),
        ("code=dumped", "crashed"),
        ("code=killed", "was killed by a signal"),
        ("code=exited, status=", "ended with an error"),
    ]

    // MARK: Silent

    private func silent(_ from: LeaderHistory.Reign) -> Finding {
        if let end = processEnd(from) ?? stopped(from) { return end }
        if let boot = reboot(from) { return boot }
        guard nodes.known.contains(from.node) else { return unread(from) }
        let near = former(from)
        let held = near.last { $0.isEvent(.progressStalled) || $0.isEvent(.diskSlow) }
        if let held {
            // Of a stall the first line says it; the daemon's whole state follows.
            return Finding(
                text: "\(name(from)) was held up: \(held.message.prefix { $0 != "\n" })",
                evidence: [held]
            )
        }
        switch lost?.fields["MARTLET_REASON"] {
        case "no-quorum":
            return Finding(
                text: "\(name(from)) was cut off from the majority, and stepped down"
            )
        case "newer-term":
            return Finding(
                text: """
                    the others did not hear \(name(from)), which heard them: a network fault in \
                    one direction, or a process that stood still
                    """
            )
        default:
            return Finding(text: "\(name(from)) was silent, and its journal does not say why")
        }
    }

    /// A new boot of the former leader's machine soon after.
    private func reboot(_ from: LeaderHistory.Reign) -> Finding? {
        guard let before = nodes.last(of: from.node, before: to.entry.time),
            let after = nodes.next(of: from.node, after: before.time),
            let boot = before.fields["_BOOT_ID"], after.fields["_BOOT_ID"] != boot
        else { return nil }
        return Finding(
            text: "the machine of \(name(from)) went down without a word, and was booted again",
            evidence: [before, after],
            end: before.time
        )
    }

    // MARK: Returned

    private func ownReturn(_ from: LeaderHistory.Reign) -> Finding {
        if let end = processEnd(from) {
            return Finding(
                text: end.text + "; it was elected again when it was back",
                evidence: end.evidence,
                end: end.end
            )
        }
        if let start = former(from).last(where: { $0.isEvent(.daemonReady) }) {
            return Finding(
                text: "\(name(from)) was started anew, and elected again",
                evidence: [start]
            )
        }
        return Finding(text: "\(name(from)) had lost the majority for a while, and got it back")
    }

    // MARK: Places to look

    private func unread(_ from: LeaderHistory.Reign) -> Finding {
        Finding(text: "the journal of \(name(from)), which would say why, is not among those read")
    }

    private func name(_ reign: LeaderHistory.Reign) -> String { "\(nodes.kind) \(reign.node)" }

    /// What the former leader and its manager wrote around the change, in its reign.
    private func former(_ from: LeaderHistory.Reign) -> [JournalEntry] {
        let start = max(from.entry.time, to.entry.time - Self.lookBack)
        return nodes.entries(of: from.node, start...max(start, to.entry.time + Self.lookAhead))
    }

    /// The former leader's own word that it leads no longer.
    private var lost: JournalEntry? {
        guard let from else { return nil }
        let end = max(from.entry.time, to.entry.time + Self.lookAhead)
        return nodes.entries(of: from.node, from.entry.time...end).first {
            $0.isEvent(.leaderLost) && $0.group == group
        }
    }
}
