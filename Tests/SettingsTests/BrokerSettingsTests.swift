import Model
import Testing

@testable import Settings

/// The problems of a text, or an empty list when it is accepted.
private func problems(_ text: String) -> [String] {
    do {
        _ = try BrokerSettings.parse(text, file: "b.yaml")
        return []
    } catch {
        return error.description.split(separator: "\n").map(String.init)
    }
}

private let least = "broker_id: 1\ncontrollers: [\"1@127.0.0.1:9190\"]\n"

@Suite struct BrokerSettingsTests {
    @Test func `the least that works has every default`() throws {
        let settings = try BrokerSettings.parse(least)
        #expect(settings.brokerID == 1)
        #expect(settings.dataDirectory == "/var/lib/martlet/broker")
        #expect(settings.listeners.client == Address("127.0.0.1:9092"))
        #expect(settings.listeners.peer == Address("127.0.0.1:9192"))
        #expect(settings.listeners.http == Address("127.0.0.1:9644"))
        #expect(settings.advertised.client == settings.listeners.client)
        #expect(settings.peers.controllers.map(\.description) == ["1@127.0.0.1:9190"])
        #expect(settings.peers.connectTimeout == .seconds(10))
        #expect(settings.peers.deadline == .seconds(30))
        #expect(!settings.peers.insecurePeers)
        #expect(settings.peers.peerAllowList.isEmpty)
        #expect(settings.autoCreateTopics)
        #expect(settings.defaultPartitions == 1)
        #expect(settings.defaultReplicationFactor == 3)
        #expect(settings.offsetsTopicPartitions == 50)
        #expect(settings.offsetsTopicReplicationFactor == 3)
        #expect(settings.messageBytesMax == 1_048_576)
        #expect(settings.groupInitialRebalanceDelay == .seconds(3))
        #expect(settings.stopWait == .seconds(60))
        #expect(settings.log.walFileBytes == 67_108_864)
        #expect(settings.log.walFiles == 16)
        #expect(settings.log.tailCacheBytes == 67_108_864)
        #expect(settings.log.segmentBytes == 1_073_741_824)
        #expect(settings.logLevel == .info)
        #expect(settings.rack == nil)
    }

    @Test func `every key can be given`() throws {
        let settings = try BrokerSettings.parse(
            """
            broker_id: 7
            data_directory: d7
            rack: r1
            listeners: {client: "0.0.0.0:1", peer: "[::]:2", http: "127.0.0.1:3"}
            advertised: {client: "a:1", peer: "b:2"}
            controllers: ["3@c:1", "1@a:1", "2@b:1"]
            insecure_peers: true
            peer_allow_list: [10.0.0.0/8]
            inter_broker_connect_timeout_ms: 50
            inter_broker_deadline_ms: 60
            auto_create_topics: false
            default_partitions: 2
            default_replication_factor: 1
            offsets_topic_partitions: 3
            offsets_topic_replication_factor: 2
            message_bytes_max: 2MiB
            group_initial_rebalance_delay_ms: 0
            stop_wait_ms: 5
            wal_file_bytes: 1MiB
            wal_files: 2
            tail_cache_bytes: 2MiB
            segment_bytes: 4096KiB
            log_level: debug
            """
        )
        #expect(settings.brokerID == 7)
        #expect(settings.advertised.peer == Address("b:2"))
        #expect(settings.peers.controllers.map(\.id) == [1, 2, 3])
        #expect(settings.peers.peerAllowList == ["10.0.0.0/8"])
        #expect(settings.peers.connectTimeout == .milliseconds(50))
        #expect(settings.log.segmentBytes == 4 << 20)
        #expect(settings.groupInitialRebalanceDelay == .zero)
        #expect(settings.stopWait == .milliseconds(5))
        #expect(settings.logLevel == .debug)
        #expect(!settings.autoCreateTopics)
    }

