import FoundationEssentials
import Logging
public import Model
import NIOCore
import Telemetry

/// Answers the requests of consumer groups from the tables of those partitions of
/// `__consumer_offsets` that this broker leads.
///
/// - Thread: the broker's event loop only.
public final class GroupService: GroupCoordinator {
    /// What the service must know of the cluster.
    struct Surroundings {
        /// How many partitions `__consumer_offsets` has; nil while it does not exist.
        var partitionCount: () -> Int32?
        /// Whether a topic exists and has a partition of this number.
        var partitionExists: (String, Int32) -> Bool
        /// The time.
        var clock: () -> GroupTime
    }

    private let eventLoop: any EventLoop
    private let settings: GroupSettings
    private let surroundings: Surroundings
    private let logger: Logger
    private let metrics: GroupMetrics
    private var tables: [PartitionID: GroupTable] = [:]
    private var random = SystemRandomNumberGenerator()
    private var nextOffsetsCheck: NIODeadline

    init(
        eventLoop: any EventLoop,
        settings: GroupSettings,
        surroundings: Surroundings,
        metrics: GroupMetrics = GroupMetrics(),
        logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.settings = settings
        self.surroundings = surroundings
        self.logger = logger
        self.metrics = metrics
        nextOffsetsCheck = surroundings.clock().uptime + settings.offsetsCheckInterval
    }

    /// Makes the service of a broker.
    ///
    /// On the broker's event loop; `broker.use` must be given the service.
    public convenience init(broker: Broker, settings: GroupSettings) {
        let topic = TopicName.consumerOffsets.text
        self.init(
            eventLoop: broker.eventLoop,
            settings: settings,
            surroundings: Surroundings(
                partitionCount: { [unowned broker] in broker.metadata.partitionCount(of: topic) },
                partitionExists: { [unowned broker] in broker.metadata.holds($0, $1) },
                clock: {
                    let seconds = Date.now.timeIntervalSince1970
                    return GroupTime(uptime: .now(), unixMilliseconds: Int64(seconds * 1_000))
                }
            ),
            logger: broker.logger
        )
    }

    /// Watches over sessions, rebalances and expired offsets.
    public func tick() {
        for table in tables.values { table.tick() }
        metrics.show(tables.values.flatMap(\.states))
        let now = surroundings.clock().uptime
        guard now >= nextOffsetsCheck else { return }
        nextOffsetsCheck = now + settings.offsetsCheckInterval
        for table in tables.values { table.expireOffsets() }
    }

    /// Makes the groups of one partition of `__consumer_offsets`.
    public func makeState(
        of partition: PartitionID,
        log: any GroupLogAccess
    ) -> any GroupPartitionState {
        eventLoop.preconditionInEventLoop()
        let table = GroupTable(
            partition: partition,
            log: log,
            settings: settings,
            metrics: metrics,
            clock: surroundings.clock
        )
        let logger = logger
        table.loaded = { LogLines.loadedGroups(of: $0, logger) }
        tables[partition] = table
        return table
    }

    /// Forgets what groups have committed for topics that were deleted.
    public func topicsDeleted(_ topics: [String]) {
        eventLoop.preconditionInEventLoop()
        for table in tables.values { table.topicsDeleted(topics) }
    }

    /// The table that a group belongs to; `notCoordinator` if it is not hosted here.
    func table(of group: String) -> Result<GroupTable, GroupError> {
        eventLoop.preconditionInEventLoop()
        // Texts of a record have 16-bit lengths.
        guard group.utf8.count <= Int(Int16.max) else { return .failure(.invalidGroupID) }
        guard let count = surroundings.partitionCount(), count > 0 else {
            return .failure(.coordinatorNotAvailable)
        }
        let partition = PartitionID(coordinatorPartition(for: group, of: count))
        guard let table = tables[partition] else { return .failure(.notCoordinator) }
        return .success(table)
    }

    var allTables: [GroupTable] {
        tables.values.sorted { $0.partition < $1.partition }
    }

    func partitionExists(_ topic: String, _ partition: Int32) -> Bool {
        surroundings.partitionExists(topic, partition)
    }

    var unixMilliseconds: Int64 { surroundings.clock().unixMilliseconds }

    /// An id for a new member: what it calls itself, and something unique.
    func freshMemberID(_ name: String) -> String {
        "\(name.prefix(64))-\(UniqueID(using: &random))"
    }
}

extension LogLines {
    static func loadedGroups(of table: GroupTable, _ logger: Logger) {
        let topic = TopicName.consumerOffsets.text
        let metadata: Logger.Metadata = [
            "MARTLET_TOPIC": "\(topic)", "MARTLET_PARTITION": "\(table.partition)",
        ]
        logger.info(
            "Coordinating \(table.store.groups.count) groups of \(topic)-\(table.partition)",
            metadata: metadata
        )
        guard table.unreadableRecords > 0 else { return }
        logger.error(
            """
            Cannot read \(table.unreadableRecords) records of \(topic)-\(table.partition): \
            written by a newer release, or damaged
            """,
            metadata: metadata
        )
    }
}
