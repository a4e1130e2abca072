// The one list of metric names. A name is added here and nowhere else, with its help text;
// dashboards and alerts rely on it, so a name that has been released is never changed.

extension MetricName {
    // Inter-broker functions. Labels: side (client, server), type (1003), result (ok, ...).
    /// Time of one inter-broker call, from connect to close.
    public static let interBrokerRequestDuration = MetricName(
        "inter_broker_request_duration_seconds",
        .seconds,
        "Time of one inter-broker request by type."
    )
    /// Inter-broker calls made and answered.
    public static let interBrokerRequests = MetricName(
        "inter_broker_requests_total",
        .counter,
        "Inter-broker requests by type, side and result."
    )
    /// Peers turned away.
    public static let peerRefusals = MetricName(
        "peer_refusals_total",
        .counter,
        "Peer connections and requests refused, by reason."
    )
    /// Open connections of a listener.
    public static let connections = MetricName(
        "connections",
        .gauge,
        "Open connections by listener."
    )

    // Raft host and transport.
    /// Groups that run in this process.
    public static let raftGroups = MetricName("raft_groups", .gauge, "Raft groups that run here.")
    /// Groups that this process leads.
    public static let raftLeaders = MetricName(
        "raft_leaders",
        .gauge,
        "Raft groups that this process leads."
    )
    /// Elections started here.
    public static let raftElections = MetricName(
        "raft_elections_total",
        .counter,
        "Elections that replicas here have started."
    )
    /// Leadership changes seen.
    public static let raftLeaderChanges = MetricName(
        "raft_leader_changes_total",
        .counter,
        "Changes of leader that replicas here have seen."
    )
    /// Proposals refused, by reason.
    public static let raftProposalsRefused = MetricName(
        "raft_proposals_refused_total",
        .counter,
        "Proposals refused before they entered the log, by reason."
    )
    /// Time from proposal to commit.
    public static let raftCommitDuration = MetricName(
        "raft_commit_duration_seconds",
        .seconds,
        "Time from a proposal to its commit."
    )
    /// Groups led here that have nothing to do.
    public static let raftLeadersResting = MetricName(
        "raft_leaders_resting",
        .gauge,
        "Raft groups led here to which nothing happens but time and heartbeats."
    )
    /// Appends that did not fit a follower's log.
    public static let raftAppendsRejected = MetricName(
        "raft_appends_rejected_total",
        .counter,
        "Appends of leaders here that a follower refused because of what its log held."
    )
    /// Bytes read for replicas that lag.
    public static let raftCatchUpBytes = MetricName(
        "raft_catch_up_bytes_total",
        .counter,
        "Bytes of old entries read from disk for replicas that lag behind."
    )
    /// Reads for lagging replicas that wait.
    public static let raftCatchUpsWaiting = MetricName(
        "raft_catch_ups_waiting",
        .gauge,
        "Reads for lagging replicas that wait for their share of the budget."
    )
    /// Raft messages sent.
    public static let raftMessagesSent = MetricName(
        "raft_messages_sent_total",
        .counter,
        "Raft messages sent, by peer."
    )
    /// Raft messages received.
    public static let raftMessagesReceived = MetricName(
        "raft_messages_received_total",
        .counter,
        "Raft messages received, by peer."
    )
    /// Raft messages dropped, by reason.
    public static let raftMessagesDropped = MetricName(
        "raft_messages_dropped_total",
        .counter,
        "Raft messages dropped by a limit or a closed stream, by reason."
    )
    /// Bytes on peer streams.
    public static let raftTransportBytes = MetricName(
        "raft_transport_bytes_total",
        .counter,
        "Bytes on Raft peer streams, by direction."
    )
    /// Bytes waiting for a peer.
    public static let raftTransportQueueBytes = MetricName(
        "raft_transport_queue_bytes",
        .gauge,
        "Bytes waiting to be sent, by peer and lane."
    )
    /// Open peer streams.
    public static let raftStreams = MetricName(
        "raft_streams",
        .gauge,
        "Open Raft peer streams."
    )

