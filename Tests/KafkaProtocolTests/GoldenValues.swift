import Model
import NIOCore

/// What the fields of a golden message hold: a function of the path and the variant.
///
/// - Source: make_golden.py, which has the same functions under the same names.
enum GoldenVariant: String, CaseIterable {
    /// Two elements in each array, no nulls.
    case full
    /// Nulls, nothing in arrays, zeros, no tags.
    case least
    /// The least and the greatest numbers, empty and long text, arrays of up to 130.
    case edge

    /// FNV-1a of 64 bits.
    private func fnv(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    private func choice(_ path: String, of count: UInt64) -> Int {
        Int((fnv(path) >> 40) % count)
    }

    /// Whether something long may stand here: once in an array is enough.
    private func isFirst(_ path: String) -> Bool {
        path.split(separator: "[").dropFirst().allSatisfy { $0.hasPrefix("0]") }
    }

    func integer<T: FixedWidthInteger>(_ path: String, as type: T.Type = T.self) -> T {
        switch self {
        case .full: T(truncatingIfNeeded: fnv(path))
        case .least: 0
        case .edge: choice(path, of: 2) == 1 ? T.min : T.max
        }
    }

    func bool(_ path: String) -> Bool { self != .least && choice(path, of: 2) == 1 }

    func uuid(_ path: String) -> UniqueID {
        switch self {
        case .full: UniqueID(high: fnv(path), low: fnv(path + "'"))
        case .least: .zero
        case .edge: UniqueID(high: .max, low: .max)
        }
    }

    func string(_ path: String) -> String {
        switch self {
        case .full:
            let digits = String(fnv(path) & 0xffff_ffff, radix: 16)
            return "é" + String(repeating: "0", count: 8 - digits.count) + digits
        case .least: return ""
        case .edge:
            let long = String(repeating: "猫", count: isFirst(path) ? 43 : 2)
            return ["", "\u{1f426}", "", long][choice(path, of: 4)]
        }
    }

    func bytes(_ path: String) -> ByteBuffer {
        switch self {
        case .full: return ByteBuffer(integer: fnv(path))
        case .least: return ByteBuffer()
        case .edge:
            let (byte, count) = [(0, 0), (0xff, 127), (0x7f, 1), (0x80, 128)][choice(path, of: 4)]
            return ByteBuffer(repeating: UInt8(byte), count: count)
        }
    }

    func isNull(_ path: String) -> Bool {
        self == .least || self == .edge && (fnv(path) >> 48) % 3 == 0
    }

    func elementCount(_ path: String, isStructure: Bool) -> Int {
        let seed = fnv(path)
        switch self {
        case .full: return 2
        case .least: return 0
        case .edge:
            guard isStructure else {
                return [0, 1, 3, isFirst(path) ? 130 : 2][Int((seed >> 44) % 4)]
            }
            return path.contains(".") ? [0, 1, 3][Int((seed >> 44) % 3)] : [1, 3][Int(seed % 2)]
        }
    }
}
