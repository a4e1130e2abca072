import Model

/// Which group a log belongs to, and which of its replicas this is; never changes.
public struct GroupIdentity: Hashable, Sendable {
    /// A member of a group and where it is reached.
    public struct Member: Hashable, Sendable {
        /// The replica.
        public let node: NodeID
        /// The peer address of its broker or controller, as it was when the group was started.
        public let address: String

        /// Joins the two.
        public init(node: NodeID, address: String) {
            self.node = node
            self.address = address
        }
    }

    /// The group.
    public let group: RaftGroupID
    /// The topic; the controllers' group has one of its own.
    public let topicID: TopicID
    /// The topic's name, for logs and tools; never part of a path.
    public let topicName: String
    /// The partition.
    public let partition: PartitionID
    /// This replica.
    public let node: NodeID
    /// The members at the start, sorted by node.
    public let members: [Member]

    /// Names a replica of a group.
    public init(
        group: RaftGroupID,
        topicID: TopicID,
        topicName: String,
        partition: PartitionID,
        node: NodeID,
        members: [Member]
    ) {
        self.group = group
        self.topicID = topicID
        self.topicName = topicName
        self.partition = partition
        self.node = node
        self.members = members.sorted { $0.node < $1.node }
    }

    /// The hash before the group's first entry.
    public var chainStart: UInt64 { Chain.start(group, topicID, partition) }

    /// The directory's name below `partitions/`.
    var directoryName: String { "\(topicID)-\(partition)" }

    func write(to writer: inout ByteWriter) {
        writer.put(group.rawValue)
        writer.put(topicID.id)
        writer.put(partition.rawValue)
        writer.put(node.rawValue)
        writer.put(topicName)
        writer.put(UInt32(members.count))
        for member in members {
            writer.put(member.node.rawValue)
            writer.put(member.address)
        }
    }

    init(reading reader: inout ByteReader) throws(FormatError) {
        let group = RaftGroupID(try reader.take(UInt64.self))
        let topicID = TopicID(try reader.takeID())
        let partition = PartitionID(try reader.take(Int32.self))
        let node = NodeID(try reader.take(UInt64.self))
        let topicName = try reader.takeText()
        var members: [Member] = []
        for _ in 0..<(try reader.takeCount(bytesMin: 10)) {
            let node = NodeID(try reader.take(UInt64.self))
            members.append(Member(node: node, address: try reader.takeText()))
        }
        self.init(
            group: group,
            topicID: topicID,
            topicName: topicName,
            partition: partition,
            node: node,
            members: members
        )
    }
}
