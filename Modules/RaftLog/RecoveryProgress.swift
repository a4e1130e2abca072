/// Says how far a recovery is, each time that it has got some mebibytes or files further.
///
/// A start may take minutes; whoever waits for it wants to see that it goes on, and systemd ends a
/// start of which it does not hear.
/// - Thread: the one that recovers.
final class RecoveryProgress {
    private let say: (String) -> Void
    private let stepBytes: UInt64
    private var bytes: UInt64 = 0
    private var said: UInt64 = 0
    private var files = 0

    /// - Parameter stepBytes: how much is done between two sentences; a slow disk needs some tenths
    ///   of a second for 4 MiB.
    init(stepBytes: UInt64 = 4 << 20, say: @escaping (String) -> Void) {
        self.stepBytes = stepBytes
        self.say = say
    }

    /// So much more of the write-ahead log was read and verified.
    func read(_ count: Int, of total: UInt64) {
        move(count, total) { "read \($0) of the write-ahead log" }
    }

    /// So much more of it was written to segments.
    func wrote(_ count: Int, of total: UInt64) {
        move(count, total) { "wrote \($0) to segments" }
    }

    /// The next stretch counts from nothing.
    func begin() { (bytes, said) = (0, 0) }

    /// One more file was made durable.
    func synced(of total: Int) {
        files += 1
        say("synced \(files) of \(total) files")
    }

    /// Another sentence.
    func note(_ text: String) { say(text) }

    private func move(_ count: Int, _ total: UInt64, _ sentence: (String) -> String) {
        bytes += UInt64(count)
        guard bytes - said >= stepBytes else { return }
        said = bytes
        // Rounded up: the total is never less than what is done.
        say(sentence("\(bytes >> 20) of \((total + (1 << 20) - 1) >> 20) MiB"))
    }
}
