import ServiceLifecycle
import Synchronization

/// The turns of a service list: each service starts when the one above it has started.
struct ServiceLine: Sendable {
    private let turns: [(stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)]

    init(count: Int) {
        turns = (0..<count).map { _ in AsyncStream.makeStream(of: Void.self) }
    }

    /// Gives the turn to a position.
    func give(_ position: Int) {
        guard turns.indices.contains(position) else { return }
        turns[position].continuation.yield()
        turns[position].continuation.finish()
    }

    /// Waits for the turn; false when the daemon stops before it comes.
    func wait(_ position: Int) async -> Bool {
        let stream = turns[position].stream
        let came = await cancelWhenGracefulShutdown { () -> Bool in
            for await _ in stream { return true }
            return false
        }
        return came && !Task.isShuttingDownGracefully && !Task.isCancelled
    }
}

/// One service of the list as ServiceLifecycle runs it.
struct OrderedService: Service {
    let service: DaemonService
    let position: Int
    let line: ServiceLine
    let supervisor: Supervisor
    /// Says why the daemon ends, before ServiceLifecycle wraps the error.
    let failed: @Sendable (any Error) -> Void

    func run() async throws {
        guard await line.wait(position) else { return }
        supervisor.enter(.starting(service.name))
        do {
            let start = service.start
            try await cancelWhenGracefulShutdown { try await start() }
        } catch {
            let isStopping = Task.isShuttingDownGracefully
            await service.stop()
            if isStopping { return }
            failed(error)
            throw error
        }
        line.give(position + 1)
        var failure: (any Error)?
        do {
            if let run = service.run {
                try await run()
                if !Task.isShuttingDownGracefully {
                    throw DaemonFailure(
                        status: .software,
                        reason: "\(service.name) ended by itself"
                    )
                }
            } else {
                try await gracefulShutdown()
            }
        } catch {
            if !Task.isShuttingDownGracefully {
                failed(error)
                failure = error
            }
        }
        supervisor.enter(.stopping(service.name))
        await service.stop()
        if let failure { throw failure }
    }
}

/// The list's last line: READY when its turn comes, STOPPING before any other service stops.
struct ReadinessService: Service {
    let position: Int
    let line: ServiceLine
    let supervisor: Supervisor
    let ready: @Sendable () -> Void

    func run() async throws {
        if await line.wait(position) {
            supervisor.enter(.serving)
            supervisor.ready()
            ready()
            try? await gracefulShutdown()
        }
        supervisor.stopping()
        supervisor.enter(.stopping("services"))
    }
}
