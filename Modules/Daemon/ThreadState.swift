import Glibc

/// What one of the process's threads does, as the kernel tells it.
struct ThreadState: Equatable, CustomStringConvertible {
    /// The kernel's number of the thread, as in `ps -L`.
    var id: Int32
    /// Its name, as in `top -H`.
    var name: String
    /// R runs, S sleeps, D waits for a device, t is held by a debugger.
    var state: Character
    /// The kernel's function in which it waits; nil if it does not, or if the kernel keeps silent.
    var waitsIn: String?
    /// The system call that it is in; nil if none, or if the kernel keeps silent.
    var call: Int?

    /// `thread 12 wal: D in folio_wait_bit, system call 75`.
    var description: String {
        var text = "thread \(id) \(name): \(state)"
        if let waitsIn { text += " in \(waitsIn)" }
        if let call { text += ", system call \(call)" }
        return text
    }

    /// All threads of this process, in the order of their numbers.
    static func all(_ folder: String = "/proc/self/task") -> [ThreadState] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var ids: [Int32] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let id = Int32(name) { ids.append(id) }
        }
        return ids.sorted().compactMap { one($0, "\(folder)/\($0)") }
    }

    private static func one(_ id: Int32, _ folder: String) -> ThreadState? {
        // The name stands in brackets and may hold some itself; the state follows the last one.
        guard let stat = firstLine("\(folder)/stat"), let open = stat.firstIndex(of: "("),
            let close = stat.lastIndex(of: ")"), open < close,
            let state = stat[close...].dropFirst(2).first
        else { return nil }
        let waitsIn = firstLine("\(folder)/wchan").flatMap { $0 == "0" || $0.isEmpty ? nil : $0 }
        let call = firstLine("\(folder)/syscall")?.split(separator: " ").first.flatMap { Int($0) }
        return ThreadState(
            id: id,
            name: String(stat[stat.index(after: open)..<close]),
            state: state,
            waitsIn: waitsIn,
            call: call.flatMap { $0 < 0 ? nil : $0 }
        )
    }

    private static func firstLine(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = read(file, &bytes, bytes.count)
        guard count >= 0 else { return nil }
        return String(decoding: bytes[..<count].prefix { $0 != 0x0a }, as: UTF8.self)
    }
}
