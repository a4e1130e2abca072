import Glibc
public import Model
public import NIOCore

/// A listening TCP socket as a descriptor, which others can keep while a daemon is away.
///
/// NIO gives no descriptor away of what it has bound itself.
/// - Thread: any; a name in an address is looked up, which blocks.
public enum ListeningSocket {
    /// Binds to an address and listens; the caller owns the descriptor.
    ///
    /// - Parameter backlog: connections that may wait to be accepted; the kernel's own limit is
    ///   `net.core.somaxconn`.
    public static func bind(
        _ address: Address,
        backlog: Int32 = 4096
    ) throws(InterBrokerError) -> NIOBSDSocket.Handle {
        let resolved = try resolve(address)
        let kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        let descriptor = socket(Int32(resolved.protocol.rawValue), Int32(kind), 0)
        guard descriptor >= 0 else { throw failure(address) }
        var on: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, size)
        let bound = resolved.withSockAddr { Glibc.bind(descriptor, $0, socklen_t($1)) }
        guard bound == 0, listen(descriptor, backlog) == 0 else {
            let failure = failure(address)
            close(descriptor)
            throw failure
        }
        return descriptor
    }

    /// Whether a socket that was passed in listens where the settings say.
    public static func isBound(_ descriptor: NIOBSDSocket.Handle, to address: Address) -> Bool {
        guard let wanted = try? resolve(address), let bound = name(of: descriptor),
            wanted.port == bound.port
        else { return false }
        let any = ["0.0.0.0", "::"]
        return wanted.ipAddress == bound.ipAddress
            || any.contains(wanted.ipAddress ?? "") && any.contains(bound.ipAddress ?? "")
    }

    private static func resolve(_ address: Address) throws(InterBrokerError) -> SocketAddress {
        do {
            return try SocketAddress.makeAddressResolvingHost(address.host, port: address.port)
        } catch {
            throw .cannotListen(address: address.description, reason: "\(error)")
        }
    }

    private static func failure(_ address: Address) -> InterBrokerError {
        .cannotListen(address: address.description, reason: String(cString: strerror(errno)))
    }

    private static func name(of descriptor: NIOBSDSocket.Handle) -> SocketAddress? {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { pointer in
            let raw = UnsafeMutableRawPointer(pointer)
            let answer = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &size)
            }
            guard answer == 0 else { return nil }
            switch Int32(pointer.pointee.ss_family) {
            case AF_INET: return SocketAddress(raw.load(as: sockaddr_in.self))
            case AF_INET6: return SocketAddress(raw.load(as: sockaddr_in6.self))
            default: return nil
            }
        }
    }
}
