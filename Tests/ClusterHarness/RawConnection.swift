import Glibc

/// A client's TCP connection on the loopback interface, byte by byte.
package final class RawConnection {
    private let descriptor: Int32

    /// Connects; the kernel does so also while nobody accepts.
    package init(port: UInt16) throws {
        descriptor = try Self.open()
        var patience = timeval(tv_sec: 20, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, size)
        let isConnected = Self.withAddress(port) { connect(descriptor, $0, $1) == 0 }
        guard isConnected else {
            let error = errno
            close(descriptor)
            throw HarnessError("port \(port): \(String(cString: strerror(error)))")
        }
    }

    deinit { close(descriptor) }

    /// A listening socket; the caller closes it.
    package static func listener(port: UInt16) throws -> Int32 {
        let socket = try open()
        guard withAddress(port, { bind(socket, $0, $1) == 0 }), listen(socket, 16) == 0 else {
            close(socket)
            throw HarnessError("cannot listen on port \(port)")
        }
        return socket
    }

    /// Sends Kafka's ApiVersions request, version 0.
    package func sendApiVersions(correlation: UInt8) throws {
        let request: [UInt8] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, correlation, 0xff, 0xff]
        guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == 14 else {
            throw HarnessError("cannot send: \(String(cString: strerror(errno)))")
        }
    }

    /// Waits for an answer and gives the correlation number in it.
    package func answeredCorrelation() throws -> UInt8 {
        var answer = [UInt8](repeating: 0, count: 8)
        guard recv(descriptor, &answer, 8, Int32(MSG_WAITALL)) == 8 else {
            throw HarnessError("no answer: \(String(cString: strerror(errno)))")
        }
        return answer[7]
    }

    private static func open() throws -> Int32 {
        let kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue
        let descriptor = socket(AF_INET, Int32(kind), 0)
        guard descriptor >= 0 else { throw HarnessError("no socket: errno \(errno)") }
        return descriptor
    }

    private static func withAddress<Result>(
        _ port: UInt16,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
