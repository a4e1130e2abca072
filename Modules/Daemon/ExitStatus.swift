/// How a daemon ended, in the numbers of sysexits.h; only a tool's main exits with it.
public enum ExitStatus: Int32, Sendable {
    /// Stopped as asked.
    case success = 0
    /// Something failed; systemd starts the daemon again.
    case failure = 1
    /// The command line is wrong.
    case usage = 64
    /// A fault of the program itself.
    case software = 70
    /// The data directory failed; systemd does not start the daemon again.
    case storage = 74
    /// The settings are refused; systemd does not start the daemon again.
    case config = 78
}
