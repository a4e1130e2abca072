import Model
import NIOCore
import RaftHost
import Telemetry

/// The consumer groups of one partition of `__consumer_offsets`.
///
/// Every replica keeps the store, fed by committed records; only a confirmed leader keeps live
/// groups, made from the store when it begins to lead and dropped when it no longer does.
/// - Thread: the event loop of the partition's Raft group only.
/// - Invariant: a record is written only in the term in which the live groups were made.
final class GroupTable {
    /// Whether this broker coordinates the table's groups.
    enum Phase: Equatable {
        /// Another broker does, or none.
        case away
        /// This one leads, but does not know yet what is committed.
        case loading
        /// This one does, in this term.
        case active(Term)
    }

    let partition: PartitionID
    let settings: GroupSettings
    let metrics: GroupMetrics
    private(set) var phase = Phase.away
    private(set) var store = GroupStore()
    /// Records that could not be read: from a newer release, or damaged.
    private(set) var unreadableRecords = 0
    /// No live group has a deadline before this.
    private(set) var wakeAt = NIODeadline.distantFuture

    /// Called when this broker has begun to coordinate the table's groups.
    var loaded: (GroupTable) -> Void = { _ in }

    private weak var log: (any GroupLogAccess)?
    private var groups: [String: ConsumerGroup] = [:]
    private var waiting: [GroupTicket: Waiter] = [:]
    private var nextTicket: UInt64 = 1
    private let clock: () -> GroupTime

    private enum Waiter {
        case join((JoinAnswer) -> Void)
        case sync((SyncAnswer) -> Void)
    }

    /// Makes a table without groups.
    init(
        partition: PartitionID,
        log: any GroupLogAccess,
        settings: GroupSettings,
        metrics: GroupMetrics = GroupMetrics(),
        clock: @escaping () -> GroupTime
    ) {
        self.partition = partition
        self.log = log
        self.settings = settings
        self.metrics = metrics
        self.clock = clock
    }
}

// MARK: The partition's log

extension GroupTable: GroupPartitionState {
    func replay(_ batch: [UInt8], baseOffset: Offset) {
        unreadableRecords += GroupRecords.read(batch) { store.apply($0) }
    }

    func leadershipChanged(_ leadership: Leadership) {
        guard leadership.isLeader else { return unload(to: .away) }
        guard leadership.isConfirmed else { return unload(to: .loading) }
        guard phase != .active(leadership.term) else { return }
        unload(to: .loading)
        let now = clock()
        for (id, stored) in store.groups {
            guard let image = stored.image else { continue }
            let group = ConsumerGroup(id: id, image: image, settings: settings, now: now)
            wakeAt = min(wakeAt, group.wakeAt)
            groups[id] = group
        }
        phase = .active(leadership.term)
        loaded(self)
    }

    func stopped() {
        unload(to: .away)
        store = GroupStore()
    }

    /// Drops the live groups; whoever waits must look for the coordinator again.
    private func unload(to next: Phase) {
        phase = next
        let dropped = groups
        groups = [:]
        wakeAt = .distantFuture
        for var group in dropped.values { perform(group.die(.notCoordinator), of: group.id) }
        precondition(waiting.isEmpty, "\(waiting.count) requests wait without a group")
    }

    /// Why nothing can be answered here at present; nil if everything can.
    var unavailable: GroupError? {
        switch phase {
        case .away: .notCoordinator
        case .loading: .loadInProgress
        case .active: nil
        }
    }
}

// MARK: Members

extension GroupTable {
    /// Takes a JoinGroup.
    func join(
        _ id: String,
        _ request: JoinRequest,
        completion: @escaping (JoinAnswer) -> Void
    ) {
        func refuse(_ error: GroupError) {
            completion(JoinAnswer(error: error, memberID: request.memberID))
        }
        if id.isEmpty { return refuse(.invalidGroupID) }
        if let error = unavailable { return refuse(error) }
        if groups[id] == nil {
            guard request.memberID.isEmpty else { return refuse(.unknownMemberID) }
            guard groups.count < settings.groupsMax else { return refuse(.groupMaxSizeReached) }
        }
        guard waiting.count < settings.parkedRequestsMax else {
            return refuse(.coordinatorNotAvailable)
        }
        let now = clock()
        let ticket = park(.join(completion))
        perform(
            withGroup(id, now) { $0.join(request, ticket: ticket, now: now) },
            of: id
        )
        forgetIfIdle(id)
    }

