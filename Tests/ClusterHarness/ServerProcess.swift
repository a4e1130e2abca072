import Glibc

/// One controllerd or brokerd of a test: its settings file, its data, its log, its process.
package final class ServerProcess {
    /// `controllerd` or `brokerd`.
    package let program: String
    /// Its number in the cluster.
    package let number: Int
    /// Its data directory.
    package let dataDirectory: String
    /// Where its standard error goes, over all restarts.
    package let logFile: String
    /// The port of `/health` and `/metrics`; nil if it has none.
    package let httpPort: Int?
    /// A controller as `ID@HOST:PORT` of its peer listener; empty for a broker.
    package internal(set) var endpoint = ""
    private let settingsFile: String
    private let directory: String
    /// Its client listener's port; 0 for a controller.
    package internal(set) var clientPort: UInt16 = 0
    private var process: ChildProcess?
    private var socket: NotifySocket?

    init(
        program: String,
        number: Int,
        in directory: String,
        httpPort: Int?,
        settings: (String) -> String
    ) throws {
        self.program = program
        self.number = number
        self.directory = directory
        self.httpPort = httpPort
        let name = "\(program)\(number)"
        dataDirectory = "\(directory)/\(name)"
        logFile = "\(directory)/\(name).log"
        settingsFile = "\(directory)/\(name).yaml"
        try writeFile(settingsFile, settings(dataDirectory))
    }

    /// Starts the daemon; it is not ready yet.
    ///
    /// - Parameter passing: a listening socket as systemd passes it, with its name.
    package func start(passing: (name: String, descriptor: Int32)? = nil) throws {
        precondition(process?.poll() != nil || process == nil, "\(program)\(number) runs already")
        // An older one takes its name away when it goes.
        socket = nil
        let socket = try NotifySocket(path: "\(directory)/\(program)\(number).notify")
        var environment = commandEnvironment()
        environment["NOTIFY_SOCKET"] = socket.path
        self.socket = socket
        var command = [try Places.product(program), "--config", settingsFile]
        if let passing {
            environment["LISTEN_FDS"] = "1"
            environment["LISTEN_FDNAMES"] = passing.name
            // Only the process itself knows the number that it will have.
            command = ["/bin/sh", "-c", "LISTEN_PID=$$ exec \"$@\"", "sh"] + command
        }
        process = try ChildProcess(
            command[0],
            Array(command.dropFirst()),
            environment: environment,
            passing: passing?.descriptor,
            output: logFile,
            errors: logFile
        )
    }

    /// Adds a line to the settings file.
    package func addSetting(_ line: String) throws {
        try writeFile(settingsFile, readFile(settingsFile) + line + "\n")
    }

    /// Waits for the daemon's READY=1.
    ///
    /// - Returns: where its further messages come in; who keeps it must read it.
    @discardableResult
    package func waitUntilReady(
        within patience: Duration = .seconds(30)
    ) async throws -> NotifySocket {
        guard let socket else { throw HarnessError("\(program)\(number) was not started") }
        try await eventually("\(program)\(number) is ready", within: patience) {
            socket.receive()
            if let exit = process?.poll() {
                throw HarnessError("\(program)\(number) ended: \(exit)\n\(logTail)")
            }
            return socket.isReady
        }
        // Left unread it would fill up, and the daemon would wait for it.
        self.socket = nil
        return socket
    }

    /// Whether its process runs.
    package var isRunning: Bool { process.map { $0.poll() == nil } ?? false }

    /// Sends a signal; SIGKILL also waits until the process is gone.
    package func send(_ signal: Int32) {
        if signal == SIGKILL {
            process?.end()
        } else {
            process?.send(signal)
        }
    }

    /// Waits until the daemon has ended by itself, and returns how it did.
    package func untilEnded(
        within patience: Duration = .seconds(20)
    ) async throws -> ChildProcess.Exit {
        guard let process else { throw HarnessError("\(program)\(number) was not started") }
        return try await process.waitForExit(within: patience)
    }

    /// Asks the daemon to end and returns how it did.
    package func stop(within patience: Duration = .seconds(20)) async throws -> ChildProcess.Exit {
        guard let process else { throw HarnessError("\(program)\(number) was not started") }
        process.send(SIGTERM)
        do {
            return try await process.waitForExit(within: patience)
        } catch {
            process.end()
            throw HarnessError("\(program)\(number) did not stop\n\(logTail)")
        }
    }

    /// What `/metrics` says of a name without labels; nil without a name or an answer.
    package func metric(_ name: String) async throws -> Double? {
        guard let httpPort else { return nil }
        let read = """
            import sys, urllib.request
            print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())
            """
        let address = "http://127.0.0.1:\(httpPort)/metrics"
        let answer = try await runCommand(Places.python, ["-c", read, address], in: directory)
        guard answer.isSuccess else { return nil }
        let line = answer.output.split(separator: "\n").first { $0.hasPrefix("\(name) ") }
        return line?.split(separator: " ").last.flatMap { Double($0) }
    }

    /// The last lines of its log.
    package var logTail: String {
        readFile(logFile).split(separator: "\n").suffix(25).joined(separator: "\n")
    }
}
