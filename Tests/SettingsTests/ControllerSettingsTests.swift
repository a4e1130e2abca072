import Model
import Testing

@testable import Settings

@Suite struct ControllerSettingsTests {
    @Test func `the least that works has every default`() throws {
        let settings = try ControllerSettings.parse(
            "controller_id: 1\ncontrollers: [\"1@127.0.0.1:9190\"]\n"
        )
        #expect(settings.controllerID == 1)
        #expect(settings.dataDirectory == "/var/lib/martlet/controller")
        #expect(settings.listeners.peer == Address("127.0.0.1:9190"))
        #expect(settings.listeners.http == Address("127.0.0.1:9645"))
        #expect(settings.advertised.peer == settings.listeners.peer)
        #expect(settings.brokerSilence == .seconds(3))
        #expect(settings.stopWait == .seconds(60))
        #expect(settings.log.walFileBytes == 8 << 20)
        #expect(settings.log.walFiles == 2)
    }

    @Test func `a controller that its own list does not name is refused`() {
        #expect {
            try ControllerSettings.parse("controller_id: 2\ncontrollers: [\"1@127.0.0.1:9190\"]\n")
        } throws: { error in
            "\(error)"
                == "settings:1: controller_id is 2, but controllers does not name that controller"
        }
    }

    @Test func `keys of a broker are unknown to a controller`() {
        #expect {
            try ControllerSettings.parse(
                "controller_id: 1\ncontrollers: [\"1@127.0.0.1:9190\"]\ndefault_partitions: 1\n"
            )
        } throws: { "\($0)".hasPrefix("settings:3: unknown key \"default_partitions\"") }
    }
}
