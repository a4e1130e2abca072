/// Finds what an operator probably meant.
enum NearestName {
    /// The candidate with the fewest edits; nil when even that one is far from the word.
    static func of(_ word: String, among candidates: [String]) -> String? {
        let word = String(word.prefix(64))
        let nearest =
            candidates
            .map { (name: $0, edits: edits(Array(word.utf8), Array($0.utf8))) }
            .min { ($0.edits, $0.name) < ($1.edits, $1.name) }
        guard let nearest, nearest.edits <= max(2, word.utf8.count / 3) else { return nil }
        return nearest.name
    }

    /// Insertions, deletions and replacements from one text to another.
    static func edits(_ from: [UInt8], _ to: [UInt8]) -> Int {
        var row = Array(0...to.count)
        for (position, byte) in from.enumerated() {
            var diagonal = row[0]
            row[0] = position + 1
            for (column, other) in to.enumerated() {
                let replaced = diagonal + (byte == other ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
            }
        }
        return row[to.count]
    }
}