    /// Takes a SyncGroup.
    func sync(
        _ id: String,
        _ request: SyncRequest,
        completion: @escaping (SyncAnswer) -> Void
    ) {
        // A client does not retry a sync: sent back to join, it finds out by itself.
        let error = phase == .loading ? .rebalanceInProgress : unavailable
        if let error { return completion(SyncAnswer(error: error)) }
        guard groups[id] != nil else { return completion(SyncAnswer(error: .unknownMemberID)) }
        guard waiting.count < settings.parkedRequestsMax else {
            return completion(SyncAnswer(error: .coordinatorNotAvailable))
        }
        let now = clock()
        let ticket = park(.sync(completion))
        perform(withGroup(id, now) { $0.sync(request, ticket: ticket, now: now) }, of: id)
    }

    /// Takes a Heartbeat.
    func heartbeat(
        _ id: String,
        memberID: String,
        instanceID: String?,
        generation: Int32
    ) -> GroupError? {
        // Nobody can be thrown out before the groups are known.
        if phase == .loading { return nil }
        if let error = unavailable { return error }
        let now = clock()
        return groups[id]?
            .heartbeat(memberID, instanceID: instanceID, generation: generation, now: now)
            ?? (groups[id] == nil ? .unknownMemberID : nil)
    }

    /// Takes a LeaveGroup: an error for the whole of it, or one result for each member.
    func leave(_ id: String, _ leaving: [LeavingMember]) -> Result<[GroupError?], GroupError> {
        if let error = unavailable { return .failure(error) }
        guard groups[id] != nil else { return .success(leaving.map { _ in .unknownMemberID }) }
        let now = clock()
        var results: [GroupError?] = []
        let actions = withGroup(id, now) { group in
            let (answers, actions) = group.leave(leaving, now: now)
            results = answers
            return actions
        }
        perform(actions, of: id)
        forgetIfIdle(id)
        return .success(results)
    }

    /// Lets time pass for every group that has something due.
    func tick() {
        let now = clock()
        guard wakeAt <= now.uptime, case .active = phase else { return }
        wakeAt = .distantFuture
        for id in Array(groups.keys) {
            guard let due = groups[id]?.wakeAt else { continue }
            if due <= now.uptime {
                perform(withGroup(id, now) { $0.tick(now) }, of: id)
                forgetIfIdle(id)
            } else {
                wakeAt = min(wakeAt, due)
            }
        }
    }

    /// Changes a group in place, making it if there is none.
    private func withGroup(
        _ id: String,
        _ now: GroupTime,
        _ change: (inout ConsumerGroup) -> [GroupAction]
    ) -> [GroupAction] {
        let generation = groups[id]?.generation ?? 0
        let actions = change(
            &groups[id, default: ConsumerGroup(id: id, settings: settings, now: now)]
        )
        if groups[id]?.generation != generation { metrics.rebalances.add() }
        wakeAt = min(wakeAt, groups[id]?.wakeAt ?? .distantFuture)
        return actions
    }

    private func park(_ waiter: Waiter) -> GroupTicket {
        let ticket = GroupTicket(rawValue: nextTicket)
        nextTicket += 1
        waiting[ticket] = waiter
        return ticket
    }

    private func perform(_ actions: [GroupAction], of id: String) {
        for action in actions {
            switch action {
            case .answerJoin(let ticket, let answer):
                guard case .join(let completion) = waiting.removeValue(forKey: ticket) else {
                    preconditionFailure("join \(ticket.rawValue) of group \(id) is not parked")
                }
                completion(answer)
            case .answerSync(let ticket, let answer):
                guard case .sync(let completion) = waiting.removeValue(forKey: ticket) else {
                    preconditionFailure("sync \(ticket.rawValue) of group \(id) is not parked")
                }
                completion(answer)
            case .store(let image, let store):
                write([.group(id, image)]) { [weak self] error in
                    self?.stored(store, error, of: id)
                }
            }
        }
    }

    private func stored(_ store: StoreID, _ error: GroupError?, of id: String) {
        guard case .active = phase, groups[id] != nil else { return }
        let now = clock()
        perform(withGroup(id, now) { $0.stored(store, error: error, now: now) }, of: id)
    }

    private func forgetIfIdle(_ id: String) {
        guard groups[id]?.isIdle == true, store.groups[id]?.image == nil else { return }
        groups[id] = nil
    }

    /// Writes records in the term of the live groups; what happens in another term is a failure.
    private func write(_ records: [GroupRecord], completion: @escaping (GroupError?) -> Void) {
        guard !records.isEmpty else { return completion(nil) }
        guard case .active(let term) = phase, let log, log.leadership.term == term else {
            return completion(.notCoordinator)
        }
        let batch = GroupRecords.batch(records, timestamp: clock().unixMilliseconds)
        log.append(batch) { outcome in
            switch outcome {
            case .done(_, _, term): completion(nil)
            case .done, .notLeader: completion(.notCoordinator)
            case .refused: completion(.coordinatorNotAvailable)
            }
        }
    }
}

