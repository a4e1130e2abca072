public import KafkaProtocol
import NIOCore

extension GroupService {
    /// Answers DescribeGroups; a group that does not exist is "Dead", as Kafka says.
    public func describeGroups(
        _ request: DescribeGroupsRequest,
        _ client: GroupClient,
        answer: @escaping (DescribeGroupsResponse) -> Void
    ) {
        var response = DescribeGroupsResponse()
        response.groups = request.groups.map { id in
            var described = DescribeGroupsResponse.DescribedGroup()
            described.groupId = id
            switch table(of: id) {
            case .failure(let error):
                described.errorCode = error.rawValue
            case .success(let table):
                if let error = table.unavailable {
                    described.errorCode = error.rawValue
                } else if let group = table.describe(id) {
                    Self.describe(group, in: &described)
                } else {
                    described.groupState = ConsumerGroup.State.dead.rawValue
                }
            }
            return described
        }
        answer(response)
    }

    private static func describe(
        _ group: ConsumerGroup,
        in described: inout DescribeGroupsResponse.DescribedGroup
    ) {
        let isStable = group.state == .stable
        described.groupState = group.state.rawValue
        described.protocolType = group.protocolType ?? ""
        described.protocolData = isStable ? group.protocolName ?? "" : ""
        described.members = group.members.map { member in
            var one = DescribeGroupsResponse.DescribedGroup.DescribedGroupMember()
            one.memberId = member.id
            one.groupInstanceId = member.instanceID
            one.clientId = member.clientID
            one.clientHost = member.clientHost
            guard isStable else { return one }
            one.memberMetadata = ByteBuffer(bytes: member.metadata(for: group.protocolName))
            one.memberAssignment = ByteBuffer(bytes: member.assignment)
            return one
        }
    }

    /// Answers ListGroups with the groups that this broker coordinates.
    public func listGroups(
        _ request: ListGroupsRequest,
        _ client: GroupClient,
        answer: @escaping (ListGroupsResponse) -> Void
    ) {
        var response = ListGroupsResponse()
        let wanted = Set(request.statesFilter.map { $0.lowercased() })
        for table in allTables {
            switch table.phase {
            case .away: continue
            case .loading: response.errorCode = GroupError.loadInProgress.rawValue
            case .active:
                for group in table.list() {
                    let state = group.state.rawValue
                    guard wanted.isEmpty || wanted.contains(state.lowercased()) else { continue }
                    var one = ListGroupsResponse.ListedGroup()
                    one.groupId = group.id
                    one.protocolType = group.protocolType
                    one.groupState = state
                    response.groups.append(one)
                }
            }
        }
        answer(response)
    }
}
