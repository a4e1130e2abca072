import Metadata
import Model

/// A generator that replays: SplitMix64.
struct Drawn: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

func uuid(_ number: UInt64) -> UniqueID { UniqueID(high: 7, low: number) }

func registration(
    _ id: Int32,
    session: UInt64 = 1,
    directory: UInt64? = nil
) -> BrokerRegistration {
    BrokerRegistration(
        id: BrokerID(id),
        session: SessionID(uuid(session)),
        directoryID: DirectoryID(uuid(directory ?? UInt64(id))),
        clientHost: "broker\(id)",
        clientPort: 9092,
        peerAddress: "broker\(id):9192"
    )
}

/// Metadata with a counter of versions.
struct Cluster {
    var metadata = ClusterMetadata()

    @discardableResult
    mutating func apply(_ command: MetadataCommand) -> [Effect] {
        metadata.apply(command, at: metadata.version + 1)
    }

    static func withBrokers(_ count: Int32) -> Cluster {
        var cluster = Cluster()
        for id in 1...count { cluster.apply(.registerBroker(registration(id))) }
        return cluster
    }

    @discardableResult
    mutating func createTopic(
        _ text: String,
        _ number: UInt64,
        _ assignments: [[BrokerID]]
    ) throws -> TopicInfo {
        let name = try name(text)
        apply(
            .createTopic(
                TopicCreation(
                    name: name,
                    topicID: TopicID(uuid(number)),
                    assignments: assignments
                )
            )
        )
        guard let topic = metadata.topic(name) else { throw Missing() }
        return topic
    }
}

struct Missing: Error {}

func name(_ text: String) throws -> TopicName {
    guard let name = TopicName(text) else { throw Missing() }
    return name
}
