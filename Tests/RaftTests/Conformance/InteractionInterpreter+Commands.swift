import Model
import Raft

// MARK: Groups

extension InteractionInterpreter {
    func addNodes(_ directive: Script.Directive) throws {
        var config = RaftConfig(id: 1)
        config.votesWaitForDurability = false
        config.electionTicks = 3
        config.heartbeatTicks = 1
        config.asyncStorageWrites = false
        config.maxBytesPerMessage = .max
        config.maxInflightMessages = Int(Int32.max)
        config.maxInflightBytes = 0
        config.maxUncommittedBytes = 0
        config.maxCommittedBytesPerReady = 0
        config.checkQuorum = false
        config.preVote = false
        config.disableProposalForwarding = false
        config.stepDownOnRemoval = false
        var snapshot = Snapshot()
        for argument in directive.arguments.dropFirst() {
            for value in argument.values {
                try set(argument.key, value, &config, &snapshot)
            }
        }
        if snapshot != Snapshot() {
            if snapshot.metadata.index <= 1 {
                throw ScriptError("index must be specified as > 1 due to bootstrap")
            }
            snapshot.metadata.term = 1
        }
        for _ in 0..<(try directive.number(at: 0)) {
            config.id = NodeID(UInt64(nodes.count) + 1)
            nodes.append(
                try ScriptNode(
                    config: config,
                    snapshot: snapshot,
                    seed: seed &* 1_000_003 &+ config.id.rawValue,
                    output: output,
                    trace: trace
                )
            )
        }
    }

    private func set(
        _ key: String,
        _ value: String,
        _ config: inout RaftConfig,
        _ snapshot: inout Snapshot
    ) throws {
        func number() throws -> UInt64 {
            guard let number = UInt64(value) else { throw ScriptError("no number: \(value)") }
            return number
        }
        switch key {
        case "voters": snapshot.metadata.confState.voters.append(NodeID(try number()))
        case "learners": snapshot.metadata.confState.learners.append(NodeID(try number()))
        case "inflight": config.maxInflightMessages = Int(try number())
        case "index":
            snapshot.metadata.index = LogIndex(try number())
            config.applied = snapshot.metadata.index
        case "content": snapshot.data = Payload(Array(value.utf8))
        case "async-storage-writes": config.asyncStorageWrites = value == "true"
        case "prevote": config.preVote = value == "true"
        case "checkquorum": config.checkQuorum = value == "true"
        case "max-committed-size-per-ready":
            config.maxCommittedBytesPerReady = Int(try number())
        case "disable-conf-change-validation":
            config.disableConfChangeValidation = value == "true"
        case "read-only": config.readOnlyOption = value == "safe" ? .safe : .leaseBased
        case "step-down-on-removal": config.stepDownOnRemoval = value == "true"
        default: try setOwn(key, value, &config)
        }
    }
}

// MARK: Messages

extension InteractionInterpreter {
    func deliver(_ directive: Script.Directive) throws {
        var type: MessageType?
        var receivers: [(id: NodeID, drop: Bool)] = []
        for argument in directive.arguments {
            if argument.values.isEmpty, let id = UInt64(argument.key) {
                receivers.append((NodeID(id), false))
            }
            for value in argument.values {
                switch argument.key {
                case "drop": receivers.append((NodeID(UInt64(value) ?? 0), true))
                case "type":
                    type = MessageType.allCases.first { $0.description == value }
                    if type == nil { throw ScriptError("unknown message type \(value)") }
                default: throw ScriptError("unknown argument \(argument.key)")
                }
            }
        }
        var count = 0
        for receiver in receivers {
            count += try deliver(to: receiver.id, type, drop: receiver.drop)
        }
        if count == 0 { output.write("no messages\n") }
    }

    /// Delivers or drops what is on its way to a node, and returns how much that was.
    @discardableResult
    func deliver(to id: NodeID, _ type: MessageType?, drop: Bool) throws -> Int {
        func isChosen(_ message: Message) -> Bool {
            let isLocal =
                message.from == message.to || message.from.isLocalThread
                || message.to.isLocalThread
            return message.to == id && !(drop && isLocal)
                && (type == nil || message.type == type)
        }
        let chosen = messages.filter(isChosen)
        messages.removeAll(where: isChosen)
        for message in chosen {
            output.write("\(drop ? "dropped: " : "")\(message)\n")
            if drop { continue }
            do {
                try node(message.to.rawValue).node.step(message)
            } catch {
                output.write("\(error)\n")
            }
        }
        return chosen.count
    }

    func sendSnapshot(_ directive: Script.Directive) throws {
        let both = try selected(directive)
        let message = Message(
            type: .snapshot,
            to: both[1].id,
            from: both[0].id,
            term: both[0].node.term,
            snapshot: try both[0].storage.snapshot()
        )
        messages.append(message)
        output.write("\(message)")
    }

    func transfer(_ directive: Script.Directive) throws {
        guard let from = directive.value(of: "from").flatMap({ UInt64($0) }),
            let to = directive.value(of: "to").flatMap({ UInt64($0) })
        else { throw ScriptError("from and to are needed") }
        try node(from).node.transferLeadership(to: NodeID(to))
    }

    func proposeConfChange(_ directive: Script.Directive) throws {
        var change = ConfChange()
        switch directive.value(of: "transition") {
        case nil, "auto": change.transition = .auto
        case "implicit": change.transition = .jointImplicit
        case "explicit": change.transition = .jointExplicit
        case let other: throw ScriptError("unknown transition \(other ?? "")")
        }
        change.changes = try confChanges(directive.input)
        let isV1 = directive.value(of: "v1") == "true"
        try node(directive.number(at: 0)).node.proposeConfChange(
            change,
            as: isV1 ? .confChange : .confChangeV2
        )
    }
}

// MARK: Stabilizing

extension InteractionInterpreter {
    func stabilize(_ directive: Script.Directive) throws {
        let level = output.level
        defer { output.level = level }
        if let name = directive.value(of: "log-level") { try output.setLevel(name) }
        let chosen = try selected(directive)
        try stabilize(chosen.isEmpty ? nodes : chosen)
    }

    /// Goes round until nothing is left: ready, messages, writes, applying.
    private func stabilize(_ chosen: [ScriptNode]) throws {
        var isDone = false
        while !isDone {
            isDone = true
            for node in chosen where node.node.hasReady {
                isDone = false
                output.write("> \(node.id) handling Ready\n")
                try output.indented { try processReady(node) }
            }
            for node in chosen where messages.contains(where: { $0.to == node.id }) {
                isDone = false
                output.write("> \(node.id) receiving messages\n")
                try output.indented { _ = try deliver(to: node.id, nil, drop: false) }
            }
            for node in chosen where !node.appendWork.isEmpty {
                isDone = false
                output.write("> \(node.id) processing append thread\n")
                while !node.appendWork.isEmpty {
                    try output.indented { try processAppend(node) }
                }
            }
            for node in chosen where !node.applyWork.isEmpty {
                isDone = false
                output.write("> \(node.id) processing apply thread\n")
                while !node.applyWork.isEmpty {
                    try output.indented { try processApply(node) }
                }
            }
        }
    }
}
