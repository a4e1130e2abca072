import InterBroker
import InterBrokerProtocol
import Metadata
import Model

// Orders to brokers: whatever the plan says that is not under way and not waiting to be retried.
extension ClusterController {
    /// Compares what should be with what is, and gives the orders that follow.
    func reconcile() {
        guard reign?.needsPlan == true, let reign else { return }
        self.reign?.needsPlan = false
        let now = clock.now
        let plan = ReconcilePlan(store.metadata) { reign.tracker.report(of: $0) }
        logMissing(plan.missing)
        record(plan.running.filter { reign.book.mayBegin($0, at: now) })
        replace(plan.lost.filter { reign.book.mayBegin($0, at: now) })
        let starts = plan.starts.filter { reign.book.mayBegin($0.replica, at: now) }
        let purges = plan.purges.filter { reign.book.mayBegin($0.replica, at: now) }
        let unknown = plan.unknown.filter { reign.book.mayBegin($0.replica, at: now) }
        for order in unknown { LogLines.unknownGroupStopped(order.replica, logger) }
        startPartitionRaftGroups(starts)
        stopPartitionRaftGroups(purges + unknown)
    }

    private func logMissing(_ missing: [ReplicaReference]) {
        for replica in missing where reign?.missing.contains(replica) == false {
            LogLines.replicaMissing(replica, logger)
        }
        reign?.missing = Set(missing)
    }

    /// Records replicas that run already: an earlier leader's order whose answer was lost.
    private func record(_ running: [ReplicaReference]) {
        guard let epoch = reign?.epoch, !running.isEmpty else { return }
        for replica in running { reign?.book.begin(replica) }
        own { controller in
            let isDone = await controller.commit(.replicasStarted(running)) != nil
            await controller.finish(isDone ? running : [], failed: isDone ? [] : running, epoch)
        }
    }

    /// Asks the brokers of these replicas to start them: at the same time, each over one
    /// connection.
    func startPartitionRaftGroups(_ orders: [ReplicaOrder<StartPartitionRaftGroupRequest>]) {
        guard let reign, !orders.isEmpty else { return }
        LogLines.startingRaftGroups(Set(orders.map(\.replica.group)).count, logger)
        let communicator = communicator(reign)
        for (target, calls) in calls(orders) {
            own { controller in
                for call in calls {
                    let results = await communicator.send(batch: call.map(\.request), to: target)
                    let outcome = Outcome(call.map(\.replica), results)
                    await controller.started(outcome, on: target, in: reign.epoch)
                }
            }
        }
    }

    /// Asks the brokers of these replicas to stop them, and to delete what has a tombstone.
    func stopPartitionRaftGroups(_ orders: [ReplicaOrder<StopPartitionRaftGroupRequest>]) {
        guard let reign, !orders.isEmpty else { return }
        LogLines.stoppingRaftGroups(Set(orders.map(\.replica.group)).count, logger)
        let communicator = communicator(reign)
        for (target, calls) in calls(orders) {
            own { controller in
                for call in calls {
                    let results = await communicator.send(batch: call.map(\.request), to: target)
                    let outcome = Outcome(call.map(\.replica), results)
                    let purged = Set(call.filter(\.request.purge).map(\.replica))
                    await controller.stopped(outcome, purged, on: target, in: reign.epoch)
                }
            }
        }
    }

    /// The orders of each broker, in pieces that one connection carries; notes that they begin.
    private func calls<Request>(
        _ orders: [ReplicaOrder<Request>]
    ) -> [(InterBrokerTarget, [[ReplicaOrder<Request>]])] {
        var byTarget: [(target: InterBrokerTarget, orders: [ReplicaOrder<Request>])] = []
        for order in orders {
            reign?.book.begin(order.replica)
            if let place = byTarget.firstIndex(where: { $0.target == order.target }) {
                byTarget[place].orders.append(order)
            } else {
                byTarget.append((order.target, [order]))
            }
        }
        let size = configuration.ordersPerCallMax
        return byTarget.map { target, orders in
            let starts = stride(from: 0, to: orders.count, by: size)
            return (target, starts.map { Array(orders[$0..<min($0 + size, orders.count)]) })
        }
    }

    /// What became of the orders of one call.
    struct Outcome: Sendable {
        var done: [ReplicaReference] = []
        var failed: [ReplicaReference] = []
        /// Why the first one failed.
        var reason = ""

        init<Response>(
            _ replicas: [ReplicaReference],
            _ results: [Result<Response, InterBrokerError>]
        ) {
            for (position, replica) in replicas.enumerated() {
                let result = position < results.count ? results[position] : nil
                switch result {
                case .success: done.append(replica)
                case .failure(let error):
                    if failed.isEmpty { reason = error.description }
                    failed.append(replica)
                case nil: failed.append(replica)
                }
            }
        }
    }

    private func started(
        _ outcome: Outcome,
        on target: InterBrokerTarget,
        in epoch: ControllerEpoch
    ) async {
        guard reign?.epoch == epoch else { return }
        if !outcome.failed.isEmpty {
            LogLines.startsFailed(outcome.failed.count, on: target, outcome.reason, logger)
        }
        var failed = outcome.failed
        var done = outcome.done
        if !done.isEmpty, await commit(.replicasStarted(done)) == nil {
            failed += done
            done = []
        }
        finish(done, failed: failed, epoch)
    }

    private func stopped(
        _ outcome: Outcome,
        _ purged: Set<ReplicaReference>,
        on target: InterBrokerTarget,
        in epoch: ControllerEpoch
    ) async {
        guard reign?.epoch == epoch else { return }
        if !outcome.failed.isEmpty {
            LogLines.stopsFailed(outcome.failed.count, on: target, outcome.reason, logger)
        }
        for replica in outcome.done { reign?.tracker.stopped(replica) }
        let confirmed = outcome.done.filter { purged.contains($0) }
        let isRecorded: Bool
        if confirmed.isEmpty {
            isRecorded = true
        } else {
            isRecorded = await commit(.replicasPurged(confirmed)) != nil
        }
        let unrecorded = isRecorded ? [] : confirmed
        finish(
            outcome.done.filter { !unrecorded.contains($0) },
            failed: outcome.failed + unrecorded,
            epoch
        )
    }

    /// Notes what became of orders; what failed is planned again when its time has come.
    func finish(
        _ done: [ReplicaReference],
        failed: [ReplicaReference],
        _ epoch: ControllerEpoch
    ) {
        guard reign?.epoch == epoch else { return }
        for replica in done { reign?.book.succeed(replica) }
        for replica in failed { reign?.book.fail(replica, at: clock.now) }
        // What could not be ordered while this was under way may be due: a deletion, for one.
        reign?.needsPlan = true
        reconcile()
    }
}
