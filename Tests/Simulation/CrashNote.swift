import Glibc

/// Says which run a process died in: a broken precondition of the real code ends it at once.
public enum CrashNote {
    private static let bytesMax = 512
    nonisolated(unsafe) private static let text = UnsafeMutablePointer<CChar>.allocate(
        capacity: bytesMax
    )

    /// Prints `note` on standard error if the process traps from now on.
    public static func set(_ note: String) {
        let bytes = Array((note + "\n").utf8.prefix(bytesMax - 1))
        for (place, byte) in bytes.enumerated() { text[place] = CChar(bitPattern: byte) }
        text[bytes.count] = 0
        for number in [SIGILL, SIGTRAP, SIGABRT, SIGSEGV] { signal(number, handler) }
    }

    private static let handler: @convention(c) (Int32) -> Void = { number in
        // Only what a signal handler may call.
        _ = write(STDERR_FILENO, text, strlen(text))
        signal(number, SIG_DFL)
        raise(number)
    }
}
