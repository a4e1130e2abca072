import Model

/// How a change of members goes from the old configuration to the new one.
public enum ConfChangeTransition: UInt8, Sendable {
    /// At once if at most one voter changes, else jointly and left without being asked to.
    case auto = 0
    /// Jointly, and left without being asked to.
    case jointImplicit = 1
    /// Jointly, and left when an empty change is proposed.
    case jointExplicit = 2
}

/// What a change does to one node.
public enum ConfChangeType: UInt8, Sendable {
    /// Makes it a voter.
    case addNode = 0
    /// Removes it.
    case removeNode = 1
    /// Changes no membership; the context means something to the application.
    case updateNode = 2
    /// Makes it a learner, demoting a voter.
    case addLearnerNode = 3
}

/// One step of a change of members.
public struct ConfChangeSingle: Equatable, Sendable {
    /// What is done.
    public var type: ConfChangeType
    /// To whom; 0 makes the step void.
    public var node: NodeID

    /// Joins the two.
    public init(_ type: ConfChangeType, _ node: NodeID) {
        self.type = type
        self.node = node
    }
}

/// A change of a group's members; the empty one leaves a joint configuration.
///
/// - Source: Raft thesis 4; it takes effect when it is applied.
public struct ConfChange: Equatable, Sendable {
    /// How the change is made.
    public var transition: ConfChangeTransition
    /// The steps.
    public var changes: [ConfChangeSingle]
    /// Bytes for the application.
    public var context: [UInt8]

    /// Joins the three.
    public init(
        transition: ConfChangeTransition = .auto,
        changes: [ConfChangeSingle] = [],
        context: [UInt8] = []
    ) {
        self.transition = transition
        self.changes = changes
        self.context = context
    }

    /// Whether it asks to leave a joint configuration.
    public var leavesJoint: Bool { transition == .auto && changes.isEmpty }

    /// Whether it needs a joint configuration, and if so, whether that is left automatically.
    var joint: (isJoint: Bool, autoLeave: Bool) {
        guard transition != .auto || changes.count > 1 else { return (false, false) }
        return (true, transition != .jointExplicit)
    }
}

// MARK: Bytes

/// Why bytes are no change of members.
public struct ConfChangeFormatError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public let description: String
}

extension ConfChange {
    private static let formatVersion: UInt8 = 1
    private static let headBytes = 4
    private static let changeBytes = 9

    /// The change as an entry's payload.
    ///
    /// - Shape: nothing at all for the empty change; else version 1, transition, count (16 bits),
    ///   for each step its type and its node (64 bits), then the context. Little endian.
    public var bytes: [UInt8] {
        if self == ConfChange() { return [] }
        precondition(changes.count <= UInt16.max, "too many steps: \(changes.count)")
        var bytes = [Self.formatVersion, transition.rawValue]
        let count = UInt16(changes.count)
        bytes += [UInt8(truncatingIfNeeded: count), UInt8(truncatingIfNeeded: count >> 8)]
        for change in changes {
            bytes.append(change.type.rawValue)
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: change.node.rawValue >> shift))
            }
        }
        return bytes + context
    }

    /// Reads an entry's payload.
    public init(bytes: [UInt8]) throws(ConfChangeFormatError) {
        self.init()
        if bytes.isEmpty { return }
        guard bytes.count >= Self.headBytes, bytes[0] == Self.formatVersion,
            let transition = ConfChangeTransition(rawValue: bytes[1])
        else { throw ConfChangeFormatError(description: "unknown form of a conf change") }
        self.transition = transition
        let count = Int(bytes[2]) | Int(bytes[3]) << 8
        let end = Self.headBytes + count * Self.changeBytes
        guard bytes.count >= end else {
            throw ConfChangeFormatError(description: "conf change with \(count) steps is cut off")
        }
        changes.reserveCapacity(count)
        for start in stride(from: Self.headBytes, to: end, by: Self.changeBytes) {
            guard let type = ConfChangeType(rawValue: bytes[start]) else {
                throw ConfChangeFormatError(description: "unknown conf change step \(bytes[start])")
            }
            var node: UInt64 = 0
            for byte in bytes[start + 1..<start + Self.changeBytes].reversed() {
                node = node << 8 | UInt64(byte)
            }
            changes.append(ConfChangeSingle(type, NodeID(node)))
        }
        context = Array(bytes[end...])
    }
}

// MARK: Text

extension ConfChange: CustomStringConvertible {
    /// The change in etcd's words.
    public var description: String {
        var text = "transition:\(transition.etcdName)"
        for change in changes {
            text += " changes:{type:\(change.type.etcdName) node_id:\(change.node)}"
        }
        if !context.isEmpty { text += " context:\(quoted(context))" }
        return text
    }

    /// The steps in short: `v1 l2 r3 u4`.
    public var shortDescription: String {
        changes.map { "\($0.type.letter)\($0.node)" }.joined(separator: " ")
    }
}

extension ConfChangeTransition {
    var etcdName: String {
        switch self {
        case .auto: "ConfChangeTransitionAuto"
        case .jointImplicit: "ConfChangeTransitionJointImplicit"
        case .jointExplicit: "ConfChangeTransitionJointExplicit"
        }
    }
}

extension ConfChangeType {
    var etcdName: String {
        switch self {
        case .addNode: "ConfChangeAddNode"
        case .removeNode: "ConfChangeRemoveNode"
        case .updateNode: "ConfChangeUpdateNode"
        case .addLearnerNode: "ConfChangeAddLearnerNode"
        }
    }

    var letter: String {
        switch self {
        case .addNode: "v"
        case .removeNode: "r"
        case .updateNode: "u"
        case .addLearnerNode: "l"
        }
    }
}
