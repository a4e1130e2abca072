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

    /// The unit that a disk writes wholly or not at all.
    static let sectorBytes = 512

    mutating func write(_ parts: [UnsafeRawBufferPointer], at position: Int) {
        let count = parts.reduce(0) { $0 + $1.count }
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

    /// Everything reaches the disk.
    mutating func sync() {
        if cutTo < durable.count { durable.removeLast(durable.count - cutTo) }
        for range in dirty { keep(range.clamped(to: 0..<current.count)) }
        grow(&durable, to: current.count)
        forgetDirty()
    }

    /// A sync failed: the pages are clean now, and the disk has not got them.
    mutating func forgetDirty() {
        dirty.removeAll(keepingCapacity: true)
        cutTo = Int.max
    }

    /// The power goes: what was synced stays, and the given choice of unsynced sectors.
    mutating func losePower(keeping keeps: () -> Bool) {
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
