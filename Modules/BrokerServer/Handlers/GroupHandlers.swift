import KafkaProtocol

/// The APIs of consumer groups: decoded here, answered by the `GroupCoordinator`.
enum GroupHandlers {
    static func joinGroup(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try JoinGroupRequest(reading: &reader, version: request.version)
        guard let groups = coordinator(broker, request) else { return }
        groups.joinGroup(body, client(request)) { response in
            request.answer { response.write(to: &$0, version: request.version) }
        }
    }

    static func syncGroup(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try SyncGroupRequest(reading: &reader, version: request.version)
        guard let groups = coordinator(broker, request) else { return }
        groups.syncGroup(body, client(request)) { response in
            request.answer { response.write(to: &$0, version: request.version) }
        }
    }

    static func heartbeat(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try HeartbeatRequest(reading: &reader, version: request.version)
        guard let groups = coordinator(broker, request) else { return }
        groups.heartbeat(body, client(request)) { response in
            request.answer { response.write(to: &$0, version: request.version) }
        }
    }

    static func leaveGroup(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try LeaveGroupRequest(reading: &reader, version: request.version)
        guard let groups = coordinator(broker, request) else { return }
        groups.leaveGroup(body, client(request)) { response in
            request.answer { response.write(to: &$0, version: request.version) }
        }
    }

    static func offsetCommit(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try OffsetCommitRequest(reading: &reader, version: request.version)
        guard let groups = coordinator(broker, request) else { return }
        groups.offsetCommit(body, client(request)) { response in
            request.answer { response.write(to: &$0, version: request.version) }
        }
    }

    static func offsetFetch(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try OffsetFetchRequest(reading: &reader, version: request.version)
        guard let groups = coordinator(broker, request) else { return }
        groups.offsetFetch(body, client(request)) { response in
            request.answer { response.write(to: &$0, version: request.version) }
        }
    }

    static func describeGroups(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try DescribeGroupsRequest(reading: &reader, version: request.version)
        guard let groups = coordinator(broker, request) else { return }
        groups.describeGroups(body, client(request)) { response in
            request.answer { response.write(to: &$0, version: request.version) }
        }
    }

    static func listGroups(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try ListGroupsRequest(reading: &reader, version: request.version)
        guard let groups = coordinator(broker, request) else { return }
        groups.listGroups(body, client(request)) { response in
            request.answer { response.write(to: &$0, version: request.version) }
        }
    }

    /// The coordinator; a broker that was given none does not know these APIs.
    private static func coordinator(
        _ broker: Broker,
        _ request: KafkaRequest
    ) -> (any GroupCoordinator)? {
        if broker.groups == nil { request.close(.unknownAPI(request.api.rawValue)) }
        return broker.groups
    }

    private static func client(_ request: KafkaRequest) -> GroupClient {
        GroupClient(
            apiVersion: request.version,
            clientID: request.clientID,
            clientHost: "/\(request.connection.peer)")
    }
}
