/// Gathers the names of the keys in which two settings differ, in the order of the file.
private struct KeyComparison<Settings> {
    let old: Settings
    let new: Settings
    var changed: [String] = []

    mutating func compare<Value: Equatable>(_ key: String, _ path: KeyPath<Settings, Value>) {
        if old[keyPath: path] != new[keyPath: path] { changed.append(key) }
    }

    mutating func comparePeers(_ peers: KeyPath<Settings, PeerSettings>) {
        compare("controllers", peers.appending(path: \.controllers))
        compare("insecure_peers", peers.appending(path: \.insecurePeers))
        compare("peer_allow_list", peers.appending(path: \.peerAllowList))
        compare("inter_broker_connect_timeout_ms", peers.appending(path: \.connectTimeout))
        compare("inter_broker_deadline_ms", peers.appending(path: \.deadline))
    }

    mutating func compareLog(_ log: KeyPath<Settings, LogSettings>) {
        compare("wal_file_bytes", log.appending(path: \.walFileBytes))
        compare("wal_files", log.appending(path: \.walFiles))
        compare("tail_cache_bytes", log.appending(path: \.tailCacheBytes))
        compare("segment_bytes", log.appending(path: \.segmentBytes))
    }
}

extension BrokerSettings {
    /// The keys whose values differ from `old`; values count, not how they are written.
    public func keysChanged(since old: BrokerSettings) -> [String] {
        var keys = KeyComparison(old: old, new: self)
        keys.compare("broker_id", \.brokerID)
        keys.compare("data_directory", \.dataDirectory)
        keys.compare("rack", \.rack)
        keys.compare("listeners.client", \.listeners.client)
        keys.compare("listeners.peer", \.listeners.peer)
        keys.compare("listeners.http", \.listeners.http)
        keys.compare("advertised.client", \.advertised.client)
        keys.compare("advertised.peer", \.advertised.peer)
        keys.comparePeers(\.peers)
        keys.compare("auto_create_topics", \.autoCreateTopics)
        keys.compare("default_partitions", \.defaultPartitions)
        keys.compare("default_replication_factor", \.defaultReplicationFactor)
        keys.compare("offsets_topic_partitions", \.offsetsTopicPartitions)
        keys.compare("offsets_topic_replication_factor", \.offsetsTopicReplicationFactor)
        keys.compare("message_bytes_max", \.messageBytesMax)
        keys.compare("group_initial_rebalance_delay_ms", \.groupInitialRebalanceDelay)
        keys.compare("stop_wait_ms", \.stopWait)
        keys.compareLog(\.log)
        keys.compare("catch_up_bytes_per_second", \.catchUpBytesPerSecond)
        keys.compare("catch_up_queue_bytes", \.catchUpQueueBytes)
        keys.compare("log_level", \.logLevel)
        return keys.changed
    }
}

extension ControllerSettings {
    /// The keys whose values differ from `old`; values count, not how they are written.
    public func keysChanged(since old: ControllerSettings) -> [String] {
        var keys = KeyComparison(old: old, new: self)
        keys.compare("controller_id", \.controllerID)
        keys.compare("data_directory", \.dataDirectory)
        keys.compare("listeners.peer", \.listeners.peer)
        keys.compare("listeners.http", \.listeners.http)
        keys.compare("advertised.peer", \.advertised.peer)
        keys.comparePeers(\.peers)
        keys.compare("broker_silence_ms", \.brokerSilence)
        keys.compare("stop_wait_ms", \.stopWait)
        keys.compareLog(\.log)
        keys.compare("log_level", \.logLevel)
        return keys.changed
    }
}
