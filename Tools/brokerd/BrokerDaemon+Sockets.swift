import Glibc
import InterBroker
import Model
import NIOCore
import Settings
import Systemd

// Listening sockets that outlive the process: a unit's, or those that systemd keeps for us.
extension BrokerDaemon {
    /// Names of passed sockets: `FileDescriptorName=` in the socket units, `FDNAME=` of the store.
    enum SocketName {
        static let clients = "clients"
        static let peers = "peers"
    }

    /// The passed socket with this name that listens where the settings say; nil without one.
    ///
    /// Any other of this name is closed: the settings may have changed since it was kept, and what
    /// is advertised to clients comes from them.
    func passedSocket(named name: String, for address: Address) -> NIOBSDSocket.Handle? {
        var found: NIOBSDSocket.Handle?
        let passed = ServiceManager.listenSockets(named: name)
        for descriptor in passed {
            if found == nil, ListeningSocket.isBound(descriptor, to: address) {
                found = descriptor
            } else {
                close(descriptor)
            }
        }
        if found == nil, !passed.isEmpty {
            ServiceManager.forget(name: name)
            // What it keeps on 127.0.0.1 would stand in the way of the same port on 0.0.0.0.
            _ = ServiceManager.waitUntilHeard()
        }
        return found
    }

    /// Binds, again for up to a second while something is in the way: systemd may still be about to
    /// close what it was told to forget.
    private func bindPatiently(_ address: Address) async throws -> NIOBSDSocket.Handle {
        for _ in 0..<20 {
            if let bound = try? ListeningSocket.bind(address) { return bound }
            try await Task.sleep(for: .milliseconds(50))
        }
        return try ListeningSocket.bind(address)
    }

    /// The clients' socket: as it was passed, or bound here and given to systemd to keep.
    ///
    /// While this process is gone, connections wait in the kept socket's queue, be it over a
    /// restart or a crash: no client is refused. Where nobody keeps it, nothing is lost either.
    func clientSocket() async throws -> NIOBSDSocket.Handle {
        let address = settings.listeners.client
        let isPassed = !ServiceManager.listenSockets(named: SocketName.clients).isEmpty
        if let passed = passedSocket(named: SocketName.clients, for: address) { return passed }
        let bound =
            isPassed ? try await bindPatiently(address) : try ListeningSocket.bind(address)
        _ = ServiceManager.store(descriptor: bound, name: SocketName.clients)
        return bound
    }
}
