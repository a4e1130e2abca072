public import Metadata
public import Model
import NIOCore
public import RaftHost
import RaftLog

/// Why a command was not committed, or not surely.
public enum ProposalFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// This controller does not lead, or lost leadership meanwhile: the outcome is unknown.
    case notLeader
    /// Nothing was appended, because a limit is reached.
    case refused(String)

    /// A sentence for the log.
    public var description: String {
        switch self {
        case .notLeader: "not controller leader"
        case .refused(let reason): reason
        }
    }
}

/// The controllers' log, as those see it who write to it.
public protocol MetadataProposer: Sendable {
    /// Commits a command and returns what it changed.
    func propose(_ command: MetadataCommand) async throws(ProposalFailure) -> [Effect]

    /// The controllers whose logs are known to hold entries; known to a leader only.
    func controllersWithEntries() async -> [ControllerID]
}

/// Commits commands in the metadata group of this daemon.
public struct RaftMetadataProposer: MetadataProposer {
    private let eventLoop: any EventLoop
    private let bound: NIOLoopBound<(manager: RaftManager, stateMachine: MetadataStateMachine)>
    private let clock: any ControllerClock

    /// Makes a proposer; called on the event loop.
    public init(
        manager: RaftManager,
        stateMachine: MetadataStateMachine,
        clock: any ControllerClock
    ) {
        self.eventLoop = manager.eventLoop
        self.bound = NIOLoopBound((manager, stateMachine), eventLoop: manager.eventLoop)
        self.clock = clock
    }

    /// Commits a command and returns what it changed.
    public func propose(_ command: MetadataCommand) async throws(ProposalFailure) -> [Effect] {
        let bytes = MetadataRecord.write(command, unixMilliseconds: clock.unixMilliseconds)
        let result = await withCheckedContinuation {
            (continuation: CheckedContinuation<Result<[Effect], ProposalFailure>, Never>) in
            eventLoop.execute {
                propose(bytes) { continuation.resume(returning: $0) }
            }
        }
        return try result.get()
    }

    private func propose(
        _ bytes: [UInt8],
        completion: @escaping (Result<[Effect], ProposalFailure>) -> Void
    ) {
        let (manager, stateMachine) = bound.value
        guard let replica = manager.replica(.metadata) else {
            return completion(.failure(.notLeader))
        }
        guard let batch = BatchPayload(batch: ByteBuffer(bytes: bytes)) else {
            preconditionFailure("a command's record batch is not one")
        }
        replica.propose(batch, .committed) { outcome in
            switch outcome {
            case .done(_, let index, _):
                // An answer without effects: so many entries came since that they are gone.
                completion(.success(stateMachine.effects(at: index) ?? []))
            case .notLeader: completion(.failure(.notLeader))
            case .refused(let reason): completion(.failure(.refused(reason)))
            }
        }
    }

    /// The controllers whose logs are known to hold entries.
    public func controllersWithEntries() async -> [ControllerID] {
        await withCheckedContinuation { continuation in
            eventLoop.execute {
                guard let replica = bound.value.manager.replica(.metadata),
                    replica.leadership.isLeader
                else { return continuation.resume(returning: []) }
                let holders = replica.members.filter { node in
                    (replica.progress(of: node)?.match ?? 0) > 0
                }
                continuation.resume(returning: holders.map { ControllerID($0.owner) })
            }
        }
    }
}
