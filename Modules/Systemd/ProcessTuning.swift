import CSystemd

/// What a daemon sets for its whole process before it does anything else.
public enum ProcessTuning {
    /// Keeps large buffers inside the heap instead of mapping and unmapping each one.
    ///
    /// Without it, glibc maps every buffer of a mebibyte afresh and the page faults cost more than
    /// half of the throughput. The price: resident memory keeps its high-water mark.
    ///
    /// - Returns: false when the C library refuses a value; the daemon works, only slower.
    public static func tuneAllocator() -> Bool {
        let gibibyte: Int32 = 1 << 30
        return mallopt(M_MMAP_THRESHOLD, gibibyte) == 1
            && mallopt(M_TRIM_THRESHOLD, Int32.max) == 1
            && mallopt(M_TOP_PAD, 64 << 20) == 1
    }
}
