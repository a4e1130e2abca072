import Model
import Testing

@testable import Settings

/// The files in configs/ form a cluster on loopback.
@Suite struct ConfigFileTests {
    private let folder = String(#filePath.split(separator: "/Tests/SettingsTests/")[0]) + "/configs"

    @Test func `the three brokers and the controller fit together`() throws {
        let controller = try ControllerSettings.load(path: "\(folder)/controller1.yaml")
        let brokers = try (1...3).map {
            try BrokerSettings.load(path: "\(folder)/broker\($0).yaml")
        }
        #expect(controller.listeners.peer.port == 9190)
        #expect(controller.listeners.http.port == 9645)
        #expect(brokers.map(\.brokerID) == [1, 2, 3])
        #expect(brokers.map(\.listeners.client.port) == [9092, 9093, 9094])
        #expect(brokers.map(\.listeners.peer.port) == [9192, 9193, 9194])
        #expect(brokers.map(\.listeners.http.port) == [9644, 9646, 9647])
        #expect(Set(brokers.map(\.dataDirectory)).count == 3)
        for broker in brokers {
            #expect(broker.peers == controller.peers)
            #expect(broker.advertised.client == broker.listeners.client)
        }
    }

    @Test func `a file that is not there is a sentence`() {
        #expect {
            try BrokerSettings.load(path: "\(folder)/none.yaml")
        } throws: { error in
            "\(error)" == "\(folder)/none.yaml: cannot open the file: No such file or directory"
        }
        #expect {
            try BrokerSettings.load(path: folder)
        } throws: { "\($0)" == "\(folder): cannot read the file: Is a directory" }
    }

    @Test func `the check says what a daemon would do`() throws {
        let line = try ConfigCheck.run(role: .broker, path: "\(folder)/broker2.yaml")
        #expect(
            line.hasSuffix(
                "broker 2, clients on 127.0.0.1:9093, peers on 127.0.0.1:9193, "
                    + "metrics on http://127.0.0.1:9646/metrics, data in data/broker2"
            )
        )
        let other = try ConfigCheck.run(role: .controller, path: "\(folder)/controller1.yaml")
        #expect(other.contains("controller 1"))
    }
}
