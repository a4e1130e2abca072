import Glibc

/// The system's words for an `errno` value.
enum ErrorText {
    static func of(_ code: Int32) -> String {
        withUnsafeTemporaryAllocation(byteCount: 128, alignment: 1) { buffer in
            buffer.initializeMemory(as: UInt8.self, repeating: 0)
            guard let base = buffer.baseAddress else { return "?" }
            let text = base.assumingMemoryBound(to: CChar.self)
            guard strerror_r(code, text, buffer.count - 1) == 0 else { return "?" }
            return String(cString: text)
        }
    }
}
