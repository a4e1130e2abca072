import Model
import Raft

/// Carries out the directives of an interaction script on a group of replicas.
final class InteractionInterpreter: ScriptInterpreter {
    var nodes: [ScriptNode] = []
    /// What is on its way, responses of the local threads included.
    var messages: [Message] = []
    let output = ScriptOutput()
    let trace = ScriptTrace()
    let seed: UInt64

    init(seed: UInt64) { self.seed = seed }

    func run(_ directive: Script.Directive) -> String {
        output.reset()
        do {
            try handle(directive)
        } catch {
            if output.isQuiet { return "\(error)" }
            output.write("\(error)")
        }
        return output.text.isEmpty ? "ok" : output.text
    }

    private func handle(_ directive: Script.Directive) throws {
        switch directive.command {
        case "_breakpoint": break
        case "add-nodes": try addNodes(directive)
        case "campaign": try first(directive).node.campaign()
        case "compact": try compact(directive)
        case "deliver-msgs": try deliver(directive)
        case "process-ready":
            try forEach(directive, "handling Ready") { try processReady($0) }
        case "process-append-thread":
            try forEach(directive, "processing append thread") { try processAppend($0) }
        case "process-apply-thread":
            try forEach(directive, "processing apply thread") { try processApply($0) }
        case "log-level": try output.setLevel(directive.words[0])
        case "raft-log": printLog(try first(directive))
        case "raft-state": printState()
        case "set-randomized-election-timeout":
            guard let ticks = directive.value(of: "timeout").flatMap(Int.init) else {
                throw ScriptError("no timeout")
            }
            try first(directive).node.randomizedElectionTicks = ticks
        case "stabilize": try stabilize(directive)
        case "status":
            for progress in try first(directive).node.status.progress {
                output.write("\(progress.id): \(progress)\n")
            }
        case "tick-election":
            let node = try first(directive)
            for _ in 0..<node.config.electionTicks { node.node.tick() }
        case "tick-heartbeat":
            let node = try first(directive)
            for _ in 0..<node.config.heartbeatTicks { node.node.tick() }
        case "transfer-leadership": try transfer(directive)
        case "forget-leader": try first(directive).node.forgetLeader()
        case "send-snapshot": try sendSnapshot(directive)
        case "propose":
            let payload = Payload(Array(directive.arguments[1].key.utf8))
            try first(directive).node.propose([payload])
        case "propose-conf-change": try proposeConfChange(directive)
        case "report-unreachable":
            let both = try selected(directive)
            both[0].node.reportUnreachable(both[1].id)
        default: try handleOwn(directive)
        }
    }

    // MARK: Nodes

    func node(_ id: UInt64) throws -> ScriptNode {
        guard id > 0, id <= UInt64(nodes.count) else { throw ScriptError("no node \(id)") }
        return nodes[Int(id) - 1]
    }

    func first(_ directive: Script.Directive) throws -> ScriptNode {
        try node(directive.number(at: 0))
    }

    func selected(_ directive: Script.Directive) throws -> [ScriptNode] {
        try directive.words.map { word in
            guard let id = UInt64(word) else { throw ScriptError("no number: \(word)") }
            return try node(id)
        }
    }

    private func forEach(
        _ directive: Script.Directive,
        _ what: String,
        _ body: (ScriptNode) throws -> Void
    ) throws {
        let chosen = try selected(directive)
        for node in chosen {
            if chosen.count == 1 {
                try body(node)
            } else {
                output.write("> \(node.id) \(what)\n")
                try output.indented { try body(node) }
            }
        }
    }

    // MARK: Work

    func processReady(_ node: ScriptNode) throws {
        let ready = node.node.ready()
        output.write("\(ready)")
        if !node.config.asyncStorageWrites {
            try node.write(ready.hardState, ready.entries, ready.snapshot)
            try node.apply(ready.committedEntries)
        }
        for message in ready.messages {
            switch message.to {
            case .localAppendThread: node.appendWork.append(message)
            case .localApplyThread: node.applyWork.append(message)
            default: messages.append(message)
            }
        }
        if !node.config.asyncStorageWrites { node.node.advance() }
    }

    func processAppend(_ node: ScriptNode) throws {
        guard !node.appendWork.isEmpty else {
            return output.write("no append work to perform")
        }
        let (message, responses) = take(&node.appendWork)
        let state = HardState(term: message.term, vote: message.vote, commit: message.commit)
        try node.write(state, message.entries, message.snapshot)
        respond(responses)
    }

    func processApply(_ node: ScriptNode) throws {
        guard !node.applyWork.isEmpty else {
            return output.write("no apply work to perform")
        }
        let (message, responses) = take(&node.applyWork)
        try node.apply(message.entries)
        respond(responses)
    }

    private func take(_ work: inout [Message]) -> (Message, [Message]) {
        var message = work.removeFirst()
        let responses = message.responses
        message.responses = []
        output.write("Processing:\n\(message)\n")
        return (message, responses)
    }

    private func respond(_ responses: [Message]) {
        output.write("Responses:\n")
        for response in responses { output.write("\(response)\n") }
        messages += responses
    }

    // MARK: Printing

    private func printLog(_ node: ScriptNode) {
        let storage = node.storage.log
        if storage.lastIndex < storage.firstIndex {
            output.write(
                "log is empty: first index=\(storage.firstIndex), last index=\(storage.lastIndex)"
            )
        }
        for entry in storage.entries { output.write("\(entry)\n") }
    }

    private func printState() {
        for node in nodes {
            let status = node.node.status
            let voters = status.confState.voters + status.confState.votersOutgoing
            let kind = voters.contains(node.id) ? "(Voter)" : "(Non-Voter)"
            output.write(
                "\(node.id): \(status.softState.role) \(kind) Term:\(status.hardState.term) "
                    + "Lead:\(status.softState.leader)\n"
            )
        }
    }

    private func compact(_ directive: Script.Directive) throws {
        let node = try first(directive)
        node.storage.log.compact(to: LogIndex(try directive.number(at: 1)))
        printLog(node)
    }
}
