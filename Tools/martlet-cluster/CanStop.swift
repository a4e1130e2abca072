import ArgumentParser
import KafkaClient
import ToolSupport

struct CanStop: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "can-stop",
        abstract: "Says whether a broker or controller may stop now.",
        usage: "martlet cluster can-stop <id> [--controller] [<option> ...]",
        discussion: """
            Ends with 0 if it may, and with 1 if partitions, or the controllers, would lose the \
            quorum that they have because another one is away or behind; these are named. A \
            daemon that is asked to stop asks itself the same, and waits (stop_wait_ms). For \
            restarts one after the other:
            until martlet cluster can-stop 2; do sleep 1; done
            """
    )

    @Argument(help: "The broker's number; with --controller, the controller's.")
    var id: Int32

    @Flag(help: "Ask about a controller.")
    var controller = false

    @OptionGroup var cluster: ClusterOptions

    func perform() async throws {
        try await cluster.withClient("martlet-cluster") { client in
            if controller {
                try judge(try await client.describeControllers())
            } else {
                try judge(try await client.describe(topics: nil))
            }
        }
    }

    private func judge(_ description: ClusterDescription) throws {
        let holds = description.topics.flatMap(\.partitions).contains { $0.replicas.contains(id) }
        guard description.brokers.contains(where: { $0.id == id }) else {
            guard holds else { throw ToolFailure(.refused, "there is no broker \(id)") }
            return print("yes: broker \(id) is away already")
        }
        let risks = description.partitionsAtRisk(withoutBroker: id)
        guard !risks.isEmpty else {
            print("yes: no partition loses its quorum with broker \(id)")
            let thin = description.thinPartitions(ofBroker: id)
            if thin > 0 {
                print(
                    "but \(Words.count(thin, "partition")) with one or two copies cannot be "
                        + "written while it is away"
                )
            }
            return
        }
        print(
            "no: \(Words.count(risks.count, "partition")) would lose the quorum with broker \(id)"
        )
        for risk in risks {
            print("  \(risk.partition) (away or behind: \(Words.list(risk.missing)))")
        }
        throw ExitCode(ToolStatus.refused.rawValue)
    }

    private func judge(_ quorum: QuorumDescription) throws {
        guard let known = quorum.controllers.first(where: { $0.id == id }) else {
            throw ToolFailure(.refused, "there is no controller \(id)")
        }
        let missing = quorum.missing(withoutController: id)
        guard missing.isEmpty else {
            print(
                "no: the controllers would lose their quorum with controller \(id) "
                    + "(away: \(Words.list(missing)))"
            )
            throw ExitCode(ToolStatus.refused.rawValue)
        }
        guard known.isActive else { return print("yes: controller \(id) is away already") }
        print("yes: the controllers keep their quorum without controller \(id)")
        let voters = quorum.controllers.filter(\.isVoter)
        if known.isVoter, voters.count <= 2 {
            print("but nothing can be changed in the cluster while it is away")
        }
    }
}
