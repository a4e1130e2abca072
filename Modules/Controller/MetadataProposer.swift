public import Metadata
public import Model
import NIOCore
public import Raft
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

    /// The controllers' group as its leader sees it; nil on a controller that does not lead.
    func quorum() async -> QuorumView?

    /// Changes the group's members; returns when that is done, or will not be.
    func changeMembers(_ changes: [ConfChangeSingle]) async

    /// Hands the leadership to another replica, if this one has it.
    func transferLeadership(to node: NodeID) async
}

/// Commits commands in the metadata group of this daemon.
public struct RaftMetadataProposer: MetadataProposer {
    private let eventLoop: any EventLoop
    private let bound: NIOLoopBound<(manager: RaftManager, stateMachine: MetadataStateMachine)>
    private let session: NIOLoopBound<(Int32) -> SessionID?>
    private let clock: any ControllerClock

    /// Makes a proposer; called on the event loop.
    /// - Parameter session: the newest known run of another controller's process; called on the
    ///   event loop.
    public init(
        manager: RaftManager,
        stateMachine: MetadataStateMachine,
        clock: any ControllerClock,
        session: @escaping (Int32) -> SessionID?
    ) {
        self.session = NIOLoopBound(session, eventLoop: manager.eventLoop)
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

    /// The group as its leader sees it.
    public func quorum() async -> QuorumView? {
        await withCheckedContinuation { continuation in
            eventLoop.execute {
                guard let replica = bound.value.manager.replica(.metadata),
                    replica.leadership.isConfirmed
                else { return continuation.resume(returning: nil) }
                let peers = replica.members.map { node in
                    let progress = replica.progress(of: node)
                    return QuorumView.Peer(
                        node: node,
                        match: progress?.match ?? 0,
                        isActive: progress?.isActive ?? false,
                        session: session.value(node.owner)
                    )
                }
                continuation.resume(
                    returning: QuorumView(
                        own: replica.nodeID,
                        members: replica.configuration,
                        lastIndex: replica.log.lastIndex,
                        committed: replica.commit,
                        peers: peers
                    )
                )
            }
        }
    }

    /// Changes the group's members; what is refused is asked for again by who looks again.
    public func changeMembers(_ changes: [ConfChangeSingle]) async {
        await withCheckedContinuation { continuation in
            eventLoop.execute {
                guard let replica = bound.value.manager.replica(.metadata) else {
                    return continuation.resume()
                }
                replica.proposeConfChange(ConfChange(changes: changes)) { _ in
                    continuation.resume()
                }
            }
        }
    }

    /// Hands the leadership over; whether that succeeds is told by the change of leader.
    public func transferLeadership(to node: NodeID) async {
        await withCheckedContinuation { continuation in
            eventLoop.execute {
                bound.value.manager.transferLeadership(of: .metadata, to: node)
                continuation.resume()
            }
        }
    }
}
