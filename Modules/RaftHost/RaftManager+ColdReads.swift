import Model
import NIOCore
import Raft
import RaftLog
import Telemetry

/// Entries that are no longer in memory: read at once for the state machine, and within a budget
/// for replicas that lag.
extension RaftManager {
    /// Reads what a group's core has asked for in vain.
    func fetchColdEntries(of replica: Replica) {
        while let (from, to, bytes) = replica.log.takeWantedRange() {
            let read = ColdRead(replica: replica, from: from, to: to, bytes: bytes)
            if replica.isForOthers(from) {
                catchUps.add(read)
                if catchUps.hasBalance || replica.needsThoseBehind { readForCatchUps() }
            } else {
                self.read(read) { _ in }
            }
        }
    }

    /// Lets a tick's bytes come in and reads what may be read now.
    func tickCatchUps() {
        catchUps.refill()
        if catchUps.count > 0 { readForCatchUps() }
        metrics.catchUpsWaiting.set(catchUps.count)
    }

    private func readForCatchUps() {
        while true {
            let hasBalance = catchUps.hasBalance
            let (read, dropped) = catchUps.next { judge($0, hasBalance) }
            for read in dropped { read.replica.log.finishRead(from: read.from, []) }
            guard let read else { return }
            // What it really takes is known when it returns.
            catchUps.spend(read.bytes)
            self.read(read) { [self] bytes in
                catchUps.spend(bytes - read.bytes)
                metrics.catchUpBytes.add(bytes)
                if catchUps.count > 0, catchUps.hasBalance { readForCatchUps() }
            }
        }
    }

    private func judge(_ read: ColdRead, _ hasBalance: Bool) -> CatchUpQueue.Verdict {
        let replica = read.replica
        let nodes = replica.isStopped || replica.isSuspect ? [] : replica.waiting(for: read.from)
        guard replica.isForOthers(read.from), !nodes.isEmpty else { return .drop }
        guard nodes.contains(where: { sender?.takesCatchUp(to: $0.owner) ?? false }) else {
            return .wait
        }
        return hasBalance || replica.needsThoseBehind ? .go : .wait
    }

    /// Reads entries; `done` learns how many bytes they have, on the event loop.
    private func read(_ read: ColdRead, done: @escaping (_ bytes: Int) -> Void) {
        let bound = NIOLoopBound((self, read, done), eventLoop: eventLoop)
        let loop = eventLoop
        directory.readEntries(
            read.replica.id,
            from: read.from,
            to: read.to,
            maxBytes: read.bytes
        ) { result in
            loop.execute {
                let (manager, read, done) = bound.value
                manager.take(result, of: read)
                let entries = (try? result.get()) ?? []
                done(entries.reduce(0) { $0 + $1.payload.count })
            }
        }
    }

    private func take(_ result: Result<[Entry], RaftLogError>, of read: ColdRead) {
        let replica = read.replica
        guard !replica.isStopped, !replica.isSuspect else { return }
        switch result {
        case .success(let entries): replica.log.finishRead(from: read.from, entries)
        case .failure(let error):
            replica.log.finishRead(from: read.from, [])
            replica.readFailed(error)
            // Later it is asked for again: at once would be without end.
            replica.retriesReads = true
            return
        }
        replica.node.entriesFetched()
        markDirty(replica)
    }
}
