import Glibc
import Synchronization

/// Runs blocking disk work elsewhere, one job after the other, in the order given.
public protocol DiskExecutor: Sendable {
    /// Queues a job; returns at once.
    func run(_ job: @escaping @Sendable () -> Void)
}

/// One thread of its own with a mailbox.
///
/// - Thread: ``run(_:)`` from any; jobs run on the thread named at creation.
/// - Invariant: jobs run in the order in which they were given, never two at once.
public final class ThreadExecutor: DiskExecutor {
    private let mailbox: Mailbox
    private let thread: Mutex<pthread_t?>

    /// Starts the thread.
    ///
    /// - Parameter name: shown by `ps -L` and `top -H`; the kernel keeps the first 15 bytes.
    public init(name: String) {
        let mailbox = Mailbox()
        self.mailbox = mailbox
        var thread = pthread_t()
        let box = Unmanaged.passRetained(ThreadStart(mailbox: mailbox, name: name))
        let code = pthread_create(&thread, nil, threadMain, box.toOpaque())
        precondition(code == 0, "pthread_create failed with \(code)")
        self.thread = Mutex(thread)
    }

    deinit { mailbox.close() }

    /// Queues a job; after ``stop()`` it is dropped.
    public func run(_ job: @escaping @Sendable () -> Void) { mailbox.put(job) }

    /// Runs what is queued, then ends the thread and waits for its end.
    ///
    /// - Thread: any but the executor's own.
    public func stop() {
        mailbox.close()
        let ended = thread.withLock { held -> pthread_t? in
            defer { held = nil }
            return held
        }
        if let ended { pthread_join(ended, nil) }
    }
}

/// What a new thread needs to know.
private final class ThreadStart: Sendable {
    let mailbox: Mailbox
    let name: String

    init(mailbox: Mailbox, name: String) {
        self.mailbox = mailbox
        self.name = name
    }
}

private func threadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
    nameThisThread(start.name)
    var jobs: [@Sendable () -> Void] = []
    while start.mailbox.take(&jobs) {
        for job in jobs { job() }
    }
    return nil
}

/// `pthread_setname_np` is hidden behind a feature macro; the kernel's file does the same.
private func nameThisThread(_ name: String) {
    let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    let bytes = Array(name.utf8.prefix(15))
    // A thread without a name works as well.
    _ = write(descriptor, bytes, bytes.count)
    close(descriptor)
}

/// A queue of jobs and the signal that it is not empty.
///
/// `@unchecked Sendable`: `jobs` and `isClosed` are touched only while `mutex` is held, and the
/// two pointers are set once and freed when nobody can hold the object any more.
private final class Mailbox: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let signal = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [@Sendable () -> Void] = []
    private var isClosed = false

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(signal, nil)
    }

    deinit {
        pthread_cond_destroy(signal)
        pthread_mutex_destroy(mutex)
        signal.deallocate()
        mutex.deallocate()
    }

    func put(_ job: @escaping @Sendable () -> Void) {
        pthread_mutex_lock(mutex)
        let wake = jobs.isEmpty
        if !isClosed { jobs.append(job) }
        pthread_mutex_unlock(mutex)
        if wake { pthread_cond_signal(signal) }
    }

    func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        pthread_mutex_unlock(mutex)
        pthread_cond_signal(signal)
    }

    /// Waits for jobs and takes all of them; false when closed and empty.
    func take(_ taken: inout [@Sendable () -> Void]) -> Bool {
        taken.removeAll(keepingCapacity: true)
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while jobs.isEmpty, !isClosed { pthread_cond_wait(signal, mutex) }
        swap(&jobs, &taken)
        return !taken.isEmpty
    }
}

/// An executor whose jobs run when a test says so.
public final class ManualExecutor: DiskExecutor {
    private let jobs = Mutex<[@Sendable () -> Void]>([])

    /// An executor without jobs.
    public init() {}

    /// Queues a job.
    public func run(_ job: @escaping @Sendable () -> Void) { jobs.withLock { $0.append(job) } }

    /// How many jobs wait.
    public var count: Int { jobs.withLock { $0.count } }

    /// Runs the oldest job on the caller's thread; false when there is none.
    @discardableResult
    public func runOne() -> Bool {
        let job = jobs.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        job?()
        return job != nil
    }

    /// Runs jobs until none is left, the ones included that jobs add.
    public func runAll() { while runOne() {} }

    /// Forgets what waits, as a process does that is killed.
    public func dropAll() { jobs.withLock { $0.removeAll() } }
}
