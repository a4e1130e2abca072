import CLZ4

/// The LZ4 frame format.
enum LZ4Frame {
    static func compress(_ bytes: [UInt8]) throws(CompressionError) -> [UInt8] {
        var preferences = LZ4F_preferences_t()
        // Java's client refuses frames whose blocks depend on each other.
        preferences.frameInfo.blockMode = LZ4F_blockIndependent
        preferences.frameInfo.blockSizeID = LZ4F_max64KB
        let room = LZ4F_compressFrameBound(bytes.count, &preferences)
        var status = 0
        let result = bytes.withUnsafeBytes { input in
            [UInt8](unsafeUninitializedCapacity: room) { output, count in
                status = LZ4F_compressFrame(
                    output.baseAddress,
                    room,
                    input.baseAddress,
                    input.count,
                    &preferences
                )
                count = LZ4F_isError(status) == 0 ? status : 0
            }
        }
        guard LZ4F_isError(status) == 0 else { throw .failed(.lz4) }
        return result
    }

    static func decompress(
        _ input: UnsafeRawBufferPointer,
        limit: Int
    ) throws(CompressionError) -> [UInt8] {
        var context: OpaquePointer?
        guard LZ4F_isError(LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))) == 0
        else { throw .failed(.lz4) }
        defer { LZ4F_freeDecompressionContext(context) }
        guard let base = input.baseAddress else { throw .damaged(.lz4) }
        var output = BoundedOutput(limit: limit, expected: input.count * 4)
        var position = 0
        while true {
            var status = 0
            var consumed = 0
            var written = 0
            try output.grow { piece in
                consumed = input.count - position
                written = piece.count
                status = LZ4F_decompress(
                    context,
                    piece.baseAddress,
                    &written,
                    base + position,
                    &consumed,
                    nil
                )
                return LZ4F_isError(status) == 0 ? written : 0
            }
            guard LZ4F_isError(status) == 0 else { throw .damaged(.lz4) }
            position += consumed
            // 0: a frame is complete; frames may follow each other.
            if status == 0, position == input.count { return output.bytes }
            guard consumed > 0 || written > 0 else { throw .damaged(.lz4) }
        }
    }
}
