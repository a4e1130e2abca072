public import ArgumentParser
import Glibc
public import KafkaClient
import KafkaProtocol
public import Model
import NIOCore

/// How a tool ends; the numbers are those of sysexits.h where it has one.
public enum ToolStatus: Int32, Sendable {
    /// Everything was done.
    case done = 0
    /// The cluster refused, or something was found wrong.
    case refused = 1
    /// The command line makes no sense.
    case usage = 64
    /// No broker could be reached, or none answered in time.
    case unreachable = 69
    /// The tool itself is wrong.
    case bug = 70
}

/// Why a tool gives up: what happened, and what to do about it.
public struct ToolFailure: Error {
    /// How the tool ends.
    public let status: ToolStatus
    /// What happened.
    public let message: String
    /// What a person may do; nil when there is nothing to say.
    public let advice: String?

    /// Describes a failure.
    public init(_ status: ToolStatus, _ message: String, advice: String? = nil) {
        self.status = status
        self.message = message
        self.advice = advice
    }
}

/// A verb of `martlet`: parsed by ArgumentParser, ended with the house's exit codes.
public protocol ToolCommand: AsyncParsableCommand {
    /// Does the work; a `KafkaClientError` or `ToolFailure` that is thrown is explained.
    func perform() async throws
}

extension ToolCommand {
    /// Does the work and turns failures into words on stderr and an exit code.
    public func run() async throws {
        do {
            try await perform()
        } catch let failure as ToolFailure {
            throw Self.explain(failure)
        } catch let error as KafkaClientError {
            let status: ToolStatus = error.isUnreachable ? .unreachable : .refused
            throw Self.explain(ToolFailure(status, error.description, advice: error.advice))
        }
    }

    private static func explain(_ failure: ToolFailure) -> ExitCode {
        // A subcommand knows its own name only; its tool's is martlet-VERB.
        var name = _commandName
        if !name.hasPrefix("martlet") {
            let tool = CommandLine.arguments.first?.split(separator: "/").last ?? "martlet"
            name = "\(tool.split(separator: "-").joined(separator: " ")) \(name)"
        }
        Terminal.say("\(name): \(failure.message)")
        if let advice = failure.advice { Terminal.say("  \(advice)") }
        return ExitCode(failure.status.rawValue)
    }

    /// Runs the tool: the body of each `main`.
    ///
    /// `--summary` prints one line for `martlet help`.
    public static func start() async {
        // A reader that went away ends the tool quietly, as it ends cat.
        signal(SIGPIPE, SIG_DFL)
        if CommandLine.arguments.dropFirst() == ["--summary"] {
            print(configuration.abstract)
            return
        }
        await main()
    }
}

extension KafkaClientError {
    /// What a person may do about it.
    fileprivate var advice: String? {
        switch self {
        case .unreachable: "Is a broker running there? Name another with --bootstrap HOST:PORT."
        case .timedOut, .disconnected:
            "Look at `martlet cluster status`, and at the brokers' journal: journalctl -u brokerd"
        case .unknownTopic: "`martlet topic list` shows what there is."
        case .unknownPartition(let topic, _):
            "`martlet topic describe \(topic)` shows what there is."
        case .refused(.topicAlreadyExists, _):
            "Use it as it is (--if-not-exists), or delete it first: martlet topic delete NAME"
        case .refused(.invalidReplicationFactor, _):
            "There must be as many live brokers as replicas: see martlet cluster status"
        case .refused(.noReassignmentInProgress, _):
            "`martlet cluster status` shows what is under way."
        case .refused(.invalidReplicaAssignment, _):
            "`martlet cluster status` shows which brokers there are."
        case .refused(.voterNotFound, _):
            "`martlet cluster status` shows which controllers there are."
        case .refused(.brokerNotAvailable, _):
            "Its journal says whether it runs and what it waits for: journalctl -u controllerd"
        case .refused(.notController, _):
            "The controllers have no leader yet; try again in a moment."
        default: nil
        }
    }
}

/// The options of every tool that talks to a cluster.
public struct ClusterOptions: ParsableArguments {
    /// Brokers to ask first, separated by commas.
    @Option(
        help: ArgumentHelp(
            "Brokers to ask first, separated by commas.",
            valueName: "host:port"
        )
    )
    public var bootstrap = Terminal.environment("MARTLET_BOOTSTRAP") ?? "127.0.0.1:9092"

    /// Seconds to try before giving up.
    @Option(help: ArgumentHelp("How long to try before giving up.", valueName: "seconds"))
    public var timeout: Double = 30

    /// The defaults.
    public init() {}

    /// Checks the addresses.
    public func validate() throws {
        _ = try addresses()
        guard timeout > 0, timeout <= 86_400 else {
            throw ValidationError("--timeout must be more than 0 and at most 86400 seconds")
        }
    }

    /// The brokers to ask first.
    public func addresses() throws -> [Address] {
        let parts = bootstrap.split(separator: ",")
        guard !parts.isEmpty else {
            throw ValidationError("--bootstrap needs an address such as 127.0.0.1:9092")
        }
        return try parts.map { part in
            guard let address = Address(part) else {
                throw ValidationError("'\(part)' is no address; one looks like 127.0.0.1:9092")
            }
            return address
        }
    }

    /// Makes a client, lends it to `body` and closes it.
    public func withClient<T: Sendable>(
        _ clientID: String,
        _ body: (ClusterClient) async throws -> T
    ) async throws -> T {
        var options = ClientOptions()
        options.clientID = clientID
        options.deadline = .nanoseconds(Int64(timeout * 1e9))
        options.connectTimeout = min(options.connectTimeout, options.deadline)
        options.requestTimeout = min(options.requestTimeout, options.deadline)
        let client = ClusterClient(bootstrap: try addresses(), options: options)
        do {
            let result = try await body(client)
            await client.close()
            return result
        } catch {
            await client.close()
            throw error
        }
    }
}
