public import InterBroker
public import InterBrokerProtocol
public import Metadata
public import Model
public import Raft
import Synchronization

/// Who leads the controllers, as this one sees it.
public struct ControllerLeadership: Equatable, Sendable {
    /// The leader, or nil while none is known.
    public var leader: ControllerID?
    /// The term: the epoch in which the leader gives orders.
    public var epoch: ControllerEpoch
    /// Whether it is this controller, and an entry of its own epoch is committed.
    public var isConfirmed: Bool

    /// Nobody is known.
    public static let unknown = ControllerLeadership(leader: nil, epoch: 0, isConfirmed: false)

    /// Describes a view.
    public init(leader: ControllerID?, epoch: ControllerEpoch, isConfirmed: Bool) {
        self.leader = leader
        self.epoch = epoch
        self.isConfirmed = isConfirmed
    }
}

/// This controller's copy of the metadata, for readers on any thread.
///
/// Written by `MetadataStateMachine` alone. Recent commands are kept, so that brokers that lag a
/// little are sent what they lack instead of everything.
/// - Invariant: `recent` holds every command after `recentFrom`, in order, within its limits.
public final class MetadataStore: Sendable {
    /// How many commands are kept.
    public static let recentCommandsMax = 4096
    /// How many bytes of commands are kept.
    public static let recentBytesMax = 8 << 20
    /// How many bytes of JSON a page of a snapshot holds at most.
    public static let pageBytesMax = 4 << 20

    private struct State {
        var metadata = ClusterMetadata()
        var recent: [VersionedCommand] = []
        var recentBytes = 0
        var recentFrom: MetadataVersion = 0
        var leadership = ControllerLeadership.unknown
        var clusterID: ClusterID?
        var node: NodeID?
        var members = ConfState()
        var configured: [InterBrokerTarget] = []
        var pages: (version: MetadataVersion, texts: [String])?

        /// Drops the oldest quarter once a limit is passed.
        mutating func trim() {
            while recent.count > recentCommandsMax || recentBytes > recentBytesMax {
                let dropped = recent.prefix(max(1, recent.count / 4))
                guard let last = dropped.last else { return }
                recentBytes -= dropped.reduce(0) { $0 + $1.command.utf8.count }
                recentFrom = last.version
                recent.removeFirst(dropped.count)
            }
        }
    }

    private let state = Mutex(State())

    /// An empty store.
    public init() {}

    /// The metadata as it is now.
    public var metadata: ClusterMetadata { state.withLock { $0.metadata } }

    /// The version of the metadata as it is now.
    public var version: MetadataVersion { state.withLock { $0.metadata.version } }

    /// Who leads.
    public var leadership: ControllerLeadership { state.withLock { $0.leadership } }

    /// The cluster that this controller belongs to; nil before it has been bootstrapped.
    ///
    /// Known before the first command is applied: it stands in the identity of the metadata group.
    public var clusterID: ClusterID? { state.withLock { $0.clusterID } }

    /// Sets the cluster, once it stands in this controller's directory.
    public func setClusterID(_ id: ClusterID) { state.withLock { $0.clusterID = id } }

    /// This controller's replica of the metadata group; nil while it has none.
    public var node: NodeID? { state.withLock { $0.node } }

    /// Sets the replica, once it runs.
    public func setNode(_ node: NodeID) { state.withLock { $0.node = node } }

    /// The members of the metadata group, as far as changes of them were applied here.
    public var members: ConfState { state.withLock { $0.members } }

    func setMembers(_ members: ConfState) { state.withLock { $0.members = members } }

    /// Sets where controllers are to be looked for that the metadata do not know, or not yet.
    public func setConfigured(_ controllers: [InterBrokerTarget]) {
        state.withLock { $0.configured = controllers }
    }

    /// Every controller that is known, in order of numbers: those of the metadata, then others.
    public var controllers: [InterBrokerTarget] {
        state.withLock { state in
            var targets = state.metadata.controllerTargets
            targets += state.configured.filter { other in
                !targets.contains { $0.id == other.id }
            }
            return targets.sorted { $0.id < $1.id }
        }
    }

