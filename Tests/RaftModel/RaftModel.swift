/// One Raft group as its traces tell of it: an abstract model that knows nothing else.
///
/// It reads the lines of all replicas of a group in the order in which they came, moves its own
/// picture of the group along, and stops at the first line that Raft does not allow: a step that
/// cannot follow from those before, or a state in which an invariant of the specification does
/// not hold.
/// - Thread: one at a time.
public struct RaftModel {
    /// What a trace has shown that Raft does not allow.
    public struct Violation: Equatable, Sendable, CustomStringConvertible {
        /// What was broken.
        public let rule: Rule
        /// How, in a sentence.
        public let reason: String
        /// The number of the line, from 1.
        public let lineNumber: Int
        /// The line.
        public let line: String

        /// Rule, reason and line.
        public var description: String {
            "\(rule.rawValue): \(reason), at line \(lineNumber): \(line)"
        }
    }

    /// The first violation; nil as long as all is well.
    public private(set) var violation: Violation?
    /// How many lines were read.
    public private(set) var lineCount = 0

    /// Whether each step must be a legal one; otherwise the invariants stand alone.
    let checksSteps: Bool
    var nodes: [ModelNode] = []
    /// Who won each term, with the log of that leadership.
    var leaderships: [UInt64: ModelLeadership] = [:]
    /// Where the entries of each term begin, and the term before: that is what matching logs share.
    var origins: [UInt64: (first: UInt64, termBefore: UInt64)] = [:]
    /// What any replica holds for committed.
    var committed = TermRuns()
    /// Up to where leaders of each term have committed; both rise.
    var commitMarks: [(term: UInt64, index: UInt64)] = []
    /// The voters that any replica has taken over, in the order of the changes.
    var configurations: [Configuration] = []
    var proposedChanges: [[MemberChange]] = []
    /// Votes that were given, whether or not they were stored.
    var votesGiven: Set<Ballot> = []
    /// The highest term that anybody has begun.
    var termMax: UInt64 = 0
    /// Whether the trace says what is on stable storage.
    var knowsDisks = false

    /// Prepares for a group of which nothing is known.
    ///
    /// - Parameter checksSteps: false leaves only the invariants, for tests of these.
    public init(checksSteps: Bool = true) { self.checksSteps = checksSteps }

    /// Reads the next line; after a violation nothing is read any more.
    public mutating func read(_ line: String) {
        guard violation == nil else { return }
        lineCount += 1
        do throws(Breach) {
            try follow(line)
        } catch {
            violation = Violation(
                rule: error.rule,
                reason: error.reason,
                lineNumber: lineCount,
                line: line
            )
        }
    }

    private mutating func follow(_ line: String) throws(Breach) {
        let parsed: TraceLine
        do throws(UnreadableLine) {
            parsed = try TraceLine(line)
        } catch {
            throw Breach(.readableLine, error.reason)
        }
        switch parsed {
        case .step(let step): try follow(step)
        case .disk(let report): try follow(report)
        }
    }

    /// Where a node stands in `nodes`.
    mutating func place(of node: UInt64) -> Int {
        if let place = nodes.firstIndex(where: { $0.id == node }) { return place }
        nodes.append(ModelNode(id: node))
        return nodes.count - 1
    }

    func node(_ id: UInt64) -> ModelNode? { nodes.first { $0.id == id } }
}

/// What a trace is held to.
public enum Rule: String, CaseIterable, Sendable {
    // The invariants of etcd's specification.
    case logInv = "LogInv"
    case moreThanOneLeaderInv = "MoreThanOneLeaderInv"
    case electionSafetyInv = "ElectionSafetyInv"
    case logMatchingInv = "LogMatchingInv"
    case quorumLogInv = "QuorumLogInv"
    case moreUpToDateCorrectInv = "MoreUpToDateCorrectInv"
    case leaderCompletenessInv = "LeaderCompletenessInv"
    case committedIsDurableInv = "CommittedIsDurableInv"

