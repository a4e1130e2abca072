public import Model

/// Why a group could not be started or stopped.
public enum RaftHostError: Error, Equatable, CustomStringConvertible {
    /// The group runs here already.
    case alreadyRunning(RaftGroupID)
    /// The group does not run here.
    case notRunning(RaftGroupID)
    /// The disk refused; nothing of this daemon's log can be trusted to be stored from now on.
    case storage(String)

    /// A sentence for the log.
    public var description: String {
        switch self {
        case .alreadyRunning: "Raft group already running"
        case .notRunning: "not running"
        case .storage(let reason): reason
        }
    }
}
