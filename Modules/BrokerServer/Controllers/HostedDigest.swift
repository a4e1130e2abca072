import InterBrokerProtocol
import Model
import RecordBatch

/// The short form of what a broker hosts and trusts, by which a controller notices a difference.
enum HostedDigest {
    /// XXH64, seed 0, over the sorted (group, node) pairs, in 16 hexadecimal digits.
    ///
    /// - Shape: 16 bytes for each pair, two little-endian 64-bit numbers.
    static func text(of replicas: [HostedReplica]) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16 * replicas.count)
        let sorted = replicas.sorted { ($0.group, $0.node) < ($1.group, $1.node) }
        for replica in sorted {
            for number in [replica.group.rawValue, replica.node.rawValue] {
                withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
            }
        }
        let digits = String(bytes.withUnsafeBytes { xxh64($0, seed: 0) }, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
