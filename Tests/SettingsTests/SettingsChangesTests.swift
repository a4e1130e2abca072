import Glibc
import Testing

@testable import Settings

/// Every key of the files in configs/ is compared: a changed line is named by its key.
@Suite struct SettingsChangesTests {
    private static let folder =
        String(#filePath.split(separator: "/Tests/SettingsTests/")[0]) + "/configs"

    /// Another value for each key of configs/broker1.yaml and controller1.yaml.
    static let others: [String: String] = [
        "broker_id": "9", "controller_id": "3", "data_directory": "elsewhere", "rack": "room-2",
        "listeners.client": "127.0.0.1:1", "listeners.peer": "127.0.0.1:2",
        "listeners.http": "127.0.0.1:3", "advertised.client": "10.0.0.1:1",
        "advertised.peer": "10.0.0.1:2",
        "controllers": #"["1@127.0.0.1:1", "2@127.0.0.1:2", "3@127.0.0.1:3"]"#,
        "insecure_peers": "true", "peer_allow_list": #"["10.0.0.0/8"]"#,
        "inter_broker_connect_timeout_ms": "20", "inter_broker_deadline_ms": "20",
        "auto_create_topics": "false", "default_partitions": "7",
        "default_replication_factor": "7", "offsets_topic_partitions": "7",
        "offsets_topic_replication_factor": "7", "message_bytes_max": "2MiB",
        "group_initial_rebalance_delay_ms": "7", "wal_file_bytes": "2MiB", "wal_files": "7",
        "tail_cache_bytes": "2MiB", "segment_bytes": "2MiB", "broker_silence_ms": "777",
        "catch_up_bytes_per_second": "2MiB", "catch_up_queue_bytes": "2MiB",
        "stop_wait_ms": "7", "log_level": "debug",
    ]

    /// The file's lines, and for each key its line's position.
    private func lines(_ name: String) throws -> (lines: [String], keys: [(String, Int)]) {
        let file = try #require(fopen("\(Self.folder)/\(name)", "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = fread(&bytes, 1, bytes.count, file)
        // Three controllers, so that a controller may be another one of them.
        let three = #"controllers: ["1@127.0.0.1:9190", "2@127.0.0.1:9290", "3@127.0.0.1:9390"]"#
        let lines = String(decoding: bytes[..<count], as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.hasPrefix("controllers:") ? three : String($0) }
        var keys: [(String, Int)] = []
        var group = ""
        for (position, line) in lines.enumerated() {
            let isIndented = line.hasPrefix("  ")
            // A key that is commented out is a key too.
            let bare = line.hasPrefix("# rack:") ? String(line.dropFirst(2)) : line
            let text = isIndented ? String(bare.dropFirst(2)) : bare
            guard let colon = text.firstIndex(of: ":"), !text.hasPrefix("#") else { continue }
            let key = String(text[..<colon])
            if text.hasSuffix(":") {
                group = key + "."
            } else {
                keys.append(((isIndented ? group : "") + key, position))
            }
        }
        return (lines, keys)
    }

    private func changed<Value>(
        _ name: String,
        _ parse: (String) throws -> Value,
        _ compare: (Value, Value) -> [String]
    ) throws {
        let (lines, keys) = try lines(name)
        #expect(keys.count > 10)
        let old = try parse(lines.joined(separator: "\n"))
        for (key, position) in keys {
            let other = try #require(Self.others[key], "\(key) has no other value here")
            var changed = lines
            let indent = key.contains(".") ? "  " : ""
            let last = key.split(separator: ".").last ?? ""
            changed[position] = "\(indent)\(last): \(other)"
            let new = try parse(changed.joined(separator: "\n"))
            #expect(compare(new, old) == [key])
        }
        #expect(compare(old, old) == [])
    }

    @Test func `each of a broker's keys is named when it changes`() throws {
        try changed(
            "broker1.yaml",
            { try BrokerSettings.parse($0) },
            { $0.keysChanged(since: $1) }
        )
    }

    @Test func `each of a controller's keys is named when it changes`() throws {
        try changed(
            "controller1.yaml",
            { try ControllerSettings.parse($0) },
            { $0.keysChanged(since: $1) }
        )
    }
}
