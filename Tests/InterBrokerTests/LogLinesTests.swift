import InterBroker
import InterBrokerProtocol
import Logging
import Model
import Testing

@Suite struct LogLinesTests {
    private let log = LogCapture()

    private func only() throws -> LogCapture.Line {
        try #require(log.lines.count == 1 ? log.lines.first : nil)
    }

    @Test func `sending a start request`() throws {
        InterBrokerLogLines.sending(Peers.start(1001), to: "broker2:9192", log.logger)
        let line = try only()
        #expect(
            line.text
                == "Sending StartPartitionRaftGroup request to broker2:9192 "
                + "for group 1001 (join=false)"
        )
        #expect(line.level == .info)
        #expect(
            line.metadata == [
                "MARTLET_GROUP": "1001", "MARTLET_TOPIC": "test-topic", "MARTLET_PARTITION": "0",
                "MARTLET_PEER": "broker2:9192",
            ]
        )
    }

    @Test func `sending a stop request`() throws {
        InterBrokerLogLines.sending(Peers.stop(1001), to: "broker2:9192", log.logger)
        let line = try only()
        #expect(line.text == "Sending StopRaftGroup command to broker2:9192 for group 1001")
        #expect(line.level == .info)
        #expect(line.metadata["MARTLET_GROUP"] == "1001")
    }

    @Test func `connected to a broker`() throws {
        InterBrokerLogLines.connected(
            to: "broker2:9192",
            for: .startPartitionRaftGroup,
            log.logger
        )
        InterBrokerLogLines.connected(
            to: "broker2:9192",
            for: .stopPartitionRaftGroup,
            log.logger
        )
        InterBrokerLogLines.connected(to: "c1:9190", for: .brokerHeartbeat, log.logger)
        #expect(
            log.texts == [
                "Connected to broker at broker2:9192 for StartPartitionRaftGroup request",
                "Connected to broker at broker2:9192 for StopPartitionRaftGroup request",
                "Connected to broker at c1:9190 for BrokerHeartbeat request",
            ]
        )
        #expect(log.lines.map(\.level) == [.info, .info, .debug])
    }

    @Test(arguments: InterBrokerRequestType.allCases)
    func `handling a request is info for start and stop only`(
        type: InterBrokerRequestType
    ) throws {
        InterBrokerLogLines.handling(type, from: "10.0.0.1:40212", log.logger)
        let line = try only()
        #expect(line.text == "Handling inter-broker request from 10.0.0.1:40212")
        #expect(line.level == ([1003, 1004].contains(type.rawValue) ? .info : .debug))
        #expect(line.metadata["MARTLET_PEER"] == "10.0.0.1:40212")
    }
}
