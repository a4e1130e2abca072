import Glibc
import NIOCore
import Synchronization
import ToolSupport

/// A bar on the terminal while a measurement runs; nothing where nobody watches.
final class Progress: Sendable {
    private let title: String
    private let seconds: Double
    private let lastShown = Mutex(-1.0)

    init(title: String, seconds: Double) {
        self.title = title
        self.seconds = seconds
    }

    func show(seconds now: Double, bytes: Int, records: Int) {
        guard Terminal.isWatched, now > 0 else { return }
        let isDue = lastShown.withLock { last in
            guard now - last >= 0.2 else { return false }
            last = now
            return true
        }
        guard isDue else { return }
        let share = min(1, now / seconds)
        let filled = Int(share * 20)
        let bar =
            String(repeating: "#", count: filled)
            + String(repeating: "-", count: 20 - filled)
        let rate =
            "\(Words.fixed(Double(bytes) / now / 1e6, 1)) MB/s, "
            + "\(Words.grouped(Int(Double(records) / now))) records/s"
        let line = "[\(bar)] \(Int(share * 100)) % \(rate)  \(title)"
        Terminal.write("\r" + line.prefix(Terminal.columns - 1) + "\u{1b}[K", to: STDERR_FILENO)
    }

    func clear() {
        guard Terminal.isWatched else { return }
        Terminal.write("\r\u{1b}[K", to: STDERR_FILENO)
    }
}