    @Test func `an unknown key names its line and the nearest key`() {
        #expect(
            problems(least + "wal_file_byte: 1\n")
                == ["b.yaml:3: unknown key \"wal_file_byte\", did you mean \"wal_file_bytes\"?"]
        )
        #expect(
            problems(least + "listeners:\n  clent: 127.0.0.1:1\n")
                == [
                    "b.yaml:4: unknown key \"listeners.clent\", did you mean \"listeners.client\"?"
                ]
        )
        #expect(
            problems(least + "zebra_crossing_lights: 1\n")[0].contains("; known are advertised,")
        )
    }

    @Test func `missing keys are all named`() {
        #expect(
            problems("log_level: info\n")
                == [
                    "b.yaml: broker_id is missing: a number that no other broker of the cluster "
                        + "has",
                    "b.yaml: controllers is missing: a list of all controllers, such as "
                        + "[\"1@127.0.0.1:9190\"]",
                ]
        )
        #expect(problems("").count == 2)
        #expect(problems("# only a comment\n").count == 2)
        #expect(problems(least + "rack:\n") == [])
    }

    @Test(
        arguments: [
            ("wal_files: 1", "wal_files must be a whole number from 2 to 1024, not \"1\""),
            ("wal_files: [1]", "wal_files must be a whole number from 2 to 1024, not a list"),
            (
                "wal_file_bytes: 64MB",
                "wal_file_bytes must be a size from 1MiB to 1GiB, such as 64MiB, not \"64MB\""
            ),
            (
                "segment_bytes: 99999999999GiB",
                "segment_bytes must be a size from 1MiB to 1GiB, such as 64MiB, "
                    + "not \"99999999999GiB\""
            ),
            ("insecure_peers: yes", "insecure_peers must be true or false, not \"yes\""),
            (
                "log_level: loud",
                "log_level must be one of trace, debug, info, notice, warning, error, critical, "
                    + "not \"loud\""
            ),
            (
                "inter_broker_deadline_ms: -1",
                "inter_broker_deadline_ms must be a whole number from 10 to 600000, not \"-1\""
            ),
            ("listeners: 9092", "listeners must be a group of keys, not \"9092\""),
            (
                "listeners: {client: 9092}",
                "listeners.client must be an address host:port, such as 127.0.0.1:9092, "
                    + "not \"9092\""
            ),
            (
                "peer_allow_list: a",
                "peer_allow_list must be a list of at most 1000 texts, not \"a\""
            ),
            ("rack: {a: b}", "rack must be a text, not a group of keys"),
        ]
    ) func `a bad value is a sentence with its line`(line: String, sentence: String) {
        #expect(problems(least + line + "\n") == ["b.yaml:3: \(sentence)"])
    }

    @Test(
        arguments: [
            ("[\"127.0.0.1:9190\"]", "not ID@HOST:PORT"),
            ("[\"0@127.0.0.1:9190\"]", "not ID@HOST:PORT"),
            ("[\"1@127.0.0.1\"]", "not ID@HOST:PORT"),
            ("[\"1@a:1\", \"1@b:1\", \"2@c:1\"]", "names controller 1 twice"),
            ("[\"1@a:1\", \"2@a:1\", \"3@c:1\"]", "names the address a:1 twice"),
            ("[\"1@a:1\", \"2@b:1\"]", "names 2, but a cluster has 1, 3 or 5 controllers"),
            ("[]", "names 0, but a cluster has 1, 3 or 5 controllers"),
        ]
    ) func `a wrong list of controllers is refused`(list: String, reason: String) {
        let found = problems("broker_id: 1\ncontrollers: \(list)\n")
        #expect(found.count == 1)
        #expect(found.first?.contains(reason) == true)
    }

    @Test func `a peer listener off loopback needs insecure_peers`() {
        let outside = "listeners: {peer: \"10.0.0.1:9192\"}\n"
        #expect(problems(least + outside).first?.contains("set insecure_peers: true") == true)
        #expect(problems(least + outside + "insecure_peers: true\n") == [])
        #expect(problems(least + "listeners: {peer: \"127.evil.example.com:1\"}\n").count == 1)
        for host in ["localhost", "127.0.0.9", "[::1]"] {
            #expect(problems(least + "listeners: {peer: \"\(host):9192\"}\n") == [])
        }
    }

    @Test func `a wildcard listener needs an advertised address`() {
        let wildcard = "listeners: {client: \"0.0.0.0:9092\"}\n"
        #expect(problems(least + wildcard).first?.contains("set advertised.client") == true)
        #expect(problems(least + wildcard + "advertised: {client: \"b1:9092\"}\n") == [])
        #expect(problems(least + "advertised: {client: \"0.0.0.0:9092\"}\n").count == 1)
    }
}