    // RaftLog.
    /// Bytes written to the write-ahead log.
    public static let walBytes = MetricName(
        "wal_bytes_total",
        .counter,
        "Bytes written to the write-ahead log."
    )
    /// Frames written to the write-ahead log: one write and one sync each.
    public static let walFrames = MetricName(
        "wal_frames_total",
        .counter,
        "Frames written to the write-ahead log: one write and one sync each."
    )
    /// Bytes of one frame.
    public static let walFrameBytes = MetricName(
        "wal_frame_bytes",
        .sizes,
        "Bytes of one write-ahead log frame (group commit)."
    )
    /// Time of one fdatasync of the write-ahead log.
    public static let walSyncDuration = MetricName(
        "wal_sync_duration_seconds",
        .seconds,
        "Time of one fdatasync of the write-ahead log."
    )
    /// Writes waiting for the writer thread.
    public static let walQueueDepth = MetricName(
        "wal_queue_depth",
        .gauge,
        "Writes waiting for the log's writer thread."
    )
    /// Bytes held by the tail caches.
    public static let tailCacheBytes = MetricName(
        "tail_cache_bytes",
        .gauge,
        "Bytes of recent batches held in memory."
    )
    /// Reads that the tail cache could not answer.
    public static let coldReads = MetricName(
        "cold_reads_total",
        .counter,
        "Reads answered from segments instead of the tail cache."
    )
    /// Segment bytes written.
    public static let segmentBytes = MetricName(
        "segment_bytes_total",
        .counter,
        "Bytes written to partition segments."
    )

    // Kafka listener and broker.
    /// Kafka requests answered.
    ///
    /// Labels: api, result.
    public static let kafkaRequests = MetricName(
        "kafka_requests_total",
        .counter,
        "Kafka requests by API and result."
    )
    /// Time of one Kafka request inside the broker.
    public static let kafkaRequestDuration = MetricName(
        "kafka_request_duration_seconds",
        .seconds,
        "Time from a Kafka request's last byte to its answer, by API."
    )
    /// Connections closed by the broker, by reason.
    public static let kafkaConnectionsClosed = MetricName(
        "kafka_connections_closed_total",
        .counter,
        "Kafka connections that the broker closed, by reason."
    )
    /// Bytes received in record batches.
    public static let producedBytes = MetricName(
        "produced_bytes_total",
        .counter,
        "Bytes of record batches accepted from producers."
    )
    /// Records received.
    public static let producedRecords = MetricName(
        "produced_records_total",
        .counter,
        "Records accepted from producers."
    )
    /// Bytes sent in fetch answers.
    public static let fetchedBytes = MetricName(
        "fetched_bytes_total",
        .counter,
        "Bytes of record batches sent to consumers."
    )
    /// Fetches that wait for data.
    public static let fetchesWaiting = MetricName(
        "fetches_waiting",
        .gauge,
        "Fetch requests that wait for data."
    )
    /// Produce duplicates answered from the idempotence table.
    public static let produceDuplicates = MetricName(
        "produce_duplicates_total",
        .counter,
        "Batches of idempotent producers that were already in the log."
    )
    /// Partition replicas here.
    public static let partitions = MetricName(
        "partitions",
        .gauge,
        "Partition replicas on this broker."
    )
    /// Partition replicas here whose group lacks a live follower.
    public static let partitionsUnderReplicated = MetricName(
        "partitions_under_replicated",
        .gauge,
        "Partitions led here with a follower that is behind or away."
    )
    /// Partitions whose replicas are being moved or filled again.
    public static let partitionsReassigning = MetricName(
        "partitions_reassigning",
        .gauge,
        "Partitions whose replicas are being moved or filled again; on brokers, those led here."
    )
    /// Consumer groups coordinated here.
    public static let consumerGroups = MetricName(
        "consumer_groups",
        .gauge,
        "Consumer groups coordinated by this broker, by state."
    )
    /// Rebalances finished.
    public static let groupRebalances = MetricName(
        "group_rebalances_total",
        .counter,
        "Consumer group rebalances that were completed."
    )
    /// Offset commits.
    public static let offsetCommits = MetricName(
        "offset_commits_total",
        .counter,
        "Offset commits, by result."
    )