// MARK: Offsets

/// One offset of an OffsetCommit.
struct OffsetToCommit: Equatable, Sendable {
    let topic: String
    let partition: Int32
    let offset: CommittedOffset
}

/// Who commits: a member of a generation, or nobody in particular.
struct Committer: Equatable, Sendable {
    let memberID: String
    let instanceID: String?
    let generation: Int32
}

extension GroupTable {
    /// Takes an OffsetCommit; `completion` gets one result for each offset, in their order.
    func commit(
        _ id: String,
        _ offsets: [OffsetToCommit],
        by committer: Committer,
        completion: @escaping ([GroupError?]) -> Void
    ) {
        let metrics = metrics
        let completion: ([GroupError?]) -> Void = { results in
            let refused = results.count { $0 != nil }
            metrics.commitsRefused.add(refused)
            metrics.commits.add(results.count - refused)
            completion(results)
        }
        if let error = refusal(of: committer, in: id) {
            return completion(offsets.map { _ in error })
        }
        var count = store.groups[id]?.offsetCount ?? 0
        let checks = offsets.map { one -> GroupError? in
            if one.offset.metadata.utf8.count > settings.offsetMetadataBytesMax {
                return .offsetMetadataTooLarge
            }
            if store.offset(id, one.topic, one.partition) == nil { count += 1 }
            return count > settings.groupOffsetsMax ? .invalidCommitOffsetSize : nil
        }
        let records = zip(offsets, checks).filter { $0.1 == nil }.map { one, _ in
            GroupRecord.offset(
                group: id,
                topic: one.topic,
                partition: one.partition,
                one.offset
            )
        }
        guard !records.isEmpty else { return completion(checks) }
        write(records) { error in completion(checks.map { $0 ?? error }) }
    }

    private func refusal(of committer: Committer, in id: String) -> GroupError? {
        if let error = unavailable { return error }
        let now = clock()
        if groups[id] != nil {
            return groups[id]?.mayCommit(
                committer.memberID,
                instanceID: committer.instanceID,
                generation: committer.generation,
                now: now
            )
        }
        if committer.generation >= 0 { return .illegalGeneration }
        if store.groups[id] == nil, store.groups.count >= settings.groupsMax {
            return .groupMaxSizeReached
        }
        return nil
    }

    /// Hands out what the group has committed, once it is sure that nothing newer exists.
    ///
    /// `completion` gets nil for a group that has committed nothing.
    func fetchOffsets(
        _ id: String,
        completion: @escaping (Result<GroupStore.Group?, GroupError>) -> Void
    ) {
        if let error = unavailable { return completion(.failure(error)) }
        guard let log else { return completion(.failure(.notCoordinator)) }
        log.readBarrier { [weak self] isLeader in
            guard let self, isLeader, case .active = self.phase else {
                return completion(.failure(.notCoordinator))
            }
            completion(.success(self.store.groups[id]))
        }
    }

    /// Deletes the offsets of topics that exist no more.
    func topicsDeleted(_ topics: [String]) {
        guard case .active = phase else { return }
        writeTombstones(topics.flatMap { store.tombstones(ofTopic: $0) })
    }

    /// Deletes what empty groups have kept for too long, and empty groups that keep nothing.
    func expireOffsets() {
        guard case .active = phase else { return }
        let now = clock().unixMilliseconds
        let retention = settings.offsetsRetention.nanoseconds / 1_000_000
        for id in store.groups.keys.sorted() {
            guard groups[id]?.isIdle ?? true else { continue }
            let records = store.expired(id, now: now, retention: retention)
            if records.contains(.group(id, nil)) { groups[id] = nil }
            writeTombstones(records)
        }
    }

    private func writeTombstones(_ records: [GroupRecord]) {
        var rest = records[...]
        while !rest.isEmpty {
            // Whatever a failed write leaves behind is found again by the next check.
            write(Array(rest.prefix(1_000))) { _ in }
            rest = rest.dropFirst(1_000)
        }
    }
}

// MARK: What administrators ask

extension GroupTable {
    /// A group as it is now; nil if there is none.
    func describe(_ id: String) -> ConsumerGroup? {
        if let group = groups[id] { return group }
        guard store.groups[id] != nil else { return nil }
        return ConsumerGroup(id: id, settings: settings, now: clock())
    }

    /// The states of the live groups.
    var states: [ConsumerGroup.State] { groups.values.map(\.state) }

    /// Every group of the table, in the order of their names.
    func list() -> [(id: String, protocolType: String, state: ConsumerGroup.State)] {
        Set(groups.keys).union(store.groups.keys).sorted().map { id in
            (id, groups[id]?.protocolType ?? "", groups[id]?.state ?? .empty)
        }
    }
}
