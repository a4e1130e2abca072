/// Numbers of bytes as an operator writes them: `65536`, `64KiB`, `64MiB`, `1GiB`.
enum ByteSize {
    private static let units: [(name: String, factor: Int)] = [
        ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10),
    ]

    /// nil when it is not a number with one of the units, or when it does not fit.
    static func parse(_ text: String) -> Int? {
        for unit in units where text.hasSuffix(unit.name) {
            guard let count = Int(text.dropLast(unit.name.count)), count >= 0 else { return nil }
            let (bytes, overflow) = count.multipliedReportingOverflow(by: unit.factor)
            return overflow ? nil : bytes
        }
        guard let bytes = Int(text), bytes >= 0 else { return nil }
        return bytes
    }

    /// In the largest unit that leaves no remainder.
    static func text(_ bytes: Int) -> String {
        for unit in units where bytes >= unit.factor && bytes.isMultiple(of: unit.factor) {
            return "\(bytes / unit.factor)\(unit.name)"
        }
        return "\(bytes)"
    }
}
