import Model
import Raft

/// Whether the replicas of a group hold the same committed entries.
public struct ReplicaComparison: Sendable {
    /// The group.
    public let group: RaftGroupID
    /// The directories that have it.
    public let paths: [String]
    /// Up to here every replica was compared, as far as it still has the entries.
    public let through: LogIndex
    /// How many times an entry was held against another replica's.
    public let entryCount: Int
    /// The first difference; nil when there is none.
    public let difference: LogProblem?

    /// Compares a group's rows and bytes across directories.
    ///
    /// Only what a replica knows to be committed is compared: what follows may rightly differ. The
    /// replica that knows of the most is the measure of all others.
    public static func compare(
        _ group: RaftGroupID,
        in inspectors: [LogInspector]
    ) -> ReplicaComparison {
        let found = compareOnce(group, inspectors)
        guard found.difference != nil else { return found }
        // A daemon may have gone on meanwhile.
        let later = inspectors.map { $0.later() }
        guard later.contains(where: { $0 != nil }) else { return found }
        return compareOnce(group, zip(inspectors, later).map { $1 ?? $0 })
    }

    /// One group in one directory.
    private struct Replica {
        var inspector: LogInspector
        var group: InspectedGroup
    }

    private static func compareOnce(
        _ id: RaftGroupID,
        _ inspectors: [LogInspector]
    ) -> ReplicaComparison {
        let replicas = inspectors.compactMap { inspector in
            inspector.group(id).map { Replica(inspector: inspector, group: $0) }
        }
        let through = replicas.map(\.group.lastCommitted).min() ?? 0
        var entryCount = 0
        var difference: LogProblem?
        let order = replicas.sorted { $0.group.lastCommitted > $1.group.lastCommitted }
        if let measure = order.first {
            for other in order.dropFirst() where difference == nil {
                difference = compare(other, to: measure, &entryCount)
            }
        }
        return ReplicaComparison(
            group: id,
            paths: replicas.map(\.inspector.path),
            through: through,
            entryCount: entryCount,
            difference: difference
        )
    }

    private static func compare(
        _ other: Replica,
        to measure: Replica,
        _ entryCount: inout Int
    ) -> LogProblem? {
        let group = measure.group.identity.group
        let names = "\(other.inspector.path) and \(measure.inspector.path)"
        let (one, two) = (other.group.identity, measure.group.identity)
        guard one.topicID == two.topicID, one.partition == two.partition else {
            return LogProblem(group: group, "other partitions in \(names)")
        }
        var index = max(other.group.firstIndex, measure.group.firstIndex)
        let last = min(other.group.lastCommitted, measure.group.lastCommitted)
        do throws(RaftLogError) {
            while index <= last {
                let count = min(512, Int(clamping: last - index + 1))
                let left = try other.inspector.rows(of: other.group, from: index, count: count)
                let right = try measure.inspector.rows(of: measure.group, from: index, count: count)
                for (left, right) in zip(left, right) {
                    if let word = difference(left, right) {
                        return LogProblem(
                            group: group,
                            index: left.index,
                            "\(word) differs between \(names)"
                        )
                    }
                    let bytes = try other.inspector.payload(of: left, in: other.group)
                    guard try measure.inspector.payload(of: right, in: measure.group) == bytes
                    else {
                        return LogProblem(
                            group: group,
                            index: left.index,
                            "the bytes differ between \(names)"
                        )
                    }
                    entryCount += 1
                    index = left.index + 1
                }
            }
        } catch { return LogProblem(group: group, index: index, error) }
        return nil
    }

    /// Which field of two rows differs; places in files may.
    private static func difference(_ one: EntryRow, _ two: EntryRow) -> String? {
        if one.index != two.index { return "the index" }
        if one.term != two.term { return "the term" }
        if one.typeCode != two.typeCode { return "the type" }
        if one.baseOffset != two.baseOffset { return "the base offset" }
        if one.offsetCount != two.offsetCount { return "the number of offsets" }
        if one.maxTimestamp != two.maxTimestamp { return "the largest timestamp" }
        if one.length != two.length { return "the length" }
        if one.payloadCRC != two.payloadCRC { return "the payload's checksum" }
        if one.chain != two.chain { return "the running hash" }
        return nil
    }
}
