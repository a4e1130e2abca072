import Glibc

/// Wakes one thread from another.
public final class WakeSignal: Sendable {
    // Proof: sem_t is made for use by many threads, and its memory lives as long as this object.
    nonisolated(unsafe) private let semaphore: UnsafeMutablePointer<sem_t>

    /// Makes a signal that has not been given.
    public init() {
        semaphore = .allocate(capacity: 1)
        let made = sem_init(semaphore, 0, 0)
        precondition(made == 0, "sem_init failed with errno \(errno)")
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    /// Wakes one waiter, now or when it comes.
    public func signal() { sem_post(semaphore) }

    /// Waits for a signal.
    public func wait() {
        while sem_wait(semaphore) != 0 && errno == EINTR {}
    }

    /// Waits for a signal; false when it does not come in time.
    public func wait(timeout: Duration) -> Bool {
        var until = timespec()
        clock_gettime(CLOCK_REALTIME, &until)
        let (seconds, attoseconds) = timeout.components
        until.tv_sec += Int(seconds)
        until.tv_nsec += Int(attoseconds / 1_000_000_000)
        if until.tv_nsec >= 1_000_000_000 {
            until.tv_nsec -= 1_000_000_000
            until.tv_sec += 1
        }
        while sem_timedwait(semaphore, &until) != 0 {
            if errno != EINTR { return false }
        }
        return true
    }
}
