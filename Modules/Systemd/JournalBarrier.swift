import Glibc

/// Waits until journald has taken in everything that this process has sent.
///
/// journald reads the unit of an entry from `/proc` when it takes the entry in; when the process is
/// gone by then, `journalctl -u` does not find the entry. It takes datagrams in their order, one
/// after the other, and passes over empty ones: once an empty one that was sent last is read, all
/// before it are done.
enum JournalBarrier {
    static let journalSocket = "/run/systemd/journal/socket"

    /// False when there is no journald, or when it does not read within the time.
    static func wait(socket path: String, timeout: Duration) -> Bool {
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = Glibc.socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else { return false }
        let end = ContinuousClock.now + timeout
        var isSent = false
        repeat {
            if !isSent {
                let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
                isSent = send(descriptor, "", 0, flags) == 0
            }
            if isSent, unread(descriptor) == 0 { return true }
            // Nothing tells of a datagram that was read; it takes some tenths of a millisecond.
            usleep(200)
        } while ContinuousClock.now < end
        return false
    }

    /// How much of what was sent on the socket nobody has read yet.
    private static func unread(_ descriptor: Int32) -> Int32 {
        var bytes: Int32 = 0
        return ioctl(descriptor, UInt(TIOCOUTQ), &bytes) == 0 ? bytes : 0
    }
}
