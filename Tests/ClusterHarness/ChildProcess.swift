import Glibc

/// A process that the tests have started, known by its pid until it is reaped here.
///
/// - Invariant: signals go to `pid` only while it has not been reaped, so never to a stranger.
package final class ChildProcess {
    /// How a process ended.
    package enum Exit: Equatable, Sendable {
        case status(Int32)
        case signal(Int32)
    }

    /// The process's number.
    package let pid: pid_t
    private var exit: Exit?

    /// Starts a program; its standard streams are files, and it inherits no other descriptor.
    ///
    /// - Parameter passing: a descriptor that it gets as its number 3 nevertheless.
    package init(
        _ program: String,
        _ arguments: [String],
        environment: [String: String],
        input: String = "/dev/null",
        passing: Int32? = nil,
        output: String,
        errors: String
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let flags = O_WRONLY | O_CREAT | O_APPEND
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, flags, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, errors, flags, 0o644)
        if let passing { posix_spawn_file_actions_adddup2(&actions, passing, 3) }
        Self.keepDescriptorsToOurselves()
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        let wanted = Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF)
        posix_spawnattr_setflags(&attributes, wanted)

        var child: pid_t = 0
        var argv: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
        var envp: [UnsafeMutablePointer<CChar>?] = environment.map {
            strdup("\($0.key)=\($0.value)")
        }
        defer { for pointer in argv + envp { free(pointer) } }
        argv.append(nil)
        envp.append(nil)
        let error = posix_spawnp(&child, program, &actions, &attributes, argv, envp)
        guard error == 0 else {
            throw HarnessError("cannot start \(program): \(String(cString: strerror(error)))")
        }
        pid = child
    }

    deinit { end() }

    /// Marks whatever this process has open as not to be inherited: a test library may have opened
    /// files without the mark, and a daemon must not hold them.
    private static func keepDescriptorsToOurselves() {
        guard let handle = opendir("/proc/self/fd") else { return }
        defer { closedir(handle) }
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let descriptor = Int32(name), descriptor > 2 {
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            }
        }
    }

    /// How the process ended; nil while it runs.
    package func poll() -> Exit? {
        if let exit { return exit }
        var status: Int32 = 0
        let answer = waitpid(pid, &status, WNOHANG)
        guard answer == pid else { return nil }
        return note(status)
    }

    private func note(_ status: Int32) -> Exit {
        let signal = status & 0x7f
        let ended = signal == 0 ? Exit.status(status >> 8 & 0xff) : .signal(signal)
        exit = ended
        return ended
    }

    /// Sends a signal if the process still runs.
    package func send(_ signal: Int32) {
        if poll() == nil { kill(pid, signal) }
    }

    /// Waits until the process has ended.
    package func waitForExit(within patience: Duration) async throws -> Exit {
        try await eventually("the end of process \(pid)", within: patience) { poll() }
    }

    /// Ends the process at once and reaps it.
    package func end() {
        guard poll() == nil else { return }
        kill(pid, SIGKILL)
        var status: Int32 = 0
        if waitpid(pid, &status, 0) == pid { _ = note(status) }
    }
}
