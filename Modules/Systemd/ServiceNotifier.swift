import CSystemd
import Glibc

/// Where messages to the service manager go; tests put a recorder here.
public protocol ServiceNotifier: Sendable {
    /// Sends one message; failure is not an error, since a daemon also runs without a manager.
    func send(_ message: NotifyMessage)
}

/// The service manager named by `NOTIFY_SOCKET`; without one, messages go nowhere.
///
/// - Thread: any but an event loop's, since a full socket blocks.
public struct SystemdNotifier: ServiceNotifier {
    /// Makes the notifier; it holds nothing.
    public init() {}

    /// Sends by sd_notify.
    public func send(_ message: NotifyMessage) { _ = sd_notify(0, message.text) }
}

/// What the service manager has handed to this process.
public enum ServiceManager {
    /// The time within which the manager wants to hear from the watchdog, nil without
    /// `WatchdogSec=`.
    public static func watchdogTimeout() -> Duration? {
        var microseconds: UInt64 = 0
        guard sd_watchdog_enabled(0, &microseconds) > 0, microseconds > 0 else { return nil }
        return .microseconds(Int64(min(microseconds, UInt64(Int64.max / 1_000))))
    }

    /// Whether the whole system is going down.
    ///
    /// systemd says so to whom it may concern in `/run/nologin`: systemd-user-sessions.service
    /// writes it as one of the first things of a shutdown (and logind five minutes before a planned
    /// one). `systemctl is-system-running` would need a process, and a bus that may be gone by
    /// then. The file of a boot is gone once sessions are allowed; a daemon that stops before that
    /// just waits for nobody.
    public static func isSystemStopping(file: String = "/run/nologin") -> Bool {
        access(file, F_OK) == 0
    }

    /// A socket passed in by a `.socket` unit or kept in the file descriptor store.
    public struct ListenSocket: Equatable, Sendable {
        /// `FileDescriptorName=`, or `FDNAME=` of the store.
        public let name: String
        /// The descriptor; close-on-exec is set.
        public let descriptor: Int32
    }

    /// All passed sockets; empty when there are none or when they are for another process.
    public static func listenSockets() -> [ListenSocket] {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = sd_listen_fds_with_names(0, &names)
        defer {
            for position in 0..<Int(max(0, count)) { free(names?[position]) }
            free(names)
        }
        return (0..<Int(max(0, count))).map { position in
            let name = names?[position].map { String(cString: $0) } ?? "unknown"
            return ListenSocket(name: name, descriptor: 3 + Int32(position))
        }
    }

    /// The listening stream sockets with this name: a unit's, one that was kept, or both.
    public static func listenSockets(named name: String) -> [Int32] {
        let type = Int32(SOCK_STREAM.rawValue)
        return listenSockets()
            .filter { $0.name == name && sd_is_socket($0.descriptor, 0, type, 1) > 0 }
            .map(\.descriptor)
    }

    /// Gives a descriptor to the manager, which keeps it over a restart.
    ///
    /// The manager has a duplicate of its own once this returns.
    public static func store(descriptor: Int32, name: String) -> Bool {
        var descriptors = [descriptor]
        return sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=\(name)", &descriptors, 1) > 0
    }

    /// Lets the manager forget the descriptors that it keeps under this name.
    public static func forget(name: String) {
        _ = sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=\(name)")
    }

    /// Waits until the manager has acted on everything that it was sent before.
    ///
    /// - Returns: false when it does not within the time.
    public static func waitUntilHeard(timeout: Duration = .seconds(5)) -> Bool {
        let (seconds, attoseconds) = timeout.components
        let microseconds = UInt64(max(0, seconds)) * 1_000_000
        return sd_notify_barrier(0, microseconds + UInt64(attoseconds / 1_000_000_000_000)) >= 0
    }

    /// The directory of `LoadCredential=` files, nil without any.
    public static var credentialsDirectory: String? {
        getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) }
    }

    /// The bytes of a credential; nil when it is absent, unreadable or larger than 64 KiB.
    public static func credential(_ name: String) -> [UInt8]? {
        guard let directory = credentialsDirectory, !name.isEmpty, !name.contains("/"),
            name != "..", name != "."
        else { return nil }
        let file = open("\(directory)/\(name)", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 65_537)
        let count = read(file, &bytes, bytes.count)
        guard count >= 0, count < bytes.count else { return nil }
        return Array(bytes[..<count])
    }
}
