public import Model

/// What every request says of itself, beside what it asks.
///
/// - Shape: fields of the request's own JSON object, next to the body's. `cluster_id` is the
///   empty string while the sender belongs to no cluster; `target_id` is -1 when the sender does
///   not know who answers at an address.
public struct RequestHeader: Equatable, Sendable {
    /// The sender's cluster; nil while it belongs to none.
    public var clusterID: ClusterID?
    /// Which kind of daemon sends.
    public var senderRole: SenderRole
    /// The sender's broker or controller number.
    public var senderID: Int32
    /// The number of the daemon that is meant, or `anyTarget`.
    public var targetID: Int32
    /// Names the request: one that is sent again keeps its id, and answers echo it.
    public var requestID: RequestID
    /// The epoch of the controller leader that sends, where the type needs it.
    public var controllerEpoch: ControllerEpoch?

    /// The target of a sender that knows only an address.
    public static let anyTarget: Int32 = -1

    /// Describes a sender and its request.
    public init(
        clusterID: ClusterID?,
        senderRole: SenderRole,
        senderID: Int32,
        targetID: Int32,
        requestID: RequestID,
        controllerEpoch: ControllerEpoch? = nil
    ) {
        self.clusterID = clusterID
        self.senderRole = senderRole
        self.senderID = senderID
        self.targetID = targetID
        self.requestID = requestID
        self.controllerEpoch = controllerEpoch
    }
}

extension RequestHeader: Codable {
    private enum CodingKeys: String, CodingKey {
        case clusterID = "cluster_id"
        case senderRole = "sender_role"
        case senderID = "sender_id"
        case targetID = "target_id"
        case requestID = "request_id"
        case controllerEpoch = "controller_epoch"
    }

    /// Reads the common fields of a request.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let cluster = try fields.decode(String.self, forKey: .clusterID)
        if cluster.isEmpty {
            clusterID = nil
        } else if let id = ClusterID(text: cluster) {
            clusterID = id
        } else {
            throw DecodingError.dataCorruptedError(
                forKey: .clusterID,
                in: fields,
                debugDescription: "not a UUID"
            )
        }
        senderRole = try fields.decode(SenderRole.self, forKey: .senderRole)
        senderID = try fields.decode(Int32.self, forKey: .senderID)
        targetID = try fields.decode(Int32.self, forKey: .targetID)
        requestID = try fields.decode(RequestID.self, forKey: .requestID)
        controllerEpoch = try fields.decodeIfPresent(
            ControllerEpoch.self,
            forKey: .controllerEpoch
        )
    }

    /// Writes the common fields of a request.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(clusterID?.description ?? "", forKey: .clusterID)
        try fields.encode(senderRole, forKey: .senderRole)
        try fields.encode(senderID, forKey: .senderID)
        try fields.encode(targetID, forKey: .targetID)
        try fields.encode(requestID, forKey: .requestID)
        try fields.encodeIfPresent(controllerEpoch, forKey: .controllerEpoch)
    }
}
