import Glibc

/// Memory, CPU time and open files of this process, read when the text is made.
public enum ProcessMetrics {
    /// Shows the four process families in a registry.
    public static func register(in registry: MetricsRegistry) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let start = Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
        registry.observe(.processStartTime) { start }
        registry.observe(.processCPU) { cpuSeconds() }
        registry.observe(.processResidentMemory) { residentBytes() }
        registry.observe(.processOpenFiles) { openFiles() }
    }

    static func cpuSeconds() -> Double {
        var usage = rusage()
        guard getrusage(numericCast(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        func seconds(_ time: timeval) -> Double {
            Double(time.tv_sec) + Double(time.tv_usec) * 1e-6
        }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    /// The second number of statm is resident pages.
    static func residentBytes() -> Double {
        let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return 0 }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = read(file, &bytes, bytes.count)
        guard count > 0 else { return 0 }
        let words = String(decoding: bytes[..<count], as: UTF8.self).split(separator: " ")
        guard words.count > 1, let pages = Int(words[1]) else { return 0 }
        return Double(pages) * Double(sysconf(Int32(_SC_PAGESIZE)))
    }

    static func openFiles() -> Double {
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        // ".", ".." and the descriptor of the listing itself are not counted.
        var count = -3
        while readdir(directory) != nil { count += 1 }
        return Double(max(0, count))
    }
}
