import Glibc
import InterBroker
import Model
import Testing

@Suite struct ListeningSocketTests {
    /// The port that the kernel chose.
    private func port(of descriptor: Int32) -> Int {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let answer = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &size)
            }
        }
        return answer == 0 ? Int(UInt16(bigEndian: address.sin_port)) : 0
    }

    @Test func `a socket listens where it was bound, and nowhere else`() throws {
        let socket = try ListeningSocket.bind(Address(host: "127.0.0.1", port: 0))
        defer { close(socket) }
        let port = port(of: socket)
        #expect(port > 0)
        #expect(ListeningSocket.isBound(socket, to: Address(host: "127.0.0.1", port: port)))
        #expect(ListeningSocket.isBound(socket, to: Address(host: "localhost", port: port)))
        #expect(!ListeningSocket.isBound(socket, to: Address(host: "127.0.0.1", port: port + 1)))
        #expect(!ListeningSocket.isBound(socket, to: Address(host: "0.0.0.0", port: port)))
        #expect(!ListeningSocket.isBound(-1, to: Address(host: "127.0.0.1", port: port)))
    }

    @Test func `an address that is taken is refused in the system's words`() throws {
        let socket = try ListeningSocket.bind(Address(host: "127.0.0.1", port: 0))
        defer { close(socket) }
        let taken = Address(host: "127.0.0.1", port: port(of: socket))
        #expect(
            throws: InterBrokerError.cannotListen(
                address: taken.description,
                reason: "Address already in use"
            )
        ) { try ListeningSocket.bind(taken) }
    }
}
