import InterBroker
import InterBrokerProtocol
import Metadata
import Model

// Moves of replicas: the metadata say where to, the groups do it, and their leaders report.
extension ClusterController {
    /// Commits where partitions' replicas are to be; the groups get there in their own time.
    func reassignPartitions(
        _ request: ReassignPartitionsRequest
    ) async throws(Refusal) -> ReassignPartitionsResponse {
        _ = try requireReign()
        var results: [PartitionResult] = []
        for move in request.partitions {
            var result = PartitionResult(
                topicName: move.topicName,
                partitionID: move.partitionID,
                errorCode: 0
            )
            do throws(TopicFailure) {
                try await reassign(move)
            } catch {
                result.errorCode = error.code.rawValue
                result.message = error.message
            }
            results.append(result)
        }
        let version = store.version
        await waitForBrokers(until: clock.now + configuration.announceWaitMax)
        return ReassignPartitionsResponse(partitions: results, metadataVersion: version)
    }

    private func reassign(_ move: PartitionMove) async throws(TopicFailure) {
        guard let topic = TopicName(move.topicName).flatMap({ store.metadata.topic($0) }),
            let info = topic.partition(move.partitionID)
        else {
            throw TopicFailure(
                .unknownTopicOrPartition,
                "This server does not host this topic-partition."
            )
        }
        if let brokers = move.replicas {
            // One list for one partition: the same checks as for a topic's first partition.
            _ = try TopicValidation.validate(["0": brokers], from: 0, in: store.metadata)
        }
        try await commitForTopic(
            .reassignPartition(PartitionReassignment(group: info.group, brokers: move.replicas))
        )
    }

    /// Takes the members that a group has committed; what is no news is not written.
    func take(_ report: MembersReport) {
        let members = GroupMembers(
            group: report.group,
            version: report.targetVersion,
            voters: report.voters,
            learners: report.learners
        )
        guard let info = store.metadata.partition(report.group)?.info,
            info.learns(from: members), reign?.settling.insert(report.group).inserted == true
        else { return }
        own { controller in
            await controller.commit(.membersChanged(members))
            await controller.settled(report.group)
        }
    }

    private func settled(_ group: RaftGroupID) { reign?.settling.remove(group) }

    /// Lets other replicas take the places of lost ones.
    func replace(_ lost: [ReplicaReference]) {
        // Thousands may be lost at once; the rest is planned again after these.
        let some = Array(lost.prefix(Self.replacementsMax))
        guard let epoch = reign?.epoch, !some.isEmpty else { return }
        for replica in some { reign?.book.begin(replica) }
        own { controller in
            let isDone = await controller.commit(.replaceReplicas(some)) != nil
            await controller.finish(isDone ? some : [], failed: isDone ? [] : some, epoch)
        }
    }

    /// How many replicas one command replaces; 1,000.
    private static let replacementsMax = 1_000
}
