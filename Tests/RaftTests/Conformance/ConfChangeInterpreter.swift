import Model
import Raft

/// Carries out `simple`, `enter-joint` and `leave-joint` on a group without a log.
final class ConfChangeInterpreter: ScriptInterpreter {
    private var changer = ConfChanger(
        ProgressTracker(inflightCountMax: 10, inflightBytesMax: 0),
        lastIndex: 0
    )

    func run(_ directive: Script.Directive) -> String {
        defer { changer.lastIndex += 1 }
        do {
            let changes = try confChanges(directive.input)
            switch directive.command {
            case "simple": try changer.simple(changes)
            case "enter-joint":
                let autoLeave = directive.value(of: "autoleave") == "true"
                try changer.enterJoint(autoLeave: autoLeave, changes)
            case "leave-joint":
                if !changes.isEmpty { return "this command takes no input\n" }
                try changer.leaveJoint()
            default: return "unknown command"
            }
        } catch {
            return "\(error)\n"
        }
        return "\(changer.config)\n" + changer.peers.map { "\($0.id): \($0)\n" }.joined()
    }
}

/// Reads steps like `v1 l2 r3 u4`.
func confChanges(_ text: String) throws -> [ConfChangeSingle] {
    try text.split(separator: " ").map { token in
        let types: [Character: ConfChangeType] = [
            "v": .addNode, "l": .addLearnerNode, "r": .removeNode, "u": .updateNode,
        ]
        guard token.count >= 2 else { throw ScriptError("unknown token \(token)") }
        guard let letter = token.first, let type = types[letter] else {
            throw ScriptError("unknown input: \(token)")
        }
        guard let id = UInt64(token.dropFirst()) else { throw ScriptError("no id: \(token)") }
        return ConfChangeSingle(type, NodeID(id))
    }
}
