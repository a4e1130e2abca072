/// An integer with a meaning: it cannot be mixed up with another kind of integer.
///
/// - Shape: one stored `rawValue`; same size and cost as the integer inside.
/// - Invariant: ordering, hashing, coding and the printed form are those of `rawValue`.
public protocol WrappedInteger: RawRepresentable, Hashable, Comparable, Sendable, Codable,
    CustomStringConvertible, ExpressibleByIntegerLiteral
where RawValue: FixedWidthInteger & Sendable & Codable {
    /// Wraps the integer; every value of the raw type is accepted.
    init(rawValue: RawValue)
}

extension WrappedInteger {
    /// Wraps the integer without a label.
    @inlinable
    public init(_ rawValue: RawValue) { self.init(rawValue: rawValue) }

    /// Wraps a literal, so that tests and constants read naturally.
    @inlinable
    public init(integerLiteral value: RawValue) { self.init(rawValue: value) }

    /// The decimal digits of the raw value.
    @inlinable
    public var description: String { String(rawValue) }

    /// Orders by raw value.
    @inlinable
    public static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// A wrapped integer that counts positions, so that steps forward and back make sense.
public protocol SteppableInteger: WrappedInteger {}

extension SteppableInteger {
    /// The position `count` steps further; traps on overflow.
    @inlinable
    public static func + (lhs: Self, count: RawValue) -> Self { Self(lhs.rawValue + count) }

    /// The position `count` steps back; traps on underflow.
    @inlinable
    public static func - (lhs: Self, count: RawValue) -> Self { Self(lhs.rawValue - count) }

    /// The number of steps from `rhs` to `lhs`; traps when unsigned and negative.
    @inlinable
    public static func - (lhs: Self, rhs: Self) -> RawValue { lhs.rawValue - rhs.rawValue }

    /// Moves forward by `count` steps.
    @inlinable
    public static func += (lhs: inout Self, count: RawValue) { lhs = lhs + count }
}