    // Metadata and controllers.
    /// The applied metadata version.
    public static let metadataVersion = MetricName(
        "metadata_version",
        .gauge,
        "Version of the cluster metadata applied here."
    )
    /// 1 on the controller leader.
    public static let controllerLeader = MetricName(
        "controller_leader",
        .gauge,
        "1 on the controller that leads, 0 elsewhere."
    )
    /// Brokers known.
    ///
    /// Label: state (online, offline).
    public static let brokers = MetricName("brokers", .gauge, "Registered brokers by state.")
    /// Topics known.
    public static let topics = MetricName("topics", .gauge, "Topics in the cluster metadata.")
    /// Differences that the reconciler has still to close.
    public static let reconcilerPending = MetricName(
        "reconciler_pending",
        .gauge,
        "Starts and stops of Raft groups that are still to be done."
    )
    /// Pushes of metadata.
    ///
    /// Label: result.
    public static let metadataPushes = MetricName(
        "metadata_pushes_total",
        .counter,
        "MetadataChanged pushes to brokers, by result."
    )

    // Console.
    /// HTTP requests answered.
    ///
    /// Labels: path, status.
    public static let httpRequests = MetricName(
        "http_requests_total",
        .counter,
        "HTTP requests of the console listener by path and status."
    )

    // The process itself.
    /// Log entries lost because the logger thread's ring was full.
    public static let logEntriesDropped = MetricName(
        "log_entries_dropped_total",
        .counter,
        "Log entries dropped because the logger's ring was full."
    )
    /// Series that the registry refused because a family was full.
    public static let seriesDropped = MetricName(
        "metric_series_dropped_total",
        .counter,
        "Series refused because their family already had its largest number."
    )
    /// Resident memory.
    public static let processResidentMemory = MetricName(
        "process_resident_memory_bytes",
        .gauge,
        "Resident memory of the process."
    )
    /// CPU time.
    public static let processCPU = MetricName(
        "process_cpu_seconds_total",
        .counter,
        "User and system CPU time of the process."
    )
    /// Open files.
    public static let processOpenFiles = MetricName(
        "process_open_fds",
        .gauge,
        "Open file descriptors of the process."
    )
    /// Start time.
    public static let processStartTime = MetricName(
        "process_start_time_seconds",
        .gauge,
        "Unix time at which the process started to count."
    )

    /// Every family, in the order in which the text shows them.
    public static let all: [MetricName] = [
        interBrokerRequestDuration, interBrokerRequests, peerRefusals, connections,
        raftGroups, raftLeaders, raftLeadersResting, raftElections, raftLeaderChanges,
        raftProposalsRefused, raftCommitDuration, raftAppendsRejected, raftCatchUpBytes,
        raftCatchUpsWaiting,
        raftMessagesSent, raftMessagesReceived, raftMessagesDropped,
        raftTransportBytes, raftTransportQueueBytes, raftStreams,
        walBytes, walFrames, walFrameBytes, walSyncDuration, walQueueDepth, tailCacheBytes,
        coldReads, segmentBytes,
        kafkaRequests, kafkaRequestDuration, kafkaConnectionsClosed, producedBytes,
        producedRecords, fetchedBytes, fetchesWaiting, produceDuplicates, partitions,
        partitionsUnderReplicated, partitionsReassigning, consumerGroups, groupRebalances,
        offsetCommits,
        metadataVersion, controllerLeader, brokers, topics, reconcilerPending, metadataPushes,
        httpRequests,
        logEntriesDropped, seriesDropped, processResidentMemory, processCPU, processOpenFiles,
        processStartTime,
    ]
}
