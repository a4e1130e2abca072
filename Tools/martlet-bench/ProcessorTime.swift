import Glibc

/// What processes have used of the processors, in seconds.
enum ProcessorTime {
    /// This process.
    static func now() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let user = Double(usage.ru_utime.tv_sec) + Double(usage.ru_utime.tv_usec) / 1e6
        return user + Double(usage.ru_stime.tv_sec) + Double(usage.ru_stime.tv_usec) / 1e6
    }

    /// Other processes, together; one that has ended counts as nothing.
    static func of(_ processes: [Int32]) -> Double {
        processes.reduce(0) { $0 + (of($1) ?? 0) }
    }

    /// Another process; nil if there is none.
    ///
    /// - Source: proc(5), `/proc/PID/stat`, fields 14 (utime) and 15 (stime) in clock ticks.
    static func of(_ process: Int32) -> Double? {
        guard let file = fopen("/proc/\(process)/stat", "re") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 1024)
        guard fgets(&line, Int32(line.count), file) != nil else { return nil }
        let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
        // The name, in parentheses, may hold anything; the fields after it are numbers.
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[end...].split(separator: " ").dropFirst()
        let places = (fields.startIndex + 11, fields.startIndex + 12)
        guard fields.indices.contains(places.1), let user = Double(fields[places.0]),
            let system = Double(fields[places.1])
        else { return nil }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}