    // What makes a step legal.
    /// Every line can be read.
    case readableLine = "ReadableLine"
    /// Term, vote, role, commit, log and voters are what the steps so far have made them.
    case stateFollows = "StateFollows"
    /// A vote is given once in a term, and to a log that is as good.
    case legalVote = "LegalVote"
    /// A vote counts when it is stored.
    case votesAreDurable = "VotesAreDurable"
    /// Who leads was a candidate, and a quorum of both halves of its voters has voted for it.
    case electedByQuorum = "ElectedByQuorum"
    /// A leader sends what it has, and a follower takes what continues its log.
    case legalAppend = "LegalAppend"
    /// An acknowledged entry is the leader's, and stored.
    case acknowledgedIsDurable = "AcknowledgedIsDurable"
    /// A leader commits what a quorum has acknowledged to it, if the last of it is of its term.
    case committedByQuorum = "CommittedByQuorum"
    /// A follower commits no more than it has, and than the leader of its term has committed.
    case commitWasTold = "CommitWasTold"
    /// Voters change one by one or jointly, as was proposed, everywhere in the same order.
    case legalConfiguration = "LegalConfiguration"
    /// What was stored is there after a start, and nothing that never was in the log.
    case storedSurvives = "StoredSurvives"

    /// Whether it is one of the invariants of etcd's specification.
    public var isInvariant: Bool { rawValue.hasSuffix("Inv") }
}

/// A line that Raft does not allow.
struct Breach: Error {
    let rule: Rule
    let reason: String

    init(_ rule: Rule, _ reason: String) {
        self.rule = rule
        self.reason = reason
    }
}

/// A vote of a node in a term.
struct Ballot: Hashable {
    var voter: UInt64
    var term: UInt64
    var candidate: UInt64
}

/// The winner of a term.
struct ModelLeadership {
    var node: UInt64
    /// Its log; it goes on to stand for the term when the node has lost the leadership.
    var log: TermRuns
    /// The highest index that it held for committed.
    var commit: UInt64
}

/// What the model knows of one replica.
struct ModelNode {
    let id: UInt64
    var term: UInt64 = 0
    var vote: UInt64 = 0
    var role = Role.follower
    var commit: UInt64 = 0
    var log = TermRuns()
    var configuration = Configuration()

    /// The voters that a change brings which is being applied.
    var newVoters: [UInt64]?
    /// Whose votes have arrived, as a candidate.
    var votes: [UInt64] = []
    /// What has been acknowledged, as a leader.
    var matches: [(node: UInt64, index: UInt64)] = []
    /// The message that is being handled.
    var inbox: TraceMessage?
    /// Entries and changes that were proposed and are about to be appended.
    var entriesToCome: UInt64 = 0
    var changesToCome: UInt64 = 0
    /// Whether it starts, and what it was found to have.
    var isStarting = false
    var found: DiskReport?

    var disk = ModelDisk()

    init(id: UInt64) { self.id = id }
}

/// What is on a replica's stable storage, as far as its writes have returned.
struct ModelDisk {
    var term: UInt64 = 0
    var vote: UInt64 = 0
    var log = TermRuns()
    /// Where the replica has cut its log, and the term that came there, if a write that does the
    /// same to the stored log may be on its way; the indexes rise.
    var cuts: [(index: UInt64, term: UInt64)] = []
    /// The highest entry of each term that was ever stored.
    private var everStored: [UInt64: UInt64] = [:]
    private var snapshotMax: UInt64 = 0

    /// Up to where the stored log is there, whichever writes arrive.
    var certainIndex: UInt64 { cuts.first.map { min($0.index - 1, log.last) } ?? log.last }

    /// Whether an entry was stored at some time, perhaps as a part of a snapshot.
    func hasEverStored(_ index: UInt64, term: UInt64) -> Bool {
        index <= snapshotMax || everStored[term] ?? 0 >= index
    }

    mutating func noteStored(snapshot: UInt64, _ entries: [DiskReport.Entries]) {
        snapshotMax = max(snapshotMax, snapshot)
        for run in entries { everStored[run.term] = max(everStored[run.term] ?? 0, run.last) }
    }

    /// Notes that the replica's log has changed at and after an index, before its disk has.
    mutating func expectCut(at index: UInt64, term: UInt64) {
        guard index > 0 else { return }
        cuts.removeAll { $0.index >= index }
        cuts.append((index, term))
    }

    /// Forgets the cuts that a write has brought.
    mutating func settleCuts(_ report: DiskReport) {
        while let cut = cuts.first {
            let isBrought =
                (report.snapshotIndex > 0 && cut.index <= report.snapshotIndex + 1)
                || report.entries.contains {
                    $0.term == cut.term && $0.first <= cut.index && cut.index <= $0.last
                }
            guard isBrought else { return }
            cuts.removeFirst()
        }
    }
}
