import Glibc
import Systemd

/// What the system lets this process have.
///
/// It is looked at before anything else: a library that gets no thread later on hangs or traps,
/// without a word.
public enum ProcessLimits {
    /// Files that a daemon needs for itself, without a single client.
    static let openFilesMin = 64

    /// Threads that a daemon needs: its own, and in its two pools one for each processor, of which
    /// no more than some are ever busy.
    static var threadsMin: Int { 16 + 2 * min(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 16) }

    /// How many files the process may have open at a time; daemons raise their own limit to it.
    public static func openFilesMax() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return .max
        }
        return Int(clamping: limit.rlim_max)
    }

    /// What there is too little of, in words for an operator; nil when there is enough.
    static func shortage(openFiles: Int, threads: Int) -> String? {
        if openFiles < openFilesMin {
            return """
                it may have \(openFiles) files open and needs \(openFilesMin): raise LimitNOFILE= \
                of the unit, or ulimit -n
                """
        }
        if threads < threadsMin {
            return """
                the system gives it \(threads) threads and it needs \(threadsMin): raise TasksMax= \
                of the unit, or the limit of its user's processes
                """
        }
        return nil
    }

    /// Starts threads until there are so many at once or the system refuses, and ends them again.
    ///
    /// - Returns: how many there were.
    static func startableThreads(upTo count: Int) -> Int {
        let gate = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        defer { gate.deallocate() }
        pthread_mutex_init(gate, nil)
        defer { pthread_mutex_destroy(gate) }
        pthread_mutex_lock(gate)
        var threads: [pthread_t] = []
        while threads.count < count {
            var thread = pthread_t()
            let failure = pthread_create(
                &thread,
                nil,
                { gate in
                    guard let gate = gate?.assumingMemoryBound(to: pthread_mutex_t.self) else {
                        return nil
                    }
                    pthread_mutex_lock(gate)
                    pthread_mutex_unlock(gate)
                    return nil
                },
                gate
            )
            guard failure == 0 else { break }
            threads.append(thread)
        }
        pthread_mutex_unlock(gate)
        for thread in threads { pthread_join(thread, nil) }
        return threads.count
    }
}

extension DaemonSetup {
    /// Says why the daemon cannot start, if a limit of the system is too low for it.
    ///
    /// Call before anything that starts a thread; the line is written at once.
    ///
    /// - Returns: the status to exit with; nil when there is enough of everything.
    public static func refuseShortage(identifier: String) -> ExitStatus? {
        let shortage = ProcessLimits.shortage(
            openFiles: ProcessLimits.openFilesMax(),
            threads: ProcessLimits.startableThreads(upTo: ProcessLimits.threadsMin)
        )
        guard let shortage else { return nil }
        let sink: any LogSink =
            JournalStream.isConnected()
            ? JournalSink(identifier: identifier) : StandardErrorSink()
        sink.write(LogLines.limitTooLow(identifier, shortage))
        return .failure
    }
}
