import Systemd

/// Who led a Raft group, one after the other, as the journals of its members tell it.
public struct LeaderHistory: Sendable {
    /// A replica that led.
    public struct Reign: Equatable, Sendable {
        /// The broker; for the controllers' group, the controller.
        public let node: Int32
        /// The term.
        public let term: UInt64
        /// The entry that says so.
        public let entry: JournalEntry
    }

    /// A change of leader.
    public struct Move: Equatable, Sendable {
        /// Who led before, if the journals know.
        public let from: Reign?
        /// Who led then.
        public let to: Reign
        /// How long nobody led; microseconds, nil where the end of the former reign is not known.
        public let leaderless: Int64?
        /// Why, in a sentence.
        public let cause: String
        /// The entries that show it, in order of time, the last of them the new leader's own.
        public let evidence: [JournalEntry]
    }

    /// What is asked about.
    public enum Subject: Equatable, Sendable {
        /// A partition, by its topic's name and its number.
        case partition(topic: String, number: Int32)
        /// The controllers' own group.
        case controllers
    }

    /// The group; nil if no journal names it.
    ///
    /// Of topics of one name, it is the newest one's.
    public let group: UInt64?
    /// Every change that the journals show, in order of terms; the first leader's, too.
    public let moves: [Move]
    /// Members that are named by others, and have no entries of their own here.
    public let unheard: [Int32]

    /// Reads the entries of any number of journals, in any order.
    public init(of subject: Subject, in entries: [JournalEntry]) {
        let entries = entries.sorted { $0.time < $1.time }
        let group = Self.group(of: subject, in: entries)
        let nodes = NodeJournals(of: subject, in: entries)
        var reigns: [UInt64: Reign] = [:]
        for entry in entries where entry.isEvent(.leaderElected) {
            guard group != nil, entry.group == group,
                let term = entry.number("MARTLET_TERM"), term > 0, let node = nodes.node(of: entry)
            else { continue }
            let reign = Reign(node: node, term: UInt64(term), entry: entry)
            if reigns[reign.term] == nil { reigns[reign.term] = reign }
        }
        let ordered = reigns.values.sorted { $0.term < $1.term }
        var moves: [Move] = []
        for (place, reign) in ordered.enumerated() {
            let before = place > 0 ? ordered[place - 1] : nil
            let story = MoveStory(from: before, to: reign, group: group ?? 0, nodes: nodes)
            moves.append(story.move)
        }
        self.group = group
        self.moves = moves
        var named: Set<Int32> = []
        for reign in ordered {
            if let former = reign.entry.number("MARTLET_FORMER_LEADER") {
                named.insert(Int32(truncatingIfNeeded: former))
            }
        }
        unheard = named.subtracting(nodes.known).sorted()
    }

    private static func group(of subject: Subject, in entries: [JournalEntry]) -> UInt64? {
        guard case .partition(let topic, let number) = subject else { return 1 }
        return entries.lazy.filter {
            $0.fields["MARTLET_TOPIC"] == topic && $0.number("MARTLET_PARTITION") == Int64(number)
        }.compactMap(\.group).max()
    }
}
