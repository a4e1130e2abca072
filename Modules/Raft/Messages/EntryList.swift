import Model

/// Entries in the order of the log, as messages carry them.
///
/// Most messages carry one, which is kept in place and costs no memory of its own.
/// - Invariant: `many` never has less than two elements, and then `one` is not used.
public struct EntryList: Sendable {
    private var one = Entry()
    private var many: [Entry]?
    /// How many entries there are.
    public private(set) var count = 0

    /// No entries.
    public init() {}

    /// One entry.
    public init(_ entry: Entry) {
        one = entry
        count = 1
    }

    /// The entries of an array, which is kept.
    public init(_ entries: [Entry]) {
        count = entries.count
        if count == 1 { one = entries[0] }
        if count > 1 { many = entries }
    }

    /// The entries of a part of an array.
    init(_ entries: ArraySlice<Entry>) {
        count = entries.count
        if count == 1 { one = entries[entries.startIndex] }
        if count > 1 { many = Array(entries) }
    }

    /// Adds an entry at the end.
    public mutating func append(_ entry: Entry) {
        switch count {
        case 0: one = entry
        case 1:
            many = [one, entry]
            one = Entry()
        default: many?.append(entry)
        }
        count += 1
    }

    /// Adds the entries of a part of an array.
    mutating func append(_ entries: ArraySlice<Entry>) {
        for entry in entries { append(entry) }
    }
}

extension EntryList: RandomAccessCollection, MutableCollection {
    /// Zero.
    public var startIndex: Int { 0 }
    /// The same as `count`.
    public var endIndex: Int { count }
    /// Whether there are none.
    public var isEmpty: Bool { count == 0 }

    /// The entry at a place, counted from zero.
    public subscript(_ place: Int) -> Entry {
        get {
            check(place)
            return many?[place] ?? one
        }
        set {
            check(place)
            if count == 1 { one = newValue } else { many?[place] = newValue }
        }
    }

    @inline(__always)
    private func check(_ place: Int) {
        precondition(place >= 0 && place < count, "place \(place) of \(count) entries")
    }
}

extension EntryList: ExpressibleByArrayLiteral {
    /// The entries of a literal.
    public init(arrayLiteral elements: Entry...) { self.init(elements) }
}

extension EntryList: Equatable {
    /// Compares entry by entry.
    public static func == (lhs: EntryList, rhs: EntryList) -> Bool { lhs.elementsEqual(rhs) }
}

// MARK: Single properties

/// What the core looks at without touching the payloads, whose owners are counted.
extension EntryList {
    /// The index of the entry at a place.
    func index(at place: Int) -> LogIndex {
        check(place)
        return many?[place].index ?? one.index
    }

    /// The term of the entry at a place.
    func term(at place: Int) -> Term {
        check(place)
        return many?[place].term ?? one.term
    }

    /// The type of the entry at a place.
    func type(at place: Int) -> EntryType {
        check(place)
        return many?[place].type ?? one.type
    }

    /// The index of the last entry, if there is one.
    public var lastIndex: LogIndex? { count == 0 ? nil : index(at: count - 1) }

    /// Sets where in the log the entry at a place stands.
    mutating func stamp(_ place: Int, term: Term, index: LogIndex) {
        check(place)
        if count == 1 {
            one.term = term
            one.index = index
        } else {
            many?[place].term = term
            many?[place].index = index
        }
    }

    /// The sum of the entries' sizes.
    var sizeBytes: Int { payloadBytes + count * Entry.overheadBytes }

    /// The sum of the payloads alone.
    var payloadBytes: Int {
        guard let many else { return one.payload.count }
        var total = 0
        for entry in many { total += entry.payload.count }
        return total
    }
}
