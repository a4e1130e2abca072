import InterBrokerProtocol
import Metadata
import Model

/// What each broker has been told: which push it needs next.
///
/// - Invariant: at most one push is in flight for a broker; what changes meanwhile goes together
///   into the next one.
struct PushTable {
    /// The time before a push that failed is tried again.
    static let retryDelay = Duration.milliseconds(200)

    private struct Entry {
        /// The version that the broker is known to hold; nil while unknown.
        var version: MetadataVersion?
        /// The revision of the leader table that it was told.
        var revision: UInt64 = 0
        var isInFlight = false
        var retryAt: Duration = .zero
        /// Whether this reign has reached it: the first push shows the new epoch.
        var isGreeted = false
    }

    private var entries: [BrokerID: Entry] = [:]
    private var revision: UInt64 = 0
    private var revisions: [RaftGroupID: UInt64] = [:]

    /// Notes that a group has a new leader.
    mutating func leaderChanged(_ group: RaftGroupID) {
        revision += 1
        revisions[group] = revision
    }

    /// Notes that a group is gone.
    mutating func forget(_ group: RaftGroupID) { revisions[group] = nil }

    /// Forgets what a former run of a broker was told.
    mutating func restarted(_ broker: BrokerID) {
        let isInFlight = entries[broker]?.isInFlight ?? false
        entries[broker] = Entry(isInFlight: isInFlight)
    }

    /// Notes which version a broker says that it holds.
    ///
    /// A lower one than is known was said before the last push arrived.
    mutating func holds(_ version: MetadataVersion, _ broker: BrokerID) {
        let known = entries[broker]?.version ?? 0
        entries[broker, default: Entry()].version = max(known, version)
    }

    /// Whether a broker is known to hold at least this version.
    func hasReached(_ version: MetadataVersion, _ broker: BrokerID) -> Bool {
        (entries[broker]?.version).map { $0 >= version } ?? false
    }

    /// A push and the revision of the leader table that it carries.
    struct Push: Equatable {
        var request: MetadataChangedRequest
        var revision: UInt64
    }

    /// Begins the next push to a broker; nil if it needs none, or has to wait.
    mutating func begin(
        to broker: BrokerID,
        _ store: MetadataStore,
        _ leaders: LeaderTable,
        at now: Duration
    ) -> Push? {
        var entry = entries[broker] ?? Entry()
        guard !entry.isInFlight, entry.retryAt <= now else { return nil }
        let version = store.version
        let isBehind = entry.version.map { $0 < version } ?? true
        guard isBehind || entry.revision < revision || !entry.isGreeted else { return nil }
        entry.isInFlight = true
        entries[broker] = entry
        var request = MetadataChangedRequest(version: version, fromVersion: version)
        if let known = entry.version, let commands = store.commands(since: known) {
            // The commands' end counts: the store may have gone on since.
            request.fromVersion = known
            request.version = commands.last?.version ?? known
            request.commands = commands
        }
        request.leaders = leaders.all.filter { revisions[$0.group, default: 0] > entry.revision }
            .map { LeaderReport(group: $0.group, term: $0.term, node: $0.node) }
        return Push(request: request, revision: revision)
    }

    /// Notes a broker's answer: the version that it holds now.
    mutating func succeed(
        _ push: Push,
        to broker: BrokerID,
        holding version: MetadataVersion,
        at now: Duration
    ) {
        var entry = entries[broker] ?? Entry()
        entry.isInFlight = false
        entry.version = version
        entry.revision = max(entry.revision, push.revision)
        entry.isGreeted = true
        // A broker that is still behind is pulling what it lacks; more pushes would not help.
        entry.retryAt = version < push.request.version ? now + Self.retryDelay : .zero
        entries[broker] = entry
    }

    /// Notes that a push was not answered.
    mutating func fail(to broker: BrokerID, at now: Duration) {
        var entry = entries[broker] ?? Entry()
        entry.isInFlight = false
        entry.version = nil
        entry.retryAt = now + Self.retryDelay
        entries[broker] = entry
    }
}
