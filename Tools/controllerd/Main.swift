import Daemon
import Settings
import Systemd

#if canImport(Glibc)
    import Glibc
#endif

/// controllerd: keeps the cluster's metadata and gives the brokers their orders.
@main
enum Main {
    static let version = "0.1.0"

    static func main() async {
        let arguments = DaemonArguments(
            CommandLine.arguments.dropFirst(),
            program: "controllerd",
            version: version
        )
        switch arguments.action {
        case .show(let text):
            print(text)
            exit(ExitStatus.success.rawValue)
        case .refuse(let text):
            complain(text)
            exit(ExitStatus.usage.rawValue)
        case .checkConfig: exit(checkConfig(arguments.config).rawValue)
        case .run: exit(await run(arguments).rawValue)
        }
    }

    private static func run(_ arguments: DaemonArguments) async -> ExitStatus {
        let settings: ControllerSettings
        do {
            settings = try ControllerSettings.load(arguments)
        } catch {
            return DaemonSetup.refuse(error, identifier: "controllerd")
        }
        if let status = DaemonSetup.refuseShortage(identifier: "controllerd") { return status }
        let pipeline = DaemonSetup.prepare(
            identifier: "controllerd",
            identity: ["MARTLET_CONTROLLER": "\(settings.controllerID)"]
        )
        pipeline.level = DaemonSetup.level(settings.logLevel)
        defer { pipeline.close() }
        let daemon = ControllerDaemon(settings)
        return await daemon.run(arguments, pipeline)
    }

    private static func checkConfig(_ path: String) -> ExitStatus {
        do {
            let line = try ConfigCheck.run(role: .controller, path: path)
            _ = try ControllerSettings.load(path: path).peerAllowList()
            print(line)
            return .success
        } catch {
            complain("\(error)")
            return .config
        }
    }

    private static func complain(_ text: String) {
        let line = text + "\n"
        line.withCString { _ = write(STDERR_FILENO, $0, strlen($0)) }
    }
}
