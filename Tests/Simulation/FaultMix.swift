/// What goes wrong in one run, and how much of it; times in microseconds, chances from 0 to 1.
///
/// Every seed draws its own: some runs have many small faults, some one kind only, some none.
public struct FaultMix: Sendable {
    /// One kind of misfortune that strikes now and then.
    public enum Kind: String, CaseIterable, Sendable {
        /// A process is killed; what it wrote stays in the page cache.
        case kill
        /// A machine loses its power: unsynced sectors and names are kept at random.
        case powerCut
        /// A machine loses its power in the middle of a call to the disk.
        case powerCutInCall
        /// A process is killed in the middle of a call to the disk.
        case killInCall
        /// A process or its machine falls between two calls of one job of the disk, while other
        /// work is queued behind it.
        case crashInJob
        /// Every machine loses its power at once.
        case blackout
        /// A process stands still for a while.
        case pause
        /// Two sides of the network hear nothing of each other.
        case partition
        /// One direction between two machines is cut.
        case oneWayCut
        /// A new leader is cut off with one follower, always the same one.
        case seesaw
        /// One machine's messages arrive late, all at once.
        case clog
        /// A peer's stream breaks although its process lives.
        case disconnect
        /// A write or a sync fails.
        case diskError
        /// A disk is slow for a while.
        case slowDisk
        /// A disk is full: reservations and writes fail.
        case diskFull
        /// A disk is lost; the machine comes back with an empty one.
        case diskLoss
        /// Bits flip on the disk of a machine that is down.
        case corruption
        /// A read fails, once or until the place is written to again.
        case readError
        /// A disk loses a write that it said to have kept.
        case lostWrite
        /// A write lands elsewhere on its disk, and the right place keeps what it held.
        case misdirectedWrite
        /// A clock jumps ahead.
        case clockJump
        /// A leader is asked to hand over.
        case transfer

        /// Whether what is on a disk may be gone for good.
        var takesReplicas: Bool {
            switch self {
            case .diskLoss, .corruption, .readError, .lostWrite, .misdirectedWrite: true
            default: false
            }
        }
    }

    /// The kinds that strike in this run.
    public var kinds: [Kind]
    /// How long it is from one misfortune to the next, on average.
    public var intervalMean: Int
    /// How long a message takes at least.
    public var delayMin: Int
    /// How much longer it takes on average.
    public var delayMean: Int
    /// How often a message is lost.
    public var loss: Double
    /// How often a message comes twice.
    public var duplication: Double
    /// How often a message may overtake others.
    public var reorder: Double
    /// How long a job of the disk takes on average.
    public var diskMean: Int
    /// How often other things happen between two calls of one job of the disk.
    public var interruption: Double
    /// How many hosts there are.
    public var hosts: Int
    /// How many groups there are.
    public var groups: Int
    /// How many replicas a group begins with.
    public var replicas: Int
    /// How long it is from one proposal to the next, on average.
    public var proposalMean: Int
    /// Whether members come and go.
    public var changesMembers: Bool
    /// After how many applied entries a snapshot is taken, in groups that have snapshots.
    public var snapshotEntries: UInt64
    /// How many appends a leader may have under way to one follower.
    public var inflightMessages: Int
    /// How many bytes of entries a message carries, at least one entry.
    public var messageBytes: Int

    /// Draws a mix.
    init(_ random: inout SeededRandom) {
        let isCalm = random.chance(0.1)
        kinds = isCalm ? [] : Kind.allCases.filter { _ in random.chance(0.45) }
        intervalMean = [300_000, 1_000_000, 3_000_000][random.below(3)]
        delayMin = random.between(50...3_000)
        delayMean = [200, 1_000, 10_000, 40_000][random.below(4)]
        loss = random.chance(0.5) ? 0 : Double(random.below(25)) / 100
        duplication = random.chance(0.5) ? 0 : Double(random.below(30)) / 100
        reorder = random.chance(0.5) ? 0 : Double(random.below(40)) / 100
        diskMean = [100, 500, 3_000, 20_000][random.below(4)]
        interruption = [0, 0.02, 0.2][random.below(3)]
        hosts = random.between(3...6)
        groups = random.between(1...3)
        replicas = min(hosts, [1, 3, 3, 3, 5][random.below(5)])
        // In the last case groups rest for long.
        proposalMean = [3_000, 10_000, 50_000, 1_000_000][random.below(4)]
        changesMembers = random.chance(0.5)
        snapshotEntries = UInt64([10, 40, 200][random.below(3)])
        inflightMessages = [1, 4, 64][random.below(3)]
        messageBytes = [1, 500, 1 << 20][random.below(3)]
        if replicas == 1 { kinds.removeAll(where: \.takesReplicas) }
    }

    /// The mix in a line.
    public var description: String {
        """
        \(hosts) hosts, \(groups) groups of \(replicas), delay \(delayMin)+\(delayMean) us, \
        loss \(loss), duplication \(duplication), reorder \(reorder), disk \(diskMean) us \
        interrupted \(interruption), \
        proposals every \(proposalMean) us, \(changesMembers ? "changing" : "fixed") members, \
        misfortunes every \(intervalMean) us: \
        \(kinds.isEmpty ? "none" : kinds.map(\.rawValue).joined(separator: " "))
        """
    }
}
