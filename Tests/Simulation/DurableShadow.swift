import Model
import Raft
import RaftLog

/// What one replica's stable storage holds, as far as its disk has said so.
struct DurableShadow {
    private(set) var term: Term = 0
    private(set) var vote = NodeID.none
    /// The entry before the first of `terms`.
    private var start: LogIndex = 0
    private var startTerm: Term = 0
    private var terms: [Term] = []
    /// Of each write that is on its way, the first entry that it replaces.
    private var cuts: [LogIndex] = []

    init() {}

    /// What was found at a start, all of which recovery has made stable.
    init(of log: GroupLog) {
        term = log.hardState.term
        vote = log.hardState.vote
        start = log.firstIndex - 1
        startTerm = (try? log.term(at: start)) ?? 0
        var index = start + 1
        while index <= log.lastIndex {
            terms.append((try? log.term(at: index)) ?? 0)
            index += 1
        }
    }

    var lastIndex: LogIndex { start + UInt64(terms.count) }

    /// The last entry that is there whether or not the writes on their way have arrived.
    var certainIndex: LogIndex {
        cuts.reduce(lastIndex) { min($0, $1 - 1) }
    }

    /// The term of a stored entry; entries that a snapshot covers are taken on trust.
    func term(at index: LogIndex) -> Term? {
        if index == start { return startTerm }
        guard index > start, index <= lastIndex else { return nil }
        return terms[Int(index - start) - 1]
    }

    /// Whether an entry is stored, or covered by what is.
    func holds(_ index: LogIndex, _ term: Term) -> Bool {
        index <= start || self.term(at: index) == term
    }

    /// Notes a write that is on its way.
    mutating func expect(_ message: Message) {
        var first = LogIndex(UInt64.max)
        if let metadata = message.snapshot?.metadata {
            // One that ends with another entry than ours replaces what we have before it, too.
            let isOther = term(at: metadata.index).map { $0 != metadata.term } ?? false
            first = isOther ? start + 1 : metadata.index + 1
        }
        if let entry = message.entries.first { first = min(first, entry.index) }
        cuts.append(first)
    }

    /// Takes what a write has made stable.
    mutating func take(_ message: Message) {
        if !cuts.isEmpty { cuts.removeFirst() }
        if let metadata = message.snapshot?.metadata {
            (start, startTerm, terms) = (metadata.index, metadata.term, [])
        }
        if let first = message.entries.first {
            if first.index <= lastIndex {
                terms.removeLast(min(terms.count, Int(lastIndex - first.index) + 1))
            }
            terms += message.entries.map(\.term)
        }
        if message.term > term {
            (term, vote) = (message.term, message.vote)
        } else if message.term == term, message.vote != .none {
            vote = message.vote
        }
    }
}
