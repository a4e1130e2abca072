import InterBroker
import InterBrokerProtocol
import Model
import NIOCore
import RaftHost
import RaftLog

/// Stops this broker's replica of a partition, on the order of the controller leader.
///
/// Only `purge` deletes data, and the controller sends it only for a topic that was deleted or a
/// replica that its group has let go.
struct StopPartitionRaftGroupHandler: InterBrokerRequestHandler {
    let broker: BrokerReference

    func handle(
        _ request: StopPartitionRaftGroupRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> StopPartitionRaftGroupResponse {
        let result: Result<String, Refusal> = await broker.wait { broker, completion in
            LogLines.received(request, broker.logger)
            broker.stop(request) { result in
                switch result {
                case .success: LogLines.stopped(request, broker.logger)
                case .failure(let refusal):
                    LogLines.stopFailed(request, refusal.description, broker.logger)
                }
                completion(result)
            }
        }
        return StopPartitionRaftGroupResponse(message: try result.get())
    }
}

extension Broker {
    /// Stops a replica and perhaps deletes it; one that does not run is "not running".
    func stop(
        _ request: StopPartitionRaftGroupRequest,
        completion: @escaping (Result<String, Refusal>) -> Void
    ) {
        eventLoop.preconditionInEventLoop()
        if let refusal = request.validate() { return completion(.failure(refusal)) }
        if let directory = request.directoryID, directory != manager.directory.directoryID {
            return completion(.failure(.wrongDirectory))
        }
        guard !starting.contains(request.raftGroupID) else {
            return completion(.failure(Refusal("Raft group is starting")))
        }
        // The replica that is meant may have been succeeded here by now.
        let here = manager.directory.identity(of: request.raftGroupID)?.node
        if let node = request.nodeID, let here, here != node {
            return completion(.success("not running"))
        }
        // Heartbeats name no topics: a controller that never knew a group cannot name its topic,
        // and may stop it all the same, but never delete it.
        let isUnnamed = request.topicID.id == .zero && !request.purge
        if let running = table.partition(of: request.raftGroupID), !isUnnamed,
            running.identity.topicID != request.topicID
        {
            // An order for another topic's group can only be a mistake: nothing is stopped.
            return completion(.failure(Refusal("wrong topic ID")))
        }
        recentStarts[request.raftGroupID] = nil
        unhost(request.raftGroupID)
        manager.stopRaftGroup(request.raftGroupID, purge: request.purge) { result in
            switch result {
            case .success: completion(.success(""))
            case .failure(.notRunning): completion(.success("not running"))
            case .failure(let error): completion(.failure(Refusal("\(error)")))
            }
        }
    }
}