    /// Where a controller is reached, as the metadata say or else the settings.
    public func address(of id: ControllerID) -> String? {
        controllers.first { $0.id == id.rawValue }?.address
    }

    /// Every address at which a controller may be, the likeliest first.
    public func addresses(of id: ControllerID) -> [String] {
        state.withLock { state in
            var addresses: [String] = []
            for target in state.metadata.controllerTargets + state.configured
            where target.id == id.rawValue && !addresses.contains(target.address) {
                addresses.append(target.address)
            }
            return addresses
        }
    }

    /// The replicas of the metadata group, for those who look for theirs.
    var places: [ControllerPlace] {
        state.withLock { state in
            if !state.metadata.controllerReplicas.isEmpty {
                return state.metadata.controllerReplicas.map {
                    ControllerPlace(
                        node: $0.node,
                        directoryID: $0.directoryID,
                        address: $0.address,
                        isLeaving: $0.state == .leaving
                    )
                }
            }
            // Nothing is recorded yet: these are the founders.
            return state.members.voters.compactMap { node in
                state.configured.first { $0.id == node.owner }.map {
                    ControllerPlace(node: node, address: $0.address)
                }
            }
        }
    }

    func setLeadership(_ leadership: ControllerLeadership) {
        state.withLock { $0.leadership = leadership }
    }

    func apply(
        _ command: MetadataCommand,
        _ text: String,
        at version: MetadataVersion
    ) -> [Effect] {
        state.withLock { state in
            state.pages = nil
            state.recent.append(VersionedCommand(version: version, command: text))
            state.recentBytes += text.utf8.count
            state.trim()
            return state.metadata.apply(command, at: version)
        }
    }

    func replace(by metadata: ClusterMetadata) {
        state.withLock { state in
            state.metadata = metadata
            state.recent = []
            state.recentBytes = 0
            state.recentFrom = metadata.version
            state.pages = nil
        }
    }

    /// The commands after a version, or nil if they are no longer at hand or too many.
    public func commands(since version: MetadataVersion) -> [VersionedCommand]? {
        state.withLock { state in
            guard version >= state.recentFrom, version <= state.metadata.version else {
                return nil
            }
            var low = 0
            var high = state.recent.count
            while low < high {
                let middle = (low + high) / 2
                if state.recent[middle].version > version {
                    high = middle
                } else {
                    low = middle + 1
                }
            }
            let commands = state.recent[low...]
            let bytes = commands.reduce(0) { $0 + $1.command.utf8.count }
            return bytes <= Self.pageBytesMax ? Array(commands) : nil
        }
    }

    /// The JSON text of the metadata in pieces, with its version.
    public func pages() -> (version: MetadataVersion, texts: [String]) {
        state.withLock { state in
            if let pages = state.pages { return pages }
            let texts = Self.cut(state.metadata.json)
            state.pages = (state.metadata.version, texts)
            return (state.metadata.version, texts)
        }
    }

    /// Cuts UTF-8 between characters.
    static func cut(_ bytes: [UInt8], pageBytesMax: Int = pageBytesMax) -> [String] {
        var texts: [String] = []
        var start = 0
        while start < bytes.count {
            var end = min(start + pageBytesMax, bytes.count)
            while end < bytes.count, end > start + 1, bytes[end] & 0xc0 == 0x80 { end -= 1 }
            texts.append(String(decoding: bytes[start..<end], as: UTF8.self))
            start = end
        }
        return texts
    }
}

extension ClusterMetadata {
    /// Where the controllers are, in order of numbers; of each the newest replica.
    fileprivate var controllerTargets: [InterBrokerTarget] {
        var targets: [InterBrokerTarget] = []
        for replica in controllerReplicas {
            if targets.last?.id == replica.id.rawValue { targets.removeLast() }
            targets.append(InterBrokerTarget(id: replica.id.rawValue, address: replica.address))
        }
        return targets
    }
}
