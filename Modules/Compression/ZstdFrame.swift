import CZstd

/// Zstandard.
enum ZstdFrame {
    /// Windows up to 128 MiB are accepted: what level 22 of Java's client uses.
    private static let windowLogMax: Int32 = 27

    static func compress(_ bytes: [UInt8]) throws(CompressionError) -> [UInt8] {
        let room = ZSTD_compressBound(bytes.count)
        guard ZSTD_isError(room) == 0 else { throw .failed(.zstd) }
        var status = 0
        let result = bytes.withUnsafeBytes { input in
            [UInt8](unsafeUninitializedCapacity: room) { output, count in
                status = ZSTD_compress(
                    output.baseAddress,
                    room,
                    input.baseAddress,
                    input.count,
                    ZSTD_CLEVEL_DEFAULT
                )
                count = ZSTD_isError(status) == 0 ? status : 0
            }
        }
        guard ZSTD_isError(status) == 0 else { throw .failed(.zstd) }
        return result
    }

    static func decompress(
        _ input: UnsafeRawBufferPointer,
        limit: Int
    ) throws(CompressionError) -> [UInt8] {
        guard let stream = ZSTD_createDStream() else { throw .failed(.zstd) }
        defer { ZSTD_freeDStream(stream) }
        guard ZSTD_isError(ZSTD_initDStream(stream)) == 0,
            ZSTD_isError(ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, windowLogMax)) == 0
        else { throw .failed(.zstd) }
        var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        guard input.count > 0 else { throw .damaged(.zstd) }
        var output = BoundedOutput(limit: limit, expected: input.count * 4)
        while true {
            var status = 0
            var isFull = false
            try output.grow { piece in
                var target = ZSTD_outBuffer(dst: piece.baseAddress, size: piece.count, pos: 0)
                status = ZSTD_decompressStream(stream, &target, &source)
                isFull = target.pos == target.size
                return target.pos
            }
            guard ZSTD_isError(status) == 0 else { throw .damaged(.zstd) }
            // 0: a frame is complete; frames may follow each other.
            if status == 0, source.pos == source.size { return output.bytes }
            guard isFull || source.pos < source.size else { throw .damaged(.zstd) }
        }
    }
}
