import Metadata
import Testing

@Suite struct TopicConfigTests {
    @Test func `every default is a legal value of its key, and names are in order`() {
        for config in TopicConfig.all {
            #expect(config.refusal(of: config.defaultValue) == nil, "\(config.name)")
            #expect(TopicConfig.named(config.name) == config)
        }
        #expect(TopicConfig.all.map(\.name) == TopicConfig.all.map(\.name).sorted())
    }

    @Test func `illegal values are refused and named`() {
        #expect(TopicConfig.compressionType.refusal(of: "zstd") != nil)
        #expect(TopicConfig.maxMessageBytes.refusal(of: "-1") != nil)
        #expect(TopicConfig.minInsyncReplicas.refusal(of: "0") != nil)
        #expect(TopicConfig.cleanupPolicy.refusal(of: "delete,compact") == nil)
        #expect(TopicConfig.cleanupPolicy.refusal(of: "delete,") != nil)
        #expect(TopicConfig.minCleanableDirtyRatio.refusal(of: "1.5") != nil)
        #expect(TopicConfig.retentionMs.refusal(of: "-1") == nil)
        #expect(
            TopicConfig.retentionMs.refusal(of: "soon")
                == "Invalid value soon for configuration retention.ms"
        )
        #expect(
            TopicConfig.refusal(of: TopicConfigs([ConfigEntry("retention.years", "1")]))
                == "Unknown topic config name: retention.years"
        )
    }

    @Test func `a promise that would not be kept is refused`() {
        for (key, value) in [
            ("message.timestamp.type", "LogAppendTime"), ("compression.type", "zstd"),
            ("unclean.leader.election.enable", "true"),
        ] {
            #expect(TopicConfig.refusal(of: TopicConfigs([ConfigEntry(key, value)])) != nil)
        }
    }

    @Test func `what is not set has Kafka's default`() {
        var configs = TopicConfigs.defaults
        #expect(configs.maxMessageBytes == 1_048_588)
        #expect(configs.retentionMs == 604_800_000)
        #expect(configs.isDeleted && !configs.isCompacted)
        configs["cleanup.policy"] = "compact"
        configs["max.message.bytes"] = "100"
        configs["retention.bytes"] = "5"
        #expect(configs.isCompacted && !configs.isDeleted && configs.maxMessageBytes == 100)
        #expect(
            configs.entries.map(\.key) == [
                "cleanup.policy", "max.message.bytes", "retention.bytes",
            ]
        )
        configs["cleanup.policy"] = nil
        configs["no.such"] = nil
        #expect(configs.isDeleted && configs.entries.count == 2)
    }
}
