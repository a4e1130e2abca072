import ArgumentParser
import KafkaClient
import Model
import ToolSupport

/// A controller on the command line: `2@host2:9190`.
struct ControllerArgument: ExpressibleByArgument {
    let id: Int32
    let address: Address

    init?(argument: String) {
        guard let at = argument.firstIndex(of: "@"), let id = Int32(argument[..<at]), id >= 1,
            let address = Address(argument[argument.index(after: at)...]), address.port > 0
        else { return nil }
        self.id = id
        self.address = address
    }
}

struct AddController: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "add-controller",
        abstract: "Lets new controllers belong to the cluster.",
        usage: "martlet cluster add-controller <id>@<host>:<port> ... [<option> ...]",
        discussion: """
            Start controllerd there first, with an empty data directory and a `controllers` list \
            that names at least one of those that the cluster has, and itself. The address is \
            that of its peer listener. One after the other is filled from the others, gets its \
            vote, and is named. What was interrupted goes on by itself; running the command again \
            does no harm. The other daemons go on with their settings; bring their lists up to \
            date before one of them loses its disk, since it knows nothing else then.
            """
    )

    @Argument(help: ArgumentHelp("The new controllers.", valueName: "id@host:port"))
    var controllers: [ControllerArgument]

    @Flag(inversion: .prefixedNo, help: "Wait until they vote.")
    var wait = true

    @OptionGroup var cluster: ClusterOptions

    func perform() async throws {
        try await cluster.withClient("martlet-cluster") { client in
            for controller in controllers {
                try await client.addController(controller.id, at: controller.address)
                try await Self.follow(controller.id, wait, client)
            }
        }
    }

    /// Says how a controller is filled, until it votes.
    static func follow(_ id: Int32, _ waits: Bool, _ client: ClusterClient) async throws {
        guard waits else { return print("controller \(id) is to be filled, and then votes") }
        var said = ""
        while true {
            let quorum = try await client.describeControllers()
            let found = quorum.controllers.filter { $0.id == id }
            if found.count == 1, found[0].isVoter {
                return print("controller \(id) votes: \(Self.sentence(quorum))")
            }
            guard let learner = found.first(where: { !$0.isVoter }) else {
                throw ToolFailure(
                    .refused,
                    "controller \(id) is no member",
                    advice: "Somebody else has removed it."
                )
            }
            let now = learner.end > 0 ? "is being filled" : "has got nothing yet"
            if now != said { print("controller \(id) \(now)") }
            said = now
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// `the controllers are 1,2,3`.
    static func sentence(_ quorum: QuorumDescription) -> String {
        "the controllers are "
            + Words.list(quorum.controllers.filter(\.isVoter).map(\.id))
    }
}

struct RemoveController: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove-controller",
        abstract: "Lets a controller belong to the cluster no more.",
        usage: "martlet cluster remove-controller <id> [<option> ...]",
        discussion: """
            It may run or be gone; a leader hands over first. Refused where too few of the others \
            answer. For one that is to come back with an empty disk, use replace-controller: it \
            keeps the number of copies.
            """
    )

    @Argument(help: "The controller's number.")
    var id: Int32

    @OptionGroup var cluster: ClusterOptions

    func validate() throws {
        guard id >= 1 else { throw ValidationError("a controller's number is 1 or more") }
    }

    func perform() async throws {
        try await cluster.withClient("martlet-cluster") { client in
            try await client.removeController(id)
            while true {
                let quorum = try await client.describeControllers()
                guard quorum.controllers.contains(where: { $0.id == id }) else {
                    return print("controller \(id) is gone: \(AddController.sentence(quorum))")
                }
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }
}

struct ReplaceController: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "replace-controller",
        abstract: "Fills a controller again that lost its disk or its machine.",
        usage: "martlet cluster replace-controller <id>[@<host>:<port>] [<option> ...]",
        discussion: """
            Start controllerd first, with the same number and an empty data directory, where it \
            was or elsewhere. It is filled from the others; then, in one step, it gets the vote of \
            the one that is lost. Running the command again does no harm.
            """
    )

    @Argument(
        help: ArgumentHelp(
            "The controller, with its address if that is a new one.",
            valueName: "id[@host:port]"
        )
    )
    var controller: String

    @Flag(inversion: .prefixedNo, help: "Wait until it votes.")
    var wait = true

    @OptionGroup var cluster: ClusterOptions

    private func parse() throws -> (id: Int32, address: Address?) {
        if let whole = ControllerArgument(argument: controller) { return (whole.id, whole.address) }
        guard let id = Int32(controller), id >= 1 else {
            throw ValidationError("'\(controller)' is neither ID nor ID@HOST:PORT")
        }
        return (id, nil)
    }

    func validate() throws { _ = try parse() }

    func perform() async throws {
        let (id, given) = try parse()
        try await cluster.withClient("martlet-cluster") { client in
            let quorum = try await client.describeControllers()
            let known = quorum.controllers.first { $0.id == id }
            guard let known, let address = given ?? known.address else {
                throw ToolFailure(
                    .refused,
                    "controller \(id) is no member: \(AddController.sentence(quorum))",
                    advice: "A new one is added with martlet cluster add-controller \(id)@HOST:PORT"
                )
            }
            try await client.addController(id, at: address)
            try await AddController.follow(id, wait, client)
        }
    }
}

extension Status {
    /// The controllers below each other; one line if nobody can tell.
    static func controllers(_ client: ClusterClient) async -> String {
        let quorum: QuorumDescription
        do throws(KafkaClientError) {
            quorum = try await client.describeControllers(patiently: false)
        } catch {
            return "controllers  unknown: \(error)\n"
        }
        var table = TextTable(["controller", "address", "role", "behind"], rightAligned: [0, 3])
        let end = quorum.controllers.map(\.end).max() ?? 0
        for controller in quorum.controllers {
            var role = controller.isVoter ? "follower" : "learner"
            if controller.isVoter, controller.id == quorum.leader { role = "leader" }
            if !controller.isActive { role += " (away)" }
            // A leader that has never heard one does not know what it has.
            let isKnown = controller.isActive || controller.end > 0
            table.add([
                String(controller.id), controller.address?.description ?? "-", role,
                isKnown ? String(end - controller.end) : "-",
            ])
        }
        return table.text
    }
}
