public import InterBrokerProtocol
public import Model
public import Security

/// Why a peer, a connection or a request was turned away.
public struct PeerRefusal: Error, Equatable, Sendable {
    /// The kinds of refusals: each is counted by its raw value.
    public enum Reason: String, CaseIterable, Sendable {
        /// The allow-list does not hold the peer's IP address.
        case address = "ip_not_allowed"
        /// The listener has as many connections as it may.
        case tooManyConnections = "too_many_connections"
        /// The waiting requests of all connections hold as many bytes as they may.
        case memory = "memory_limit"
        /// A length or a type in a frame cannot be.
        case badFrame = "bad_frame"
        /// The JSON cannot be read, or misses a field.
        case badRequest = "bad_request"
        /// A request came in part only, and no more of it in time.
        case halfRequest = "half_request"
        /// The sender's role or number cannot be.
        case identity = "identity"
        /// The request is meant for another daemon.
        case target = "wrong_target"
        /// The sender belongs to another cluster.
        case cluster = "wrong_cluster"
        /// The type is not in this listener's table, or not for the sender's role.
        case type = "type_not_allowed"
        /// A newer controller leader has been heard of.
        case staleEpoch = "stale_controller_epoch"
        /// The epoch could not be stored, so it was not accepted.
        case epochNotStored = "epoch_not_stored"
    }

    /// The kind.
    public let reason: Reason
    /// A sentence for the log and for the answer's `error`.
    public let text: String

    init(_ reason: Reason, _ text: String) {
        self.reason = reason
        self.text = text
    }

    static let notAllowed = PeerRefusal(.address, "IP address not allowed")
}

/// What a listener asks of its peers, beyond the bytes being well formed.
///
/// The order of the checks is fixed: IP address (at accept, before anything is read), role and
/// number, target, cluster, whether the type is for that role, controller epoch.
public struct PeerChecks: Sendable {
    /// Which addresses may connect at first; ``InterBrokerListener/use(_:)`` changes it.
    public var allowList: IPAllowList
    /// The role of this daemon.
    public var role: SenderRole
    /// The broker or controller number of this daemon.
    public var id: Int32
    /// The cluster of this daemon; nil while it belongs to none.
    public var clusterID: @Sendable () -> ClusterID?
    /// Whether such a peer may be there at all; by default every positive number may.
    public var isKnownPeer: @Sendable (SenderRole, Int32) -> Bool
    /// Keeps the newest controller epoch; nil on a daemon that takes no orders from controllers.
    public var epochs: ControllerEpochGate?

    /// Describes what is asked of peers.
    public init(
        allowList: IPAllowList,
        role: SenderRole,
        id: Int32,
        clusterID: @escaping @Sendable () -> ClusterID?,
        isKnownPeer: @escaping @Sendable (SenderRole, Int32) -> Bool = { _, id in id >= 0 },
        epochs: ControllerEpochGate? = nil
    ) {
        self.allowList = allowList
        self.role = role
        self.id = id
        self.clusterID = clusterID
        self.isKnownPeer = isKnownPeer
        self.epochs = epochs
    }

    /// Throws the first reason to turn a request away, in the order that is fixed.
    func validate(
        _ header: RequestHeader,
        _ type: InterBrokerRequestType
    ) async throws(PeerRefusal) {
        let isDiscovery = type == .controllerDiscover
        // Whoever is to become a peer has to look around first.
        guard isKnownPeer(header.senderRole, header.senderID) || isDiscovery && header.senderID >= 0
        else {
            throw PeerRefusal(
                .identity,
                "unknown peer: \(header.senderRole.rawValue) \(header.senderID)"
            )
        }
        guard header.targetID == id || isDiscovery && header.targetID == RequestHeader.anyTarget
        else {
            throw PeerRefusal(
                .target,
                "wrong target ID \(header.targetID): this is \(role.rawValue) \(id)"
            )
        }
        try validateCluster(header, type)
        guard type.isAllowed(from: header.senderRole, to: role) else {
            throw PeerRefusal(
                .type,
                "request type \(type.name) not allowed for \(header.senderRole.rawValue)"
            )
        }
        try await validateEpoch(header, type)
    }

    private func validateCluster(
        _ header: RequestHeader,
        _ type: InterBrokerRequestType
    ) throws(PeerRefusal) {
        // A daemon without a cluster is about to join one: it learns the id from its peers.
        guard let ours = clusterID() else { return }
        if let theirs = header.clusterID {
            // Who looks for a cluster may learn that here is another one.
            guard theirs == ours || type == .controllerDiscover else {
                throw PeerRefusal(.cluster, "wrong cluster ID \(theirs): this is cluster \(ours)")
            }
        } else if !type.allowsUnknownCluster {
            throw PeerRefusal(.cluster, "wrong cluster ID: none given, this is cluster \(ours)")
        }
    }

    private func validateEpoch(
        _ header: RequestHeader,
        _ type: InterBrokerRequestType
    ) async throws(PeerRefusal) {
        guard type.needsControllerEpoch else { return }
        guard let epoch = header.controllerEpoch else {
            throw PeerRefusal(.badRequest, "missing field: controller_epoch")
        }
        try await epochs?.admit(epoch)
    }
}
