import Model
import Raft

/// Carries out `committed` and `vote`, with cross-checks that must agree with each other.
final class QuorumInterpreter: ScriptInterpreter {
    private struct Input {
        var ids: [NodeID] = []
        var jointIDs: [NodeID] = []
        var isJoint = false
        var positions: [UInt64] = []
        var votes: [Bool?] = []
    }

    func run(_ directive: Script.Directive) -> String {
        do {
            let input = try parse(directive)
            let voters = input.ids + input.jointIDs
            var members: [NodeID] = []
            for id in voters where !members.contains(id) { members.append(id) }
            switch directive.command {
            case "committed":
                guard members.count == input.positions.count else {
                    return mismatch(members, input.positions.map(String.init))
                }
                var known: [(NodeID, UInt64)] = []
                for (id, position) in zip(members, input.positions) where position > 0 {
                    known.append((id, position))
                }
                return committed(input, known)
            case "vote":
                guard members.count == input.votes.count else {
                    return mismatch(members, input.votes.map { $0.map { $0 ? "2" : "1" } ?? "0" })
                }
                var known: [(NodeID, Bool)] = []
                for (id, vote) in zip(members, input.votes) {
                    if let vote { known.append((id, vote)) }
                }
                return vote(input, known)
            default: return "unknown command"
            }
        } catch {
            return "\(error)"
        }
    }

    private func parse(_ directive: Script.Directive) throws -> Input {
        var input = Input()
        for argument in directive.arguments {
            if argument.key == "cfgj" { input.isJoint = true }
            for value in argument.values {
                switch (argument.key, value) {
                case ("cfg", _): input.ids.append(NodeID(try number(value)))
                case ("cfgj", "zero"): break
                case ("cfgj", _): input.jointIDs.append(NodeID(try number(value)))
                case ("idx", "_"): input.positions.append(0)
                case ("idx", _): input.positions.append(try number(value))
                case ("votes", "y"): input.votes.append(true)
                case ("votes", "n"): input.votes.append(false)
                case ("votes", "_"): input.votes.append(nil)
                default: throw ScriptError("unknown arg \(argument.key)=\(value)")
                }
            }
        }
        return input
    }

    private func number(_ text: String) throws -> UInt64 {
        guard let number = UInt64(text) else { throw ScriptError("no number: \(text)") }
        return number
    }

    private func mismatch(_ members: [NodeID], _ input: [String]) -> String {
        let ids = MajorityConfig(members).ids.map { "\($0):{}" }.joined(separator: " ")
        return "error: mismatched input (explicit or _) for voters map[\(ids)]: "
            + "[\(input.joined(separator: " "))]"
    }

    private func text(_ index: UInt64) -> String { index == .max ? "∞" : "\(index)" }

    private func committed(_ input: Input, _ known: [(NodeID, UInt64)]) -> String {
        let lookup: (NodeID) -> UInt64? = { id in known.first { $0.0 == id }?.1 }
        let majority = MajorityConfig(input.ids)
        let other = MajorityConfig(input.jointIDs)
        if input.isJoint {
            let joint = JointConfig(incoming: majority, outgoing: other)
            let mirrored = JointConfig(incoming: other, outgoing: majority)
            var text = joint.describe(lookup)
            let index = joint.committedIndex(lookup)
            let mirroredIndex = mirrored.committedIndex(lookup)
            if mirroredIndex != index { text += "\(self.text(mirroredIndex)) <-- via symmetry\n" }
            return text + "\(self.text(index))\n"
        }
        let index = majority.committedIndex(lookup)
        var text = majority.describe(lookup)
        func check(_ other: UInt64, _ via: String) {
            if other != index { text += "\(self.text(other)) <-- \(via)\n" }
        }
        check(counted(majority, lookup), "via alternative computation")
        check(JointConfig(incoming: majority).committedIndex(lookup), "via zero-joint quorum")
        check(
            JointConfig(incoming: majority, outgoing: majority).committedIndex(lookup),
            "via self-joint quorum"
        )
        // Whoever is behind the committed index may fall further behind without any effect.
        for id in majority.ids {
            guard let own = lookup(id), index > own else { continue }
            for lower in [own - 1, 0] {
                let lowered = majority.committedIndex { $0 == id ? lower : lookup($0) }
                check(lowered, "overlaying \(id)->\(lower)")
            }
        }
        return text + "\(self.text(index))\n"
    }

    /// The committed index by its definition: the highest one that a majority has reached.
    private func counted(_ majority: MajorityConfig, _ lookup: (NodeID) -> UInt64?) -> UInt64 {
        if majority.isEmpty { return .max }
        let positions = majority.ids.map { lookup($0) ?? 0 }
        var best: UInt64 = 0
        for candidate in positions
        where positions.count(where: { $0 >= candidate }) > majority.count / 2 {
            best = max(best, candidate)
        }
        return best
    }

    private func vote(_ input: Input, _ known: [(NodeID, Bool)]) -> String {
        let lookup: (NodeID) -> Bool? = { id in known.first { $0.0 == id }?.1 }
        let majority = MajorityConfig(input.ids)
        guard input.isJoint else { return majority.voteResult(lookup).rawValue + "\n" }
        let other = MajorityConfig(input.jointIDs)
        let result = JointConfig(incoming: majority, outgoing: other).voteResult(lookup)
        let mirrored = JointConfig(incoming: other, outgoing: majority).voteResult(lookup)
        var text = ""
        if mirrored != result { text += "\(mirrored.rawValue) <-- via symmetry\n" }
        return text + "\(result.rawValue)\n"
    }
}
