import Metadata
import Model
import RecordBatch

/// When brokers were heard last, and what they said they host: soft state of a leader.
struct BrokerTracker {
    private struct Entry {
        var lastHeard: Duration
        /// The groups of the last list, and of the list before it.
        var hosted: [ReplicaReference]?
        var hostedBefore: [ReplicaReference]?
        /// Those of the last list whose data are damaged.
        var suspects: [ReplicaReference] = []
        var expected: (version: MetadataVersion, digest: String)?
    }

    private var entries: [BrokerID: Entry] = [:]
    private let silence: Duration
    /// When this controller began to lead: nobody is silent since an earlier time.
    private let start: Duration

    /// Starts every broker's clock now.
    init(silence: Duration, now: Duration) {
        self.silence = silence
        self.start = now
    }

    private func entry(_ broker: BrokerID) -> Entry { entries[broker] ?? Entry(lastHeard: start) }

    /// Notes that a broker has been heard.
    mutating func heard(_ broker: BrokerID, at now: Duration) {
        var entry = entry(broker)
        entry.lastHeard = now
        entries[broker] = entry
    }

    /// Forgets what a former run of a broker has said.
    mutating func restarted(_ broker: BrokerID, at now: Duration) {
        entries[broker] = Entry(lastHeard: now)
    }

    /// Whether a broker was heard within the time of silence.
    func isAlive(_ broker: BrokerID, at now: Duration) -> Bool {
        now - entry(broker).lastHeard < silence
    }

    /// The brokers that count as online and have been silent for too long.
    func silent(in metadata: ClusterMetadata, at now: Duration) -> [BrokerRun] {
        metadata.onlineBrokers.filter { !isAlive($0.id, at: now) }.map {
            BrokerRun(broker: $0.id, registrationEpoch: $0.registrationEpoch)
        }
    }

    /// Whether a broker's digest differs from that of the replicas that are recorded as started.
    mutating func differs(
        _ digest: String,
        of broker: BrokerID,
        in metadata: ClusterMetadata
    ) -> Bool {
        var entry = entry(broker)
        if entry.expected?.version != metadata.version {
            let started = metadata.startedReplicas(on: broker)
            entry.expected = (metadata.version, HostedDigest.text(of: started))
            entries[broker] = entry
        }
        return entry.expected?.digest != digest
    }

    /// Takes a broker's list of everything that it hosts, and what of it is damaged.
    mutating func report(
        _ hosted: [ReplicaReference],
        suspects: [ReplicaReference] = [],
        of broker: BrokerID
    ) {
        var entry = entry(broker)
        entry.hostedBefore = entry.hosted
        entry.hosted = hosted.sorted()
        entry.suspects = suspects.sorted()
        entries[broker] = entry
    }

    /// Notes that a broker no longer hosts a replica.
    mutating func stopped(_ replica: ReplicaReference) {
        entries[replica.node.broker]?.hosted?.removeAll { $0 == replica }
        entries[replica.node.broker]?.hostedBefore?.removeAll { $0 == replica }
    }

    /// What a broker has said to host.
    func report(of broker: BrokerID) -> HostedReport? {
        guard let entry = entries[broker], let hosted = entry.hosted else { return nil }
        return HostedReport(
            hosted: hosted,
            before: entry.hostedBefore,
            suspects: entry.suspects
        )
    }
}

/// The last two lists of what a broker hosts; each sorted.
struct HostedReport: Equatable {
    var hosted: [ReplicaReference]
    /// Nil if there is one list only.
    var before: [ReplicaReference]?
    /// Those of the last list whose data are damaged; sorted.
    var suspects: [ReplicaReference] = []
}

extension ClusterMetadata {
    /// The replicas in a broker's directory whose start is recorded, in order.
    func startedReplicas(on broker: BrokerID) -> [ReplicaReference] {
        let directory = self.broker(broker)?.directoryID
        return partitions(on: broker).flatMap { partition in
            partition.info.replicas(on: broker)
                .filter { $0.isStarted && $0.directoryID == directory }
                .map { ReplicaReference(group: partition.info.group, node: $0.node) }
        }.sorted()
    }
}

/// The short form of what a broker hosts, by which a difference is noticed.
enum HostedDigest {
    /// XXH64, seed 0, in 16 hexadecimal digits.
    ///
    /// - Shape: over 16 bytes for each pair (group, node) in order, two little-endian 64-bit
    ///   numbers.
    static func text(of replicas: [ReplicaReference]) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16 * replicas.count)
        for replica in replicas.sorted() {
            for number in [replica.group.rawValue, replica.node.rawValue] {
                withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
            }
        }
        let digits = String(xxh64(bytes), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
