import Model
import Raft

/// What etcd's vocabulary lacks: the commands and arguments that `scripts/README.md` names.
extension InteractionInterpreter {
    func handleOwn(_ directive: Script.Directive) throws {
        switch directive.command {
        case "read-index":
            try first(directive).node.readIndex(context: directive.number(at: 1))
        case "deliver-one": try deliverOne(first(directive))
        case "restart":
            let node = try first(directive)
            // What its own threads had to say dies with it; the network keeps what it carries.
            messages.removeAll {
                $0.to == node.id && ($0.from == node.id || $0.from.isLocalThread)
            }
            node.restart()
        case "cool":
            try first(directive).storage.coldUpTo = LogIndex(directive.number(at: 1))
        case "entries-fetched":
            let node = try first(directive)
            node.storage.coldUpTo = 0
            node.node.entriesFetched()
        default: throw ScriptError("unknown command")
        }
    }

    /// Delivers the oldest message to a node, and shows the number that it may carry.
    private func deliverOne(_ node: ScriptNode) throws {
        guard let place = messages.firstIndex(where: { $0.to == node.id }) else {
            return output.write("no messages\n")
        }
        let message = messages.remove(at: place)
        output.write("\(message)" + (message.context.map { " Context:\($0)" } ?? "") + "\n")
        try node.node.step(message)
    }

    func setOwn(_ key: String, _ value: String, _ config: inout RaftConfig) throws {
        switch key {
        case "disable-proposal-forwarding": config.disableProposalForwarding = value == "true"
        case "max-size-per-msg": config.maxBytesPerMessage = try bytes(value)
        case "inflight-bytes": config.maxInflightBytes = try bytes(value)
        case "max-uncommitted-size": config.maxUncommittedBytes = try bytes(value)
        default: throw ScriptError("unknown argument \(key)")
        }
    }

    private func bytes(_ value: String) throws -> Int {
        guard let number = Int(value) else { throw ScriptError("no number: \(value)") }
        return number
    }
}
