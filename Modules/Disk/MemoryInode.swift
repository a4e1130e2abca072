/// A file's bytes in memory: what a reader sees, and what a power loss would leave.
struct MemoryInode {
    /// What reads see.
    private(set) var current: [UInt8] = []
    /// What survives a loss of power.
    private(set) var durable: [UInt8] = []
    /// The ranges written since the last sync, in order.
    private var dirty: [Range<Int>] = []
    /// The smallest size since the last sync; `Int.max` when nothing was cut.
    private var cutTo = Int.max

    /// A write that the disk says to have kept, and has not.
    private(set) var lost: LostWrite?
    /// A place that cannot be read until it is written to again.
    var unreadable: Range<Int>?

    /// What is lost, and since when.
    struct LostWrite {
        var range: Range<Int>
        var old: [UInt8]
        var new: [UInt8]
        /// How many of the writes since the last sync came no later.
        var place: Int
        /// Draws where else the bytes go; nil when they go nowhere.
        var strays: MemoryRandom?
        /// Whether it waits until something later in the file is durable.
        var waits: Bool
    }

    /// The unit that a disk writes wholly or not at all.
    static let sectorBytes = 512

    mutating func write(_ parts: [UnsafeRawBufferPointer], at position: Int) {
        let count = parts.reduce(0) { $0 + $1.count }
        if let place = unreadable, position <= place.lowerBound,
            min(place.upperBound, current.count) <= position + count
        {
            unreadable = nil
        }
        grow(&current, to: position + count)
        current.withUnsafeMutableBytes { target in
            var next = position
            for part in parts where !part.isEmpty {
                UnsafeMutableRawBufferPointer(rebasing: target[next..<next + part.count])
                    .copyMemory(from: part)
                next += part.count
            }
        }
        if count > 0 { dirty.append(position..<position + count) }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at position: Int) -> Int {
        let count = max(0, min(buffer.count, current.count - position))
        guard count > 0 else { return 0 }
        current.withUnsafeBytes { source in
            UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
                .copyMemory(
                    from: UnsafeRawBufferPointer(
                        rebasing: source[position...][..<(position + count)]
                    )
                )
        }
        return count
    }

    mutating func truncate(to size: Int) {
        if size < current.count {
            current.removeLast(current.count - size)
            cutTo = min(cutTo, size)
        } else if size > current.count {
            let old = current.count
            grow(&current, to: size)
            dirty.append(old..<size)
        }
    }

    mutating func allocate(to size: Int) {
        if size > current.count { truncate(to: size) }
    }

    /// Lets the disk lose what is written next to a range.
    mutating func lose(_ range: Range<Int>, _ new: [UInt8], strays: MemoryRandom?, waits: Bool) {
        var old = Array(current[range.clamped(to: 0..<current.count)])
        grow(&old, to: range.count)
        lost = LostWrite(
            range: range,
            old: old,
            new: new,
            place: dirty.count + 1,
            strays: strays,
            waits: waits
        )
    }

    /// What was to be lost is kept after all.
    mutating func keepLost() { lost = nil }

    /// Everything reaches the disk, but for a lost write, which is returned once it is gone.
    mutating func sync() -> LostWrite? {
        let later = dirty
        keepDirty()
        guard let lost else { return nil }
        let after = later[lost.place...]
        self.lost?.place = 0
        if after.contains(where: { $0.overlaps(lost.range) })
            || current.count < lost.range.upperBound
        {
            // It was written again, or cut off.
            self.lost = nil
            return nil
        }
        guard !lost.waits || after.contains(where: { $0.lowerBound > lost.range.lowerBound }) else {
            return nil
        }
        self.lost = nil
        place(lost.old, at: lost.range.lowerBound)
        return lost
    }

    /// Replaces bytes behind everybody's back, as far as the file reaches.
    mutating func place(_ bytes: [UInt8], at position: Int) {
        let end = min(position + bytes.count, min(current.count, durable.count))
        guard position < end else { return }
        current.replaceSubrange(position..<end, with: bytes[..<(end - position)])
        durable.replaceSubrange(position..<end, with: bytes[..<(end - position)])
    }

    private mutating func keepDirty() {
        if cutTo < durable.count { durable.removeLast(durable.count - cutTo) }
        for range in dirty { keep(range.clamped(to: 0..<current.count)) }
        grow(&durable, to: current.count)
        dirty.removeAll(keepingCapacity: true)
        cutTo = Int.max
    }

    /// A sync failed: the pages are clean now, and the disk has not got them.
    mutating func forgetDirty() {
        lost = nil
        dirty.removeAll(keepingCapacity: true)
        cutTo = Int.max
    }

    /// The power goes: what was synced stays, and the given choice of unsynced sectors.
    mutating func losePower(keeping keeps: () -> Bool) {
        lost = nil
        if cutTo < durable.count, keeps() { durable.removeLast(durable.count - cutTo) }
        for range in dirty {
            var start = range.lowerBound
            while start < range.upperBound {
                let end = min(range.upperBound, (start / Self.sectorBytes + 1) * Self.sectorBytes)
                if keeps() { keep((start..<end).clamped(to: 0..<current.count)) }
                start = end
            }
        }
        forgetDirty()
        current = durable
    }

    /// Replaces everything, durably.
    mutating func replace(with bytes: [UInt8]) {
        current = bytes
        durable = bytes
        lost = nil
        forgetDirty()
    }

    private mutating func keep(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        grow(&durable, to: range.upperBound)
        durable.withUnsafeMutableBytes { target in
            current.withUnsafeBytes { source in
                UnsafeMutableRawBufferPointer(rebasing: target[range])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[range]))
            }
        }
    }

    private func grow(_ bytes: inout [UInt8], to size: Int) {
        guard size > bytes.count else { return }
        bytes.append(contentsOf: repeatElement(0, count: size - bytes.count))
    }
}
