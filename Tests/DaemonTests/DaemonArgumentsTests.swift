import Testing

@testable import Daemon

private func read(_ arguments: String...) -> DaemonArguments {
    DaemonArguments(arguments, program: "brokerd", version: "1.2")
}

@Suite struct DaemonArgumentsTests {
    @Test func `a file and a data directory are read in both forms`() {
        let spaced = read("--config", "b.yaml", "--data-directory", "d")
        #expect(spaced.action == .run)
        #expect(spaced.config == "b.yaml")
        #expect(spaced.dataDirectory == "d")
        #expect(read("--config=b.yaml", "--data-directory=d") == spaced)
        #expect(read("-c", "b.yaml").dataDirectory == nil)
        #expect(read("--check-config", "--config", "x").action == .checkConfig)
    }

    @Test func `help and version need nothing else`() {
        #expect(read("--version").action == .show("brokerd 1.2"))
        guard case .show(let text) = read("--help").action else {
            Issue.record("no help")
            return
        }
        #expect(text.hasPrefix("usage: brokerd --config FILE"))
    }

    @Test(
        arguments: [
            ([], "brokerd: --config is missing"),
            (["--config"], "brokerd: --config needs a value"),
            (["--config="], "brokerd: --config needs a value"),
            (["--config", "b", "--port", "1"], "brokerd: unknown argument --port"),
            (["--config", "b", "extra"], "brokerd: unknown argument extra"),
            (["--check-config=1"], "brokerd: --check-config takes no value"),
        ]
    ) func `what is wrong is named`(arguments: [String], line: String) {
        let read = DaemonArguments(arguments, program: "brokerd", version: "1")
        guard case .refuse(let text) = read.action else {
            Issue.record("accepted: \(arguments)")
            return
        }
        #expect(text.split(separator: "\n").first.map(String.init) == line)
    }
}
