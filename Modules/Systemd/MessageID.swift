/// One 128-bit id per event that an operator acts on; `journalctl MESSAGE_ID=...` finds the event.
///
/// A log line carries it as the metadata `"message-id": "\(MessageID.leaderElected)"`. Each id has
/// an entry in `systemd/catalog/martlet.catalog`, which `journalctl -x` shows. An id is never
/// changed.
public struct MessageID: Hashable, Sendable, CustomStringConvertible {
    /// 32 hexadecimal digits.
    public let description: String

    private init(_ text: String) { description = text }

    /// The daemon is ready and answers clients.
    public static let daemonReady = MessageID("81ce66a1df8a408987777f6e0d2bf029")
    /// The daemon has begun to stop.
    public static let daemonStopping = MessageID("dd4a71d07335451a9c105e44a9ee44c1")
    /// The daemon waits before it stops, since others would lose a quorum.
    public static let daemonWaitsToStop = MessageID("0d58f93156c1487abde4fb990c6de1d5")
    /// The daemon has stopped.
    public static let daemonStopped = MessageID("4761695b766344d4aeb87a373e507592")
    /// The daemon ends because something failed that it cannot work without.
    public static let daemonFailed = MessageID("07ffd9ec02f94fa3895e7b372eff4d5b")
    /// A limit of the system is too low for the daemon to start.
    public static let limitTooLow = MessageID("ef02e1ad93734b5ea915615db9819227")
    /// The settings file is refused.
    public static let settingsRefused = MessageID("5b4537316ae84f58a1c1c10416ed2d60")
    /// The settings were read again.
    public static let settingsReloaded = MessageID("d3bbca3a434443d8a8c947a0e01775a9")
    /// A write or sync of the data directory failed.
    public static let storageFailed = MessageID("deb58345f90143e195c9933d1d70f816")
    /// A part of the daemon makes no progress; the watchdog is no longer fed.
    public static let progressStalled = MessageID("f3bce2f34f4b435dbb7512d6a4d0d7b5")
    /// A part of the daemon that made no progress does so again.
    public static let progressResumed = MessageID("9aebd16a26da4a47a8e576a1663f11a6")
    /// Log entries were dropped.
    public static let logEntriesDropped = MessageID("e1937a39953c4b8290085149adefeb6d")
    /// More lines of one event were left out than a journal needs.
    public static let logEntriesSuppressed = MessageID("05a4736fedb043268ccc3f3c14664ffe")
    /// A new cluster was created.
    public static let clusterCreated = MessageID("061584ed144d43b6a1e464f5e21e02b1")
    /// A peer or a data directory belongs to another cluster.
    public static let clusterMismatch = MessageID("22adef9a588441a9bc133569639c583f")
    /// A controller has become the leader.
    public static let controllerElected = MessageID("62e156c001f74a7b8e08c3e93e0ccd15")
    /// A controller waits until a command lets it belong to the cluster.
    public static let controllerNotAdded = MessageID("0ac18b7c3d7c4a33be9a113511d6b9ee")
    /// A controller has all entries and votes from now on.
    public static let controllerAdded = MessageID("cf6ffae549b04947b33fa8d95e8cdbdc")
    /// A controller is no member of the controllers any more.
    public static let controllerRemoved = MessageID("77a19c4a06a849b2acd3be80b661218f")
    /// A broker is online.
    public static let brokerOnline = MessageID("7610121539d84c2d89061d1839ab5517")
    /// A broker is silent and counts as offline.
    public static let brokerOffline = MessageID("89fec2d6d54d4f9dbd1ff805a2bab7a7")
    /// A topic was created.
    public static let topicCreated = MessageID("9937a63e858e4bac9db3f62f6afa83a1")
    /// A topic was deleted.
    public static let topicDeleted = MessageID("ff5bb814f4774d66b9858fe36400e2c6")
    /// The Raft groups of a topic are being started.
    public static let raftGroupsStarting = MessageID("c915a14ea81744cea447f2e8aa04fce6")
    /// The Raft groups of a topic are being stopped.
    public static let raftGroupsStopping = MessageID("46665026dfcb498781c5309c07a0878f")
    /// A Raft group was started.
    public static let raftGroupStarted = MessageID("bbf71bf14a6945b29edaa38fd8774a89")
    /// A Raft group was stopped.
    public static let raftGroupStopped = MessageID("bd2cefdee0504d488b80f86ab4bf6b26")
    /// An unknown Raft group was stopped and its data kept.
    public static let raftGroupKept = MessageID("b3e536e00f4d4d9c8be46d1f8a5aae42")
    /// A partition's replicas are to be elsewhere.
    public static let reassignmentStarted = MessageID("7524f9a05a7c45658bf72de073d09389")
    /// A partition's replicas are where they were to be.
    public static let reassignmentFinished = MessageID("a0b6f7f1692147019d9b62396df6190b")
    /// A replica is lost or damaged and another one takes its place.
    public static let replicaReplaced = MessageID("99ea8e11501942589ccc3215d6b0a5cd")
    /// A replica here has become its group's leader.
    public static let leaderElected = MessageID("442c587f6ec24498ac7973768f840ea5")
    /// A replica here is no longer its group's leader.
    public static let leaderLost = MessageID("a88a802fc4544cb9a731656b274a25c9")
    /// A group has lost its quorum.
    public static let quorumLost = MessageID("94de42a8eac14d07ac686f7e9ebf1885")
    /// A torn write at the log's end was cut.
    public static let logTruncated = MessageID("fa6ade754a8a42cf833b0153f427d566")
    /// A replica's data is damaged; it neither votes nor acknowledges.
    public static let replicaSuspect = MessageID("777afb4b65884247971121765c70a3dd")
    /// A sync of the data directory takes long.
    public static let diskSlow = MessageID("35ad8fee60444bc4afc38f59e3dead54")
    /// A peer was refused.
    public static let peerRefused = MessageID("ed40d06b1b72419b90b662c1423003a7")
    /// A client's connection was refused, since a limit is reached.
    public static let clientRefused = MessageID("4f3c164c50614007808738761436cbb3")

    /// Every id, in the catalog's order.
    public static let all: [MessageID] = [
        daemonReady, daemonStopping, daemonWaitsToStop, daemonStopped, daemonFailed, limitTooLow,
        settingsRefused, settingsReloaded, storageFailed, progressStalled, progressResumed,
        logEntriesDropped, logEntriesSuppressed, clusterCreated, clusterMismatch,
        controllerElected, controllerNotAdded, controllerAdded, controllerRemoved, brokerOnline,
        brokerOffline, topicCreated, topicDeleted, raftGroupsStarting, raftGroupsStopping,
        raftGroupStarted, raftGroupStopped, raftGroupKept, reassignmentStarted,
        reassignmentFinished, replicaReplaced, leaderElected, leaderLost, quorumLost, logTruncated,
        replicaSuspect, diskSlow, peerRefused, clientRefused,
    ]
}
