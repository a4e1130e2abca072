public import Model

/// Stores the newest controller epoch that a daemon has seen; supplied by the role.
public protocol ControllerEpochStore: Sendable {
    /// Returns once the epoch is on stable storage; throws if it is not.
    func save(_ epoch: ControllerEpoch) async throws
}

/// Refuses orders of controllers that have been deposed.
///
/// - Invariant: an epoch is accepted only once it or a newer one is on stable storage, so that a
///   restart does not forget it; the epoch never goes back.
public actor ControllerEpochGate {
    /// The newest epoch that was stored and accepted.
    public private(set) var newest: ControllerEpoch
    private let store: any ControllerEpochStore
    private var saving: Task<Bool, Never>?

    /// Makes a gate that starts from what was stored before, 0 if nothing.
    public init(newest: ControllerEpoch, store: any ControllerEpochStore) {
        self.newest = newest
        self.store = store
    }

    /// Accepts an epoch that is at least the newest, storing it first if it is newer.
    public func admit(_ epoch: ControllerEpoch) async throws(PeerRefusal) {
        // One write at a time: an older epoch must never land on top of a newer one.
        while let saving, epoch >= newest { _ = await saving.value }
        guard epoch >= newest else {
            throw PeerRefusal(
                .staleEpoch,
                "stale controller epoch \(epoch): newest seen is \(newest)"
            )
        }
        guard epoch > newest else { return }
        let task = Task { await self.store(epoch) }
        saving = task
        guard await task.value else {
            throw PeerRefusal(.epochNotStored, "controller epoch \(epoch) could not be stored")
        }
    }

    /// Ends the write before its task ends, so that no waiter finds it still going on.
    private func store(_ epoch: ControllerEpoch) async -> Bool {
        do {
            try await store.save(epoch)
            newest = max(newest, epoch)
            saving = nil
            return true
        } catch {
            saving = nil
            return false
        }
    }
}
