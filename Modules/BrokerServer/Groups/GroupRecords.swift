import KafkaProtocol
import NIOCore
import RecordBatch

/// The records of `__consumer_offsets` in Kafka's own formats, so that Kafka's tools can read them.
///
/// - Shape: keys and values begin with an int16 version. Keys: version 1 is an offset, version 2 a
///   group. Values are written in version 3. A null value is a tombstone.
/// - Source: Apache Kafka, OffsetCommitKey/Value.json and GroupMetadataKey/Value.json.
enum GroupRecords {
    static let offsetKeyVersion: Int16 = 1
    static let groupKeyVersion: Int16 = 2
    static let valueVersion: Int16 = 3

    /// One uncompressed batch of the records; there is at least one.
    static func batch(_ records: [GroupRecord], timestamp: Int64) -> [UInt8] {
        var builder = RecordBatchBuilder()
        for record in records {
            let (key, value) = bytes(of: record)
            builder.append(key: key, value: value, timestamp: timestamp)
        }
        return builder.build()
    }

    /// Hands out the records of a whole batch; returns how many could not be read.
    ///
    /// Control batches hold nothing for groups; compressed ones are never written here.
    static func read(_ batch: [UInt8], _ body: (GroupRecord) -> Void) -> Int {
        guard let header = RecordBatchHeader(batch) else { return 1 }
        guard !header.attributes.contains(.control) else { return 0 }
        guard header.attributes.codec == 0 else { return 1 }
        let records = Array(batch.dropFirst(RecordBatchHeader.size))
        var iterator = RecordIterator(records, count: header.recordCount)
        var unreadable = 0
        while let record = iterator.next() {
            if let read = read(key: record.key, value: record.value) {
                body(read)
            } else {
                unreadable += 1
            }
        }
        return unreadable + (iterator.isDamaged ? 1 : 0)
    }

    /// The meaning of one record; nil if it has none that is known here.
    static func read(key: [UInt8]?, value: [UInt8]?) -> GroupRecord? {
        guard let key else { return nil }
        if let key: OffsetCommitKey = message(key) {
            let committed: OffsetCommitValue? = value.flatMap { message($0) }
            guard (committed == nil) == (value == nil) else { return nil }
            return .offset(
                group: key.group,
                topic: key.topic,
                partition: key.partition,
                committed.map { CommittedOffset($0) }
            )
        }
        if let key: GroupMetadataKey = message(key) {
            let stored: GroupMetadataValue? = value.flatMap { message($0) }
            guard (stored == nil) == (value == nil) else { return nil }
            return .group(key.group, stored.map { GroupImage($0) })
        }
        return nil
    }

    private static func bytes(of record: GroupRecord) -> (key: [UInt8], value: [UInt8]?) {
        switch record {
        case .offset(let group, let topic, let partition, let offset):
            var key = OffsetCommitKey()
            key.group = group
            key.topic = topic
            key.partition = partition
            return (
                bytes(of: key, version: offsetKeyVersion),
                offset.map { bytes(of: $0.message, version: valueVersion) }
            )
        case .group(let group, let image):
            var key = GroupMetadataKey()
            key.group = group
            return (
                bytes(of: key, version: groupKeyVersion),
                image.map { bytes(of: $0.message, version: valueVersion) }
            )
        }
    }

    private static func bytes(of message: some KafkaMessage, version: Int16) -> [UInt8] {
        var writer = KafkaWriter()
        writer.writeInteger(version)
        message.write(to: &writer, version: version)
        return Array(writer.buffer.readableBytesView)
    }

    /// The message behind a version; nil for another kind of key, an unknown version, or damage.
    private static func message<Message: KafkaMessage>(_ bytes: [UInt8]) -> Message? {
        var reader = KafkaReader(ByteBuffer(bytes: bytes))
        guard let version = try? reader.readInteger(as: Int16.self),
            Message.versions.contains(version)
        else { return nil }
        return try? Message(reading: &reader, version: version)
    }
}

extension CommittedOffset {
    fileprivate init(_ message: OffsetCommitValue) {
        // Version 1 has an expiry time of its own, which Kafka has given up.
        self.init(
            offset: message.offset,
            leaderEpoch: message.leaderEpoch,
            metadata: message.metadata,
            commitTimestamp: message.commitTimestamp
        )
    }

    fileprivate var message: OffsetCommitValue {
        var message = OffsetCommitValue()
        message.offset = offset
        message.leaderEpoch = leaderEpoch
        message.metadata = metadata
        message.commitTimestamp = commitTimestamp
        return message
    }
}

extension GroupImage {
    fileprivate init(_ message: GroupMetadataValue) {
        self.init(
            protocolType: message.protocolType,
            generation: message.generation,
            protocolName: message.protocolName,
            leader: message.leader,
            stateTimestamp: message.currentStateTimestamp,
            members: message.members.map { member in
                let hasRebalance = member.rebalanceTimeout >= 0
                return Member(
                    id: member.memberId,
                    instanceID: member.groupInstanceId,
                    clientID: member.clientId,
                    clientHost: member.clientHost,
                    rebalanceTimeoutMilliseconds: hasRebalance
                        ? member.rebalanceTimeout : member.sessionTimeout,
                    sessionTimeoutMilliseconds: member.sessionTimeout,
                    subscription: Array(member.subscription.readableBytesView),
                    assignment: Array(member.assignment.readableBytesView)
                )
            }
        )
    }

    fileprivate var message: GroupMetadataValue {
        var message = GroupMetadataValue()
        message.protocolType = protocolType
        message.generation = generation
        message.protocolName = protocolName
        message.leader = leader
        message.currentStateTimestamp = stateTimestamp
        message.members = members.map { member in
            var one = GroupMetadataValue.MemberMetadata()
            one.memberId = member.id
            one.groupInstanceId = member.instanceID
            one.clientId = member.clientID
            one.clientHost = member.clientHost
            one.rebalanceTimeout = member.rebalanceTimeoutMilliseconds
            one.sessionTimeout = member.sessionTimeoutMilliseconds
            one.subscription = ByteBuffer(bytes: member.subscription)
            one.assignment = ByteBuffer(bytes: member.assignment)
            return one
        }
        return message
    }
}
