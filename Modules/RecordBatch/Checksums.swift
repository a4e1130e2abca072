import CISAL

/// The CRC-32C (Castagnoli) of some bytes, as Kafka's batches carry it.
///
/// - Source: Kafka message format v2; of "123456789" it is `e3069283`.
public func crc32c(_ bytes: UnsafeRawBufferPointer, continuing previous: UInt32 = 0) -> UInt32 {
    guard let base = bytes.baseAddress else { return previous }
    var checksum = ~previous
    var position = 0
    // The library takes a length of 32 bits.
    while position < bytes.count {
        let count = min(bytes.count - position, 1 << 30)
        let start = UnsafeMutableRawPointer(mutating: base + position)
        checksum = crc32_iscsi(
            start.assumingMemoryBound(to: UInt8.self),
            Int32(count),
            checksum
        )
        position += count
    }
    return ~checksum
}

/// The CRC-32C of an array's bytes.
public func crc32c(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { crc32c($0) } }

/// The 64-bit xxHash of some bytes.
///
/// - Source: Yann Collet's description of XXH64; of no bytes and seed 0 it is
///   `ef46db3751d8e999`.
public func xxh64(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
    var position = 0
    var hash: UInt64
    if bytes.count >= 32 {
        var lanes = (
            seed &+ XXH.prime1 &+ XXH.prime2, seed &+ XXH.prime2, seed, seed &- XXH.prime1
        )
        while position + 32 <= bytes.count {
            lanes.0 = XXH.round(lanes.0, bytes.littleEndian64(at: position))
            lanes.1 = XXH.round(lanes.1, bytes.littleEndian64(at: position + 8))
            lanes.2 = XXH.round(lanes.2, bytes.littleEndian64(at: position + 16))
            lanes.3 = XXH.round(lanes.3, bytes.littleEndian64(at: position + 24))
            position += 32
        }
        hash =
            lanes.0.rotated(1) &+ lanes.1.rotated(7) &+ lanes.2.rotated(12)
            &+ lanes.3.rotated(18)
        for lane in [lanes.0, lanes.1, lanes.2, lanes.3] {
            hash = (hash ^ XXH.round(0, lane)) &* XXH.prime1 &+ XXH.prime4
        }
    } else {
        hash = seed &+ XXH.prime5
    }
    hash = hash &+ UInt64(bytes.count)
    while position + 8 <= bytes.count {
        hash ^= XXH.round(0, bytes.littleEndian64(at: position))
        hash = hash.rotated(27) &* XXH.prime1 &+ XXH.prime4
        position += 8
    }
    if position + 4 <= bytes.count {
        let word = bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self).littleEndian
        hash ^= UInt64(word) &* XXH.prime1
        hash = hash.rotated(23) &* XXH.prime2 &+ XXH.prime3
        position += 4
    }
    while position < bytes.count {
        hash ^= UInt64(bytes[position]) &* XXH.prime5
        hash = hash.rotated(11) &* XXH.prime1
        position += 1
    }
    hash = (hash ^ hash >> 33) &* XXH.prime2
    hash = (hash ^ hash >> 29) &* XXH.prime3
    return hash ^ hash >> 32
}

/// The 64-bit xxHash of an array's bytes.
public func xxh64(_ bytes: [UInt8], seed: UInt64 = 0) -> UInt64 {
    bytes.withUnsafeBytes { xxh64($0, seed: seed) }
}

private enum XXH {
    static let prime1: UInt64 = 0x9e37_79b1_85eb_ca87
    static let prime2: UInt64 = 0xc2b2_ae3d_27d4_eb4f
    static let prime3: UInt64 = 0x1656_67b1_9e37_79f9
    static let prime4: UInt64 = 0x85eb_ca77_c2b2_ae63
    static let prime5: UInt64 = 0x27d4_eb2f_1656_67c5

    static func round(_ lane: UInt64, _ input: UInt64) -> UInt64 {
        (lane &+ input &* prime2).rotated(31) &* prime1
    }
}

extension UInt64 {
    fileprivate func rotated(_ bits: UInt64) -> UInt64 { self << bits | self >> (64 - bits) }
}

extension UnsafeRawBufferPointer {
    fileprivate func littleEndian64(at position: Int) -> UInt64 {
        loadUnaligned(fromByteOffset: position, as: UInt64.self).littleEndian
    }
}
