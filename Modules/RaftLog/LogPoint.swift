import Model

/// A place between two entries of a log: what is known about everything before it.
public struct LogPoint: Equatable, Sendable {
    /// The entry before the place; 0 at the beginning of the log.
    public var index: LogIndex
    /// That entry's term.
    public var term: Term
    /// The running hash up to and with that entry.
    public var chain: UInt64
    /// The offset that the next record takes.
    public var nextOffset: Offset

    /// Joins the four.
    public init(index: LogIndex, term: Term, chain: UInt64, nextOffset: Offset) {
        self.index = index
        self.term = term
        self.chain = chain
        self.nextOffset = nextOffset
    }

    /// The place after an entry.
    init(after row: EntryRow) {
        self.init(
            index: row.index,
            term: row.term,
            chain: row.chain,
            nextOffset: row.nextOffset
        )
    }

    func write(to writer: inout ByteWriter) {
        writer.put(index.rawValue)
        writer.put(term.rawValue)
        writer.put(chain)
        writer.put(nextOffset.rawValue)
    }

    init(reading reader: inout ByteReader) throws(FormatError) {
        index = LogIndex(try reader.take(UInt64.self))
        term = Term(try reader.take(UInt64.self))
        chain = try reader.take(UInt64.self)
        nextOffset = Offset(try reader.take(Int64.self))
    }
}

/// Where a term's entries begin: Kafka's leader epoch cache is a list of these.
public struct TermRun: Equatable, Sendable {
    /// The term.
    public var term: Term
    /// Its first entry in this log.
    public var firstIndex: LogIndex
    /// That entry's base offset.
    public var firstOffset: Offset

    /// Joins the three.
    public init(term: Term, firstIndex: LogIndex, firstOffset: Offset) {
        self.term = term
        self.firstIndex = firstIndex
        self.firstOffset = firstOffset
    }
}

/// The terms of a log in order; says the term of any entry without reading it.
///
/// - Invariant: terms and first indexes rise strictly.
struct TermRuns: Equatable, Sendable {
    private(set) var runs: [TermRun] = []

    init() {}

    init(_ runs: [TermRun]) { self.runs = runs }

    mutating func append(_ row: EntryRow) {
        guard runs.last?.term != row.term else { return }
        runs.append(
            TermRun(term: row.term, firstIndex: row.index, firstOffset: row.baseOffset)
        )
    }

    /// Forgets entries at `index` and after it.
    mutating func cut(from index: LogIndex) {
        while let last = runs.last, last.firstIndex >= index { runs.removeLast() }
    }

    /// Forgets entries up to `point`; the run that goes on after it begins there.
    mutating func drop(through point: LogPoint) {
        guard let keep = runs.lastIndex(where: { $0.firstIndex <= point.index + 1 }) else { return }
        runs.removeFirst(keep)
        if runs[0].firstIndex <= point.index {
            runs[0].firstIndex = point.index + 1
            runs[0].firstOffset = point.nextOffset
        }
    }

    /// The term of an entry at or after the first run's beginning.
    func term(at index: LogIndex) -> Term? {
        var (low, high) = (0, runs.count)
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].firstIndex <= index { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : runs[low - 1].term
    }
}
