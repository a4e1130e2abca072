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
    /// How often more time was asked for.
    package private(set) var extensions = 0
    /// Every message that has come, as it was sent.
    package private(set) var messages: [String] = []
    /// The descriptors that were given away to be kept, by name; they belong to this object.
    package private(set) var kept: [(name: String, descriptor: Int32)] = []

    /// The names of those that are to be kept no longer.
    package private(set) var forgotten: [String] = []

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
        for one in kept { close(one.descriptor) }
        unlink(path)
    }

    /// Takes what has arrived.
    package func receive() {
        while let (text, descriptors) = next() {
            messages.append(text)
            var name = ""
            for line in text.split(separator: "\n") {
                if line == "READY=1" { isReady = true }
                if line.hasPrefix("EXTEND_TIMEOUT_USEC=") { extensions += 1 }
                if line.hasPrefix("FDNAME=") { name = String(line.dropFirst(7)) }
                if line.hasPrefix("STATUS=") { status = String(line.dropFirst(7)) }
            }
            if text.hasPrefix("FDSTOREREMOVE=1") { forgotten.append(name) }
            if text.hasPrefix("BARRIER=1") {
                // Who sent it waits until its other end is closed.
                for descriptor in descriptors { close(descriptor) }
            } else {
                kept += descriptors.map { (name, $0) }
            }
        }
    }

    /// One datagram and the descriptors that came with it; nil when none waits.
    private func next() -> (String, [Int32])? {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        // A header of 16 bytes, then the descriptors: Swift does not see the CMSG macros.
        var control = [UInt64](repeating: 0, count: 16)
        let size = control.count * 8
        return buffer.withUnsafeMutableBytes { bytes -> (String, [Int32])? in
            control.withUnsafeMutableBytes { control -> (String, [Int32])? in
                var part = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                return withUnsafeMutablePointer(to: &part) { part -> (String, [Int32])? in
                    var message = msghdr()
                    message.msg_iov = part
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = size
                    let flags = Int32(MSG_CMSG_CLOEXEC)
                    let count = recvmsg(descriptor, &message, flags)
                    guard count > 0 else { return nil }
                    let text = String(decoding: bytes[..<count], as: UTF8.self)
                    let header = control.load(as: cmsghdr.self)
                    guard message.msg_controllen >= 16, header.cmsg_level == SOL_SOCKET,
                        header.cmsg_type == Int32(SCM_RIGHTS)
                    else { return (text, []) }
                    let end = min(Int(header.cmsg_len), size)
                    let found = stride(from: 16, to: end, by: 4).map {
                        control.load(fromByteOffset: $0, as: Int32.self)
                    }
                    return (text, found)
                }
            }
        }
    }
}
