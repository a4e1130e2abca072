import Disk
import Logging
import Model
import NIOCore
import NIOEmbedded
import RaftHost
import RaftLog
import Synchronization

/// One machine: a disk that outlives the process, and a process that comes and goes.
final class SimulatedHost {
    /// The two threads that work for a data directory.
    enum Worker: UInt64 {
        case writer = 1
        case reader = 2
    }

    let owner: Int32
    var files = SimulatedHost.emptyDisk()
    /// How many processes there were; what belongs to an earlier one is void.
    private(set) var life: UInt64 = 0
    private(set) var loop = EmbeddedEventLoop()
    private(set) var writer = ManualExecutor()
    private(set) var reader = ManualExecutor()
    private(set) var directory: LogDirectory?
    private(set) var manager: RaftManager?
    var ledgers: [RaftGroupID: Ledger] = [:]
    /// Jobs that wait for their time on the timeline.
    var isScheduled: [Worker: Bool] = [:]
    /// Replicas whose deletion was ordered and is not durable yet.
    var isPurging: Set<NodeID> = []
    var isPaused = false
    private var alarm = Alarm()
    /// Processes that ended, each with a loop on which tasks may wait for ever.
    private var dead: [(loop: EmbeddedEventLoop, manager: RaftManager)] = []
    /// When the last answer of the disk arrives.
    var lastAnswer: UInt64 = 0
    /// By how much everything on the disk is slower now.
    var slowness = 1
    /// Whether it falls between two calls of the next job of its disk.
    var fallsInJob = false
    /// Whether a cut in a call is the process's death alone.
    var diesInCall = false
    /// What is wrong with what its disk holds.
    var damage = Damage.none
    /// How the next write that its disk loses will be lost.
    var betrayal = FaultMix.Kind.lostWrite
    /// Whether its disk may lose a write that is still to come.
    var isBetrayed = false
    /// How many lost writes of its disk have been noted.
    var lossesSeen = 0
    /// How many starts in a row have failed because the disk could not be read.
    var failedReadings = 0

    /// How far a disk may be believed.
    enum Damage {
        case none
        /// A read has failed or will; what is there is right.
        case passing
        /// Something on it is wrong.
        case lasting
    }

    /// Whether its replicas may be found damaged.
    var isDamaged: Bool { damage != .none }

    init(owner: Int32) { self.owner = owner }

    /// Whether the log could not be written; the process must end.
    var hasFailed: Bool { alarm.isRaised }

    var name: String { "h\(owner)" }
    var isRunning: Bool { manager != nil }

    static func emptyDisk() -> MemoryFiles {
        let files = MemoryFiles()
        do throws(DiskError) {
            try files.makeDirectory("/data")
            try files.syncDirectory("/")
        } catch {
            preconditionFailure("an empty disk in memory refused a directory: \(error)")
        }
        return files
    }

    /// Small files, so that checkpoints, recycling and new segments come often.
    static let logOptions: RaftLogOptions = {
        var options = RaftLogOptions()
        options.walFileBytes = 128 << 10
        options.walFilesMax = 2
        options.segmentBytesMax = 16 << 10
        options.segmentStepBytesMin = 4 << 10
        options.segmentStepBytesMax = 8 << 10
        options.tailCacheBytes = 8 << 10
        options.dirtyFilesMax = 8
        return options
    }()

    /// Starts a process on the disk, as the daemons do; groups are recovered by the caller.
    func start(
        _ mix: FaultMix,
        _ random: inout SeededRandom,
        sender: any RaftSender,
        interceptor: any RaftInterceptor
    ) throws -> [GroupLog] {
        life += 1
        loop = EmbeddedEventLoop()
        writer = ManualExecutor()
        reader = ManualExecutor()
        isScheduled = [:]
        lastAnswer = 0
        let alarm = Alarm()
        self.alarm = alarm
        ledgers = [:]
        var random = random.split()
        let (directory, logs) = try LogDirectory.open(
            path: "/data",
            files: files,
            writer: writer,
            reader: reader,
            options: Self.logOptions,
            cluster: nil,
            random: &random,
            onFailure: { _ in alarm.raise() }
        )
        var options = RaftHostOptions()
        options.snapshotEntries = mix.snapshotEntries
        options.inflightMessagesMax = mix.inflightMessages
        options.messageBytesMax = mix.messageBytes
        options.catchUpBytesPerSecond = 256 << 10
        let manager = RaftManager(
            eventLoop: loop,
            directory: directory,
            options: options,
            random: random,
            logger: Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() }
        )
        manager.connect(to: sender)
        manager.interceptor = interceptor
        manager.storageFailed = { _ in alarm.raise() }
        self.directory = directory
        self.manager = manager
        return logs
    }

    /// Ends the process: whatever it had not handed to its disk is gone.
    func end() {
        writer.dropAll()
        reader.dropAll()
        manager?.shutdown()
        directory?.abandon()
        if let manager { dead.append((loop, manager)) }
        manager = nil
        directory = nil
        ledgers = [:]
        isPurging = []
        isPaused = false
    }

    /// Frees what earlier processes have left, when nothing can come of it any more.
    ///
    /// Tasks that wait on a loop hold that loop, so only their end frees it.
    func bury() {
        for (loop, _) in dead { try? loop.syncShutdownGracefully() }
        writer.dropAll()
        reader.dropAll()
        dead = []
    }

    func executor(_ worker: Worker) -> ManualExecutor {
        worker == .writer ? writer : reader
    }

    func replica(_ group: RaftGroupID) -> Replica? { manager?.replica(group) }
}

/// Whether a process has lost its disk: set by whichever part notices first.
private final class Alarm: Sendable {
    private let state = Atomic(false)

    var isRaised: Bool { state.load(ordering: .relaxed) }

    func raise() { state.store(true, ordering: .relaxed) }
}
