import Glibc
import Model
import NIOCore
import NIOPosix
import Synchronization
import Telemetry
import Testing

@testable import Console

/// A client of a few lines: what is sent and what comes back are visible byte for byte.
private final class Client {
    private let descriptor: Int32

    init(_ port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, size)
            }
        }
        try #require(result == 0)
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        let length = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, length)
    }

    deinit { close(descriptor) }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Some bytes of an answer.
    func some() -> String {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
    }

    /// Everything until the server closes.
    func rest() -> String {
        var text: [UInt8] = []
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while case let count = recv(descriptor, &bytes, bytes.count, 0), count > 0 {
            text += bytes[..<count]
        }
        return String(decoding: text, as: UTF8.self)
    }
}

@Suite(.timeLimit(.minutes(1))) struct ConsoleServerTests {
    private let metrics = MetricsRegistry()

    private func serve(
        _ limits: ConsoleServer.Limits = .init(),
        isHealthy: Bool = true,
        _ body: (Int) throws -> Void
    ) async throws {
        let server = ConsoleServer(
            group: MultiThreadedEventLoopGroup.singleton,
            metrics: metrics,
            limits: limits
        ) {
            HealthReport(
                isHealthy: isHealthy,
                status: "serving: \"3\" partitions",
                fields: [
                    ("broker_id", .number(1)), ("leader", .flag(false)), ("x", .text("\u{1}")),
                ]
            )
        }
        let bound = try await server.bind(Address(host: "127.0.0.1", port: 0))
        try body(bound.port)
        await server.close()
    }

    private func ask(_ port: Int, _ request: String) -> String {
        guard let client = try? Client(port) else { return "cannot connect" }
        client.send(request)
        return client.rest()
    }

    private func get(_ path: String, _ method: String = "GET") -> String {
        "\(method) \(path) HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    }

    @Test func `metrics are Prometheus text`() async throws {
        metrics.counter(.walFrames).add(3)
        try await serve { port in
            let answer = ask(port, get("/metrics?x=1"))
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"))
            #expect(answer.contains("\nwal_frames_total 3\n"))
        }
    }

    @Test func `health is JSON with 200 or 503`() async throws {
        let json =
            #"{"healthy":true,"status":"serving: \"3\" partitions","broker_id":1,"leader":false,"#
            + #""x":"\u0001"}"#
        try await serve { port in
            let answer = ask(port, get("/health"))
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(answer.contains("content-type: application/json\r\n"))
            #expect(answer.hasSuffix("\r\n\r\n\(json)\n"))
        }
        try await serve(isHealthy: false) { port in
            let answer = ask(port, get("/health"))
            #expect(answer.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
            #expect(answer.contains("{\"healthy\":false,"))
        }
    }

    @Test func `a connection serves request after request`() async throws {
        try await serve { port in
            let two = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n" + get("/health", "HEAD")
            let answer = ask(port, two)
            #expect(answer.split(separator: "HTTP/1.1 200 OK").count == 2)
            #expect(answer.split(separator: "\"healthy\"").count == 2)
        }
    }

    @Test(
        arguments: [
            ("GET", "/nothing", "404"), ("POST", "/metrics", "405"), ("GET", "/", "200"),
            ("DELETE", "/", "405"),
        ]
    ) func `other paths and methods are answered`(method: String, path: String, code: String)
        async throws
    {
        try await serve { port in
            #expect(ask(port, get(path, method)).hasPrefix("HTTP/1.1 \(code) "))
        }
    }

    @Test func `a body beyond the bound is 413, announced or not`() async throws {
        try await serve { port in
            let announced = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n"
            #expect(ask(port, announced).hasPrefix("HTTP/1.1 413 "))
            let chunk = "1000\r\n" + String(repeating: "x", count: 4096) + "\r\n"
            let chunked = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
            #expect(ask(port, chunked + chunk + chunk).hasPrefix("HTTP/1.1 413 "))
        }
    }

    @Test func `headers beyond the bound are 431`() async throws {
        try await serve { port in
            let long = "GET / HTTP/1.1\r\nx: " + String(repeating: "y", count: 20_000) + "\r\n\r\n"
            #expect(ask(port, long).hasPrefix("HTTP/1.1 431 "))
        }
    }

    @Test func `what is not HTTP is 400 and closed`() async throws {
        try await serve { port in
            #expect(ask(port, "\0\0\0\u{10}hello\r\n\r\n").hasPrefix("HTTP/1.1 400 "))
        }
    }

    @Test func `half a request is closed when its time is over`() async throws {
        var limits = ConsoleServer.Limits()
        limits.requestTimeout = .milliseconds(50)
        try await serve(limits) { port in
            #expect(ask(port, "GET /metrics HTTP/1.1\r\nhost:") == "")
        }
    }

    @Test func `connections beyond the bound are closed`() async throws {
        var limits = ConsoleServer.Limits()
        limits.connectionsMax = 1
        try await serve(limits) { port in
            let first = try Client(port)
            // An answer proves that the first connection is counted.
            first.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            #expect(first.some().hasPrefix("HTTP/1.1 200 OK"))
            let second = try Client(port)
            #expect(second.rest() == "")
            first.send(get("/health"))
            #expect(first.rest().hasPrefix("HTTP/1.1 200 OK"))
        }
    }

    @Test func `requests are counted by path and status`() async throws {
        try await serve { port in
            _ = ask(port, get("/health"))
            _ = ask(port, get("/secret/42"))
            _ = ask(port, "GET  \r\n\r\n")
        }
        #expect(metrics.value(.httpRequests, ["path": "/health", "status": "200"]) == 1)
        #expect(metrics.value(.httpRequests, ["path": "other", "status": "404"]) == 1)
        #expect(metrics.value(.httpRequests, ["path": "other", "status": "400"]) == 1)
    }
}
