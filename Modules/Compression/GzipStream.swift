import CZlib

/// Gzip by zlib.
enum GzipStream {
    /// Adding 16 to the window's bits asks zlib for gzip, adding 32 for gzip or zlib by itself.
    private static let windowBits: Int32 = 15

    static func compress(_ bytes: [UInt8]) throws(CompressionError) -> [UInt8] {
        var stream = z_stream()
        let status = deflateInit2_(
            &stream,
            Z_DEFAULT_COMPRESSION,
            Z_DEFLATED,
            windowBits + 16,
            8,
            Z_DEFAULT_STRATEGY,
            ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size)
        )
        guard status == Z_OK, let size = Int32(exactly: bytes.count) else {
            throw .failed(.gzip)
        }
        defer { deflateEnd(&stream) }
        let room = Int(deflateBound(&stream, UInt(size)))
        var isWhole = false
        let result = bytes.withUnsafeBufferPointer { input in
            [UInt8](unsafeUninitializedCapacity: room) { output, count in
                stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(room)
                isWhole = deflate(&stream, Z_FINISH) == Z_STREAM_END
                count = room - Int(stream.avail_out)
            }
        }
        guard isWhole else { throw .failed(.gzip) }
        return result
    }

    static func decompress(
        _ input: UnsafeRawBufferPointer,
        limit: Int
    ) throws(CompressionError) -> [UInt8] {
        guard let base = input.bindMemory(to: UInt8.self).baseAddress,
            let size = UInt32(exactly: input.count)
        else { throw .damaged(.gzip) }
        var stream = z_stream()
        let status = inflateInit2_(
            &stream,
            windowBits + 32,
            ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size)
        )
        guard status == Z_OK else { throw .failed(.gzip) }
        defer { inflateEnd(&stream) }
        stream.next_in = UnsafeMutablePointer(mutating: base)
        stream.avail_in = size
        var output = BoundedOutput(limit: limit, expected: input.count * 4)
        while true {
            var status = Z_OK
            try output.grow { piece in
                stream.next_out = piece.bindMemory(to: UInt8.self).baseAddress
                stream.avail_out = UInt32(piece.count)
                status = inflate(&stream, Z_NO_FLUSH)
                return piece.count - Int(stream.avail_out)
            }
            switch status {
            case Z_STREAM_END where stream.avail_in == 0: return output.bytes
            // Several members end to end are one file, as RFC 1952 says.
            case Z_STREAM_END:
                guard inflateReset(&stream) == Z_OK else { throw .failed(.gzip) }
            case Z_OK:
                // The piece was filled, or the input is at its end without the stream's.
                guard stream.avail_out == 0 else { throw .damaged(.gzip) }
            case Z_MEM_ERROR: throw .failed(.gzip)
            default: throw .damaged(.gzip)
            }
        }
    }
}
