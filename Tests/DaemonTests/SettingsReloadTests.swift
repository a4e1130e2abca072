import Synchronization
import Testing

@testable import Daemon

@Suite struct SettingsReloadTests {
    private struct Numbers: Equatable {
        var level = 1
        var files = 1
    }

    private struct Bad: Error {}

    /// The file and what is in effect, as a daemon would hold them.
    private final class Stage: Sendable {
        let file = Mutex<Numbers?>(Numbers())
        let effect = Mutex(1)

        func makeReload() -> SettingsReload<Numbers> {
            SettingsReload(
                Numbers(),
                live: ["level"],
                load: { [self] in
                    guard let numbers = file.withLock({ $0 }) else { throw Bad() }
                    return numbers
                },
                changed: { new, old in
                    (new.level == old.level ? [] : ["level"])
                        + (new.files == old.files ? [] : ["files"])
                },
                apply: { [self] new, running in
                    guard new.level < 10 else { throw Bad() }
                    effect.withLock { $0 = new.level }
                    running.level = new.level
                }
            )
        }
    }

    @Test func `live keys are applied once, others wait for a restart and are named until then`()
        throws
    {
        let stage = Stage()
        let reload = stage.makeReload()
        #expect(try reload.reload().description == "nothing has changed")
        stage.file.withLock { $0 = Numbers(level: 2, files: 5) }
        #expect(
            try reload.reload().description == "applied level; a restart is needed for files"
        )
        #expect(stage.effect.withLock { $0 } == 2)
        #expect(try reload.reload().description == "a restart is needed for files")
        stage.file.withLock { $0 = Numbers(level: 3, files: 1) }
        #expect(try reload.reload() == ReloadReport(changed: ["level"], live: ["level"]))
    }

    @Test func `a refused file changes nothing`() throws {
        let stage = Stage()
        let reload = stage.makeReload()
        stage.file.withLock { $0 = nil }
        #expect(throws: Bad.self) { try reload.reload() }
        stage.file.withLock { $0 = Numbers(level: 99, files: 2) }
        #expect(throws: Bad.self) { try reload.reload() }
        #expect(stage.effect.withLock { $0 } == 1)
        stage.file.withLock { $0 = Numbers() }
        #expect(try reload.reload().description == "nothing has changed")
    }
}
