import DequeModule

/// The sequence numbers of one record batch of an idempotent producer.
public struct ProducerBatch: Equatable, Sendable {
    /// The producer; never negative here.
    public var producerID: Int64
    /// The producer's epoch: a newer one fences the older.
    public var epoch: Int16
    /// The sequence number of the batch's first record.
    public var firstSequence: Int32
    /// The number of records; at least 1.
    public var recordCount: Int32

    /// Describes a batch.
    public init(producerID: Int64, epoch: Int16, firstSequence: Int32, recordCount: Int32) {
        self.producerID = producerID
        self.epoch = epoch
        self.firstSequence = firstSequence
        self.recordCount = recordCount
    }

    /// The sequence number of the batch's last record; numbers wrap from 2^31-1 to 0.
    public var lastSequence: Int32 { Self.add(firstSequence, recordCount - 1) }

    static func add(_ sequence: Int32, _ count: Int32) -> Int32 {
        Int32(truncatingIfNeeded: (Int64(sequence) + Int64(count)) & 0x7fff_ffff)
    }
}

/// What a partition knows of its idempotent producers: a pure function of its log.
///
/// Kept in two layers: what is committed, and an overlay of batches that were proposed or appended
/// and may still be cut off. Checks see both; a truncation removes only from the overlay.
/// - Invariant: the overlay is in log order, its proposed batches after its appended ones.
/// - Source: kafka.md (b), idempotence rules 1 to 3 and 5.
public struct ProducerState: Sendable {
    /// What is to be done with a batch.
    public enum Verdict: Equatable, Sendable {
        /// It is the next one: append it.
        case accept
        /// It is in the log already, from this offset on, and committed.
        case duplicate(baseOffset: Int64)
        /// It is in the log or on its way there, and not committed yet.
        case duplicateInFlight
        /// A newer epoch has fenced the producer: Kafka's error 47.
        case epochFenced
        /// Sequence numbers are missing before it: Kafka's error 45.
        case outOfOrder
    }

    /// Batches that are remembered for each producer, as in Kafka.
    static let batchesMax = 5

    struct Remembered: Equatable, Sendable {
        var firstSequence: Int32
        var lastSequence: Int32
        var baseOffset: Int64
    }

    struct Producer: Equatable, Sendable {
        var epoch: Int16
        /// The latest batches of this epoch, oldest first; at most `batchesMax`.
        var batches: [Remembered]
        /// The log index of the latest one.
        var index: UInt64
    }

    struct InFlight: Equatable, Sendable {
        var batch: ProducerBatch
        /// The log index once the batch is appended; nil while it is only proposed.
        var index: UInt64?
        var baseOffset: Int64
    }

    private let producersMax: Int
    private(set) var committed: [Int64: Producer] = [:]
    private(set) var overlay: Deque<InFlight> = []
    /// How many batches at the overlay's end are proposed and not appended.
    private var proposals = 0

    /// Makes an empty state that remembers at most `producersMax` producers.
    ///
    /// The ones whose last batch lies furthest back in the log are forgotten first, which every
    /// replica does at the same entry. A forgotten producer may go on with any sequence number.
    public init(producersMax: Int = 20_000) {
        self.producersMax = producersMax
    }

    /// The number of producers with committed batches.
    public var count: Int { committed.count }

    /// Judges a batch before it is appended.
    public func check(_ batch: ProducerBatch) -> Verdict {
        if let verdict = checkOverlay(batch) { return verdict }
        guard let known = committed[batch.producerID] else { return .accept }
        if batch.epoch == known.epoch {
            for old in known.batches
            where old.firstSequence == batch.firstSequence
                && old.lastSequence == batch.lastSequence
            {
                return .duplicate(baseOffset: old.baseOffset)
            }
        }
        guard let last = known.batches.last else { return .accept }
        return Self.judge(batch, after: known.epoch, last.lastSequence)
    }

    /// The verdict if the overlay has batches of this producer, nil otherwise.
    private func checkOverlay(_ batch: ProducerBatch) -> Verdict? {
        var latest: ProducerBatch?
        for inFlight in overlay where inFlight.batch.producerID == batch.producerID {
            if inFlight.batch == batch { return .duplicateInFlight }
            latest = inFlight.batch
        }
        guard let latest else { return nil }
        // A repeated batch may be older than everything in flight.
        if let known = committed[batch.producerID], known.epoch == batch.epoch {
            for old in known.batches
            where old.firstSequence == batch.firstSequence
                && old.lastSequence == batch.lastSequence
            {
                return .duplicate(baseOffset: old.baseOffset)
            }
        }
        return Self.judge(batch, after: latest.epoch, latest.lastSequence)
    }

    private static func judge(
        _ batch: ProducerBatch,
        after epoch: Int16,
        _ lastSequence: Int32
    ) -> Verdict {
        if batch.epoch < epoch { return .epochFenced }
        let expected = batch.epoch > epoch ? 0 : ProducerBatch.add(lastSequence, 1)
        return batch.firstSequence == expected ? .accept : .outOfOrder
    }
}

// MARK: What happens to the log

extension ProducerState {
    /// Remembers a batch that was handed to the log, before it has an index.
    public mutating func propose(_ batch: ProducerBatch) {
        overlay.append(InFlight(batch: batch, index: nil, baseOffset: -1))
        proposals += 1
    }

    /// Forgets the latest proposed batch, which the log refused at once.
    public mutating func retractProposal(_ batch: ProducerBatch) {
        guard let place = overlay.lastIndex(where: { $0.index == nil && $0.batch == batch })
        else { return }
        overlay.remove(at: place)
        proposals -= 1
    }

    /// Forgets all batches that were proposed and did not reach the log: leadership is gone.
    public mutating func dropProposals() {
        overlay.removeLast(proposals)
        proposals = 0
    }

    /// A batch has entered the log at `index`.
    public mutating func append(_ batch: ProducerBatch, index: UInt64, baseOffset: Int64) {
        let place = overlay.count - proposals
        let inFlight = InFlight(batch: batch, index: index, baseOffset: baseOffset)
        if proposals > 0, overlay[place].batch == batch {
            overlay[place] = inFlight
            proposals -= 1
        } else {
            // Before proposals of ours: they will be dropped when the role change is told.
            overlay.insert(inFlight, at: place)
        }
    }

    /// The log was cut: nothing from `index` on is in it any more.
    public mutating func truncate(from index: UInt64) {
        overlay.removeAll { $0.index.map { $0 >= index } ?? false }
    }

    /// A batch is committed at `index`.
    public mutating func commit(_ batch: ProducerBatch, index: UInt64, baseOffset: Int64) {
        if overlay.first?.index == index { overlay.removeFirst() }
        let remembered = Remembered(
            firstSequence: batch.firstSequence,
            lastSequence: batch.lastSequence,
            baseOffset: baseOffset)
        guard var known = committed.removeValue(forKey: batch.producerID) else {
            committed[batch.producerID] = Producer(
                epoch: batch.epoch, batches: [remembered], index: index)
            if committed.count > producersMax { forgetOldest() }
            return
        }
        if known.epoch != batch.epoch {
            known.epoch = batch.epoch
            known.batches.removeAll(keepingCapacity: true)
        }
        if known.batches.count == Self.batchesMax { known.batches.removeFirst() }
        known.batches.append(remembered)
        known.index = index
        committed[batch.producerID] = known
    }

    /// Forgets a tenth of the producers at once, so that the search for them is paid rarely.
    private mutating func forgetOldest() {
        let indexes = committed.values.map(\.index).sorted()
        let limit = indexes[indexes.count / 10]
        committed = committed.filter { $0.value.index > limit }
    }
}
