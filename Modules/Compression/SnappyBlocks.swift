import CSnappy

/// Snappy: one bare block, or blocks in the framing of Java's library.
///
/// - Shape: framing = magic `82 "SNAPPY" 00`, two int32 versions (1, 1), then blocks, each an
///   int32 length (big endian) and that many bytes of bare Snappy.
enum SnappyBlocks {
    private static let magic: [UInt8] = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]
    private static let headerSize = 16
    private static let blockSize = 32 << 10
    /// No element of Snappy yields more bytes than this per byte of input: 64 from 3.
    private static let ratioMax = 22

    static func compress(_ bytes: [UInt8]) throws(CompressionError) -> [UInt8] {
        var output = magic + [0, 0, 0, 1, 0, 0, 0, 1]
        output.reserveCapacity(headerSize + bytes.count + bytes.count / 4 + 64)
        var position = 0
        while position < bytes.count {
            let end = min(position + blockSize, bytes.count)
            let block = try compressBlock(bytes[position..<end])
            withUnsafeBytes(of: UInt32(block.count).bigEndian) { output.append(contentsOf: $0) }
            output.append(contentsOf: block)
            position = end
        }
        return output
    }

    private static func compressBlock(
        _ block: ArraySlice<UInt8>
    ) throws(CompressionError) -> [UInt8] {
        let room = snappy_max_compressed_length(block.count)
        var status = SNAPPY_OK
        let result = block.withUnsafeBytes { input in
            [UInt8](unsafeUninitializedCapacity: room) { output, count in
                var written = room
                status = output.withMemoryRebound(to: CChar.self) { target in
                    input.withMemoryRebound(to: CChar.self) {
                        snappy_compress($0.baseAddress, $0.count, target.baseAddress, &written)
                    }
                }
                count = status == SNAPPY_OK ? written : 0
            }
        }
        guard status == SNAPPY_OK else { throw .failed(.snappy) }
        return result
    }

    static func decompress(
        _ input: UnsafeRawBufferPointer,
        limit: Int
    ) throws(CompressionError) -> [UInt8] {
        var output: [UInt8] = []
        guard input.starts(with: magic) else {
            try decompressBlock(input, into: &output, limit: limit)
            return output
        }
        guard input.count >= headerSize else { throw .damaged(.snappy) }
        var position = headerSize
        while position < input.count {
            guard input.count - position >= 4 else { throw .damaged(.snappy) }
            let length = Int(
                UInt32(
                    bigEndian: input.loadUnaligned(fromByteOffset: position, as: UInt32.self)
                )
            )
            position += 4
            guard length <= input.count - position else { throw .damaged(.snappy) }
            let block = UnsafeRawBufferPointer(rebasing: input[position..<position + length])
            try decompressBlock(block, into: &output, limit: limit)
            position += length
        }
        return output
    }

    private static func decompressBlock(
        _ block: UnsafeRawBufferPointer,
        into output: inout [UInt8],
        limit: Int
    ) throws(CompressionError) {
        let source = block.bindMemory(to: CChar.self)
        var size = 0
        guard snappy_uncompressed_length(source.baseAddress, source.count, &size) == SNAPPY_OK,
            size / ratioMax <= block.count
        else { throw .damaged(.snappy) }
        guard size <= limit - output.count else { throw .tooLarge(limit: limit) }
        let old = output.count
        output.append(contentsOf: repeatElement(0, count: size))
        let status = output.withUnsafeMutableBytes { all in
            let target = UnsafeMutableRawBufferPointer(rebasing: all[old...])
            var written = size
            // An empty target still needs an address for the library to compare with.
            guard let base = target.bindMemory(to: CChar.self).baseAddress else {
                return SNAPPY_OK
            }
            return snappy_uncompress(source.baseAddress, source.count, base, &written)
        }
        guard status == SNAPPY_OK else { throw .damaged(.snappy) }
    }
}
