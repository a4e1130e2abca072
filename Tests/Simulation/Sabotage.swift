import Disk
import Model
import Raft
import RaftHost
import RaftLog

/// A defect that is put in on purpose, to see that the simulator finds it.
public enum Sabotage: String, CaseIterable, Sendable {
    /// A candidate counts its own vote, and asks for others, before it is stored.
    case selfVoteBeforeDurable
    /// A replica acknowledges entries before they are stored.
    case acknowledgeBeforeSync
    /// The vote of a term is not stored.
    case voteNotStored
    /// A leader commits entries of former terms by counting replicas.
    case oldTermByCounting
    /// The answer of the disk does not say in which term it was asked; refusals do not wait for
    /// the disk either, since as long as they do, an entry cannot be cut and come back in time.
    case termMissingInStorageAnswer
    /// A bad frame in the middle of the log is taken for its end.
    case cutAtBadFrame
    /// A replica that lost its disk comes back under its old number.
    case incarnationReused
    /// Followers are told of a commit beyond what they are known to have.
    case commitPastMatch
    /// A joint configuration is counted by its new half alone.
    case jointCountedAsSimple
    /// Reads are served by whoever believes that it leads.
    case readWithoutQuorum
    /// A delayed duplicate of an append cuts what came after it.
    case cutByDuplicate

    /// Makes the runs such that the defect can show.
    func prepare(_ mix: inout FaultMix) {
        mix.replicas = 3
        mix.hosts = max(mix.hosts, 4)
        switch self {
        case .jointCountedAsSimple: mix.changesMembers = true
        case .incarnationReused: add([.diskLoss], &mix)
        case .cutAtBadFrame: add([.corruption], &mix)
        case .selfVoteBeforeDurable: add([.slowDisk, .transfer], &mix)
        case .termMissingInStorageAnswer:
            // An entry must be cut and come back while a disk writes it for the first time.
            (mix.hosts, mix.groups, mix.replicas, mix.changesMembers) = (5, 1, 5, false)
            (mix.diskMean, mix.delayMin, mix.delayMean, mix.loss) = (20_000, 50, 200, 0)
            (mix.intervalMean, mix.proposalMean) = (300_000, 50_000)
            mix.kinds = [.seesaw]
            return
        case .cutByDuplicate: mix.duplication = max(mix.duplication, 0.2)
        default: break
        }
        add([.kill, .powerCut, .partition, .blackout], &mix)
    }

    private func add(_ kinds: [FaultMix.Kind], _ mix: inout FaultMix) {
        mix.kinds += kinds.filter { !mix.kinds.contains($0) }
    }

    func spoil(leaving message: inout Message, of replica: Replica, in simulation: Simulation) {
        switch (self, message.type) {
        case (.voteNotStored, .storageAppend): message.vote = .none
        case (.selfVoteBeforeDurable, .storageAppend):
            hurry(&message, of: replica, simulation) {
                $0.type == .vote || ($0.type == .voteResponse && $0.to == replica.nodeID)
            }
        case (.acknowledgeBeforeSync, .storageAppend):
            hurry(&message, of: replica, simulation) { $0.type == .appendResponse }
        case (.termMissingInStorageAnswer, .storageAppend):
            for place in message.responses.indices
            where message.responses[place].type == .storageAppendResponse {
                message.responses[place].term = 0
            }
            hurry(&message, of: replica, simulation) { $0.type == .appendResponse && $0.reject }
        case (.oldTermByCounting, .heartbeat):
            message.commit = max(message.commit, min(counted(replica), match(message, replica)))
        case (.commitPastMatch, .heartbeat): message.commit = replica.commit
        default: break
        }
    }

    func spoil(arriving message: inout Message, at replica: Replica) {
        switch (self, message.type) {
        case (.jointCountedAsSimple, .appendResponse):
            replica.node.tracker.config.voters.outgoing = MajorityConfig()
        case (.cutByDuplicate, .append):
            let entries = message.entries.filter { $0.index > replica.commit }
            guard let last = entries.last, last.index < replica.node.lastIndex,
                (try? replica.log.term(at: last.index)) == last.term
            else { return }
            replica.node.log.append(EntryList(entries))
        default: break
        }
    }

    /// Delivers answers that should wait for the disk.
    private func hurry(
        _ message: inout Message,
        of replica: Replica,
        _ simulation: Simulation,
        _ isHasty: (Message) -> Bool
    ) {
        let hasty = message.responses.filter(isHasty)
        message.responses.removeAll(where: isHasty)
        simulation.hastyAnswers += hasty.map { (replica, $0) }
    }

    /// The highest entry that a majority has, whatever its term.
    private func counted(_ replica: Replica) -> LogIndex {
        let matches = replica.configuration.voters.map { replica.progress(of: $0)?.match ?? 0 }
        let sorted = matches.sorted(by: >)
        return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
    }

    private func match(_ message: Message, _ replica: Replica) -> LogIndex {
        replica.progress(of: message.to)?.match ?? 0
    }

    /// Cuts the write-ahead log where a bad frame stands, as a careless recovery would.
    static func cutLog(of host: SimulatedHost, _ path: String, at position: Int) {
        let block = 4096
        for other in host.files.paths where other.contains("/wal/") && other >= path {
            guard var bytes = host.files.contents(of: other) else { continue }
            let from = other == path ? max(block, position / block * block) : block
            for place in from..<max(from, bytes.count) { bytes[place] = 0 }
            host.files.replaceContents(of: other, with: bytes)
        }
        host.damage = .none
    }
}
