import InterBrokerProtocol
import Logging
import Model
import Systemd
import Testing

@testable import BrokerServer

@Suite struct LogLinesTests {
    private let start = StartPartitionRaftGroupRequest(
        raftGroupID: 1001,
        topicID: TopicID(UniqueID(high: 1, low: 2)),
        topicName: "test-topic",
        partitionID: 0,
        nodeMembers: ["4294967297": "broker1:9192"],
        join: false,
        directoryID: DirectoryID(UniqueID(high: 3, low: 4))
    )
    private let stop = StopPartitionRaftGroupRequest(
        raftGroupID: 1001,
        topicID: TopicID(UniqueID(high: 1, low: 2)),
        topicName: "test-topic",
        partitionID: 0
    )

    @Test func `the lines of start and stop are word for word those of the interface`() {
        let log = RecordingLog()
        LogLines.received(start, log.logger)
        LogLines.started(start, log.logger)
        LogLines.received(stop, log.logger)
        LogLines.stopped(stop, log.logger)
        #expect(
            log.texts == [
                """
                Received StartPartitionRaftGroup request: GroupID=1001, Topic=test-topic, \
                Partition=0, Join=false
                """,
                "Successfully started Raft group 1001 for partition test-topic-0 (join=false)",
                """
                Received StopPartitionRaftGroup request: GroupID=1001, Topic=test-topic, \
                Partition=0
                """,
                "Successfully stopped Raft group 1001 for partition test-topic-0",
            ]
        )
    }

    @Test func `they carry the fields that operators search by`() {
        let log = RecordingLog()
        LogLines.received(start, log.logger)
        LogLines.stopped(stop, log.logger)
        LogLines.started(start, log.logger)
        #expect(
            log.lines.map { $0.metadata["message-id"] } == [
                nil, "\(MessageID.raftGroupStopped)", "\(MessageID.raftGroupStarted)",
            ]
        )
        for line in log.lines {
            #expect(line.level == .info)
            #expect(line.metadata["MARTLET_GROUP"] == "1001")
            #expect(line.metadata["MARTLET_TOPIC"] == "test-topic")
            #expect(line.metadata["MARTLET_PARTITION"] == "0")
        }
    }
}
