import Systemd
import Testing

@testable import Daemon

@Suite struct ProcessLimitsTests {
    @Test func `what is needed is enough`() {
        #expect(
            ProcessLimits.shortage(
                openFiles: ProcessLimits.openFilesMin,
                threads: ProcessLimits.threadsMin
            ) == nil
        )
    }

    @Test func `too few files are refused with the setting's name`() throws {
        let text = try #require(ProcessLimits.shortage(openFiles: 24, threads: 1000))
        #expect(text.hasPrefix("it may have 24 files open and needs 64: raise LimitNOFILE="))
    }

    @Test func `too few threads are refused with the setting's name`() throws {
        let text = try #require(ProcessLimits.shortage(openFiles: 1024, threads: 5))
        #expect(text.hasPrefix("the system gives it 5 threads and it needs "))
        #expect(text.contains("raise TasksMax="))
    }

    @Test func `threads are tried out, and no more than asked for`() {
        #expect(ProcessLimits.startableThreads(upTo: 0) == 0)
        #expect(ProcessLimits.startableThreads(upTo: 20) == 20)
    }

    @Test func `the line has its event's id`() {
        let entry = LogLines.limitTooLow("brokerd", "it needs more")
        #expect(entry.message == "brokerd cannot start: it needs more")
        #expect(
            entry.fields.contains {
                $0.name == "MESSAGE_ID" && $0.value == MessageID.limitTooLow.description
            }
        )
    }
}
