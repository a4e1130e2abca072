public import KafkaProtocol
import NIOCore

extension GroupService {
    /// Answers JoinGroup.
    public func joinGroup(
        _ request: JoinGroupRequest,
        _ client: GroupClient,
        answer: @escaping (JoinGroupResponse) -> Void
    ) {
        let version = client.apiVersion
        func respond(_ joined: JoinAnswer) {
            var response = JoinGroupResponse()
            response.errorCode = joined.error.code
            response.generationId = joined.generation
            response.protocolType = joined.protocolType
            // Only since version 7 may the name be missing.
            response.protocolName = joined.protocolName ?? (version < 7 ? "" : nil)
            response.leader = joined.leader
            response.memberId = joined.memberID
            response.members = joined.members.map { member in
                var one = JoinGroupResponse.JoinGroupResponseMember()
                one.memberId = member.memberID
                one.groupInstanceId = member.instanceID
                one.metadata = ByteBuffer(bytes: member.metadata)
                return one
            }
            answer(response)
        }
        switch table(of: request.groupId) {
        case .success(let table):
            table.join(request.groupId, joinRequest(request, client), completion: respond)
        case .failure(let error):
            respond(JoinAnswer(error: error, memberID: request.memberId))
        }
    }

    private func joinRequest(_ request: JoinGroupRequest, _ client: GroupClient) -> JoinRequest {
        let session = TimeAmount.milliseconds(Int64(request.sessionTimeoutMs))
        // Version 0 has one timeout for both.
        let rebalance = TimeAmount.milliseconds(Int64(request.rebalanceTimeoutMs))
        return JoinRequest(
            memberID: request.memberId,
            instanceID: request.groupInstanceId,
            clientID: client.clientID,
            clientHost: client.clientHost,
            sessionTimeout: session,
            rebalanceTimeout: request.rebalanceTimeoutMs >= 0 ? rebalance : session,
            protocolType: request.protocolType,
            protocols: request.protocols.map { one in
                GroupProtocol(name: one.name, metadata: Array(one.metadata.readableBytesView))
            },
            freshMemberID: freshMemberID(request.groupInstanceId ?? client.clientID),
            mustReturnWithID: client.apiVersion >= 4,
            understandsSkip: client.apiVersion >= 9
        )
    }

    /// Answers SyncGroup.
    public func syncGroup(
        _ request: SyncGroupRequest,
        _ client: GroupClient,
        answer: @escaping (SyncGroupResponse) -> Void
    ) {
        func respond(_ synced: SyncAnswer) {
            var response = SyncGroupResponse()
            response.errorCode = synced.error.code
            response.protocolType = synced.protocolType
            response.protocolName = synced.protocolName
            response.assignment = ByteBuffer(bytes: synced.assignment)
            answer(response)
        }
        switch table(of: request.groupId) {
        case .success(let table):
            let sync = SyncRequest(
                memberID: request.memberId,
                instanceID: request.groupInstanceId,
                generation: request.generationId,
                protocolType: request.protocolType,
                protocolName: request.protocolName,
                assignments: request.assignments.map { one in
                    (one.memberId, Array(one.assignment.readableBytesView))
                }
            )
            table.sync(request.groupId, sync, completion: respond)
        case .failure(let error):
            respond(SyncAnswer(error: error))
        }
    }

    /// Answers Heartbeat.
    public func heartbeat(
        _ request: HeartbeatRequest,
        _ client: GroupClient,
        answer: @escaping (HeartbeatResponse) -> Void
    ) {
        var response = HeartbeatResponse()
        switch table(of: request.groupId) {
        case .success(let table):
            let error = table.heartbeat(
                request.groupId,
                memberID: request.memberId,
                instanceID: request.groupInstanceId,
                generation: request.generationId
            )
            response.errorCode = error.code
        case .failure(let error):
            response.errorCode = error.rawValue
        }
        answer(response)
    }

    /// Answers LeaveGroup: until version 2 for one member, since version 3 for many.
    public func leaveGroup(
        _ request: LeaveGroupRequest,
        _ client: GroupClient,
        answer: @escaping (LeaveGroupResponse) -> Void
    ) {
        let isBatch = client.apiVersion >= 3
        var leaving = [LeavingMember(memberID: request.memberId, instanceID: nil)]
        if isBatch {
            leaving = request.members.map { member in
                LeavingMember(memberID: member.memberId, instanceID: member.groupInstanceId)
            }
        }
        var response = LeaveGroupResponse()
        switch table(of: request.groupId).flatMap({ $0.leave(request.groupId, leaving) }) {
        case .success(let results):
            if isBatch {
                response.members = zip(leaving, results).map { member, error in
                    var one = LeaveGroupResponse.MemberResponse()
                    one.memberId = member.memberID
                    one.groupInstanceId = member.instanceID
                    one.errorCode = error.code
                    return one
                }
            } else {
                response.errorCode = (results.first ?? nil).code
            }
        case .failure(let error):
            response.errorCode = error.rawValue
        }
        answer(response)
    }
}
