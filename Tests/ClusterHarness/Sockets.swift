import Glibc
import Synchronization

/// Ports of the loopback interface that nothing uses.
package enum Ports {
    /// Below the kernel's own range, so that no outgoing connection takes a daemon's port while
    /// the daemon is down.
    private static let range: Range<UInt16> = 15_000..<32_000
    private static let taken = Mutex<Set<UInt16>>([])

    /// A port that is free now and was not handed out before.
    package static func free() throws -> Int {
        for _ in 0..<1_000 {
            let port = UInt16.random(in: range)
            let isNew = taken.withLock { $0.insert(port).inserted }
            if isNew, isFree(port) { return Int(port) }
        }
        throw HarnessError("no free port in \(range)")
    }

    private static func isFree(_ port: UInt16) -> Bool {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return false }
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}

/// The receiving end of systemd's notification protocol, played by the tests.
///
/// It must be read while it exists: a daemon that notifies into a full queue waits.
package final class NotifySocket {
    /// The path that goes into `NOTIFY_SOCKET`.
    package let path: String
    private let descriptor: Int32
    /// The latest `STATUS=`.
    package private(set) var status = ""
    /// Whether `READY=1` has come.
    package private(set) var isReady = false

    /// Listens at a path of at most 107 bytes.
    package init(path: String) throws {
        self.path = path
        unlink(path)
        let kind = SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        descriptor = socket(AF_UNIX, Int32(kind), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw HarnessError("\(path) is too long for a socket")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard descriptor >= 0, result == 0 else { throw HarnessError("cannot bind \(path)") }
    }

    deinit {
        close(descriptor)
        unlink(path)
    }

    /// Takes what has arrived.
    package func receive() {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            let text = String(decoding: buffer[..<count], as: UTF8.self)
            for line in text.split(separator: "\n") {
                if line == "READY=1" { isReady = true }
                if line.hasPrefix("STATUS=") { status = String(line.dropFirst(7)) }
            }
        }
    }
}
