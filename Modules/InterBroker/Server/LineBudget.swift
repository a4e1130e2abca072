public import NIOCore

/// How many lines of each kind may be logged, so that whoever causes them cannot fill the journal.
///
/// - Invariant: at most `linesMax` lines per kind and window.
public struct LineBudget<Kind: Hashable & Sendable>: Sendable {
    /// Lines of one kind in one window; 5.
    public static var linesMax: Int { 5 }
    /// Seconds that they have to last; 10.
    public static var window: TimeAmount { .seconds(10) }

    private struct Spent {
        var windowEnd: NIODeadline
        var lines = 0
        var unlogged = 0
    }

    private var spent: [Kind: Spent] = [:]

    /// A budget of which nothing is spent.
    public init() {}

    /// Takes a line of a kind, if there is one left.
    ///
    /// - Returns: how many lines of the kind were left out since the last one; nil if this one is.
    public mutating func take(_ kind: Kind, now: NIODeadline = .now()) -> Int? {
        var own = spent[kind] ?? Spent(windowEnd: now + Self.window)
        defer { spent[kind] = own }
        if now >= own.windowEnd {
            own.windowEnd = now + Self.window
            own.lines = 0
        }
        guard own.lines < Self.linesMax else {
            own.unlogged += 1
            return nil
        }
        own.lines += 1
        defer { own.unlogged = 0 }
        return own.unlogged
    }
}
