import InterBroker
import Logging

/// Counts client connections against the limits, in total and for each address, and keeps some of
/// the process's file descriptors out of the clients' reach.
///
/// - Thread: the broker's event loop.
struct ConnectionLimits {
    /// Why a connection is refused.
    enum Refusal: Hashable, CustomStringConvertible {
        /// The broker has its whole number of connections.
        case total(limit: Int)
        /// The address has its whole number of connections.
        case perAddress(limit: Int)
        /// What is left of the process's file descriptors is not for clients.
        case descriptors(limit: Int, kept: Int)

        var description: String {
            switch self {
            case .total(let limit): "\(limit) clients are connected, which is the limit"
            case .perAddress(let limit):
                "\(limit) connections from its address are open, which is the limit"
            case .descriptors(let limit, let kept):
                """
                the process may have \(limit) files open (LimitNOFILE= of the unit), of which the \
                last \(kept) are kept for the log and for peers
                """
            }
        }
    }

    let totalMax: Int
    let perAddressMax: Int
    /// How many files the process may have open.
    let descriptorLimit: Int
    private(set) var total = 0
    private var byAddress: [String: Int] = [:]
    private var lines = LineBudget<Refusal>()

    init(totalMax: Int, perAddressMax: Int, descriptorLimit: Int = .max) {
        self.totalMax = totalMax
        self.perAddressMax = perAddressMax
        self.descriptorLimit = descriptorLimit
    }

    /// The descriptors that no client gets: without one for its next file the log would fail, and
    /// without one for its session with the controllers the broker would count as offline.
    var descriptorsKept: Int { min(descriptorLimit / 4, 1024) }

    /// Counts a connection, or says why it is refused.
    ///
    /// - Parameter descriptor: the connection's own. The kernel gives the lowest that is free, so
    ///   its number says how many are in use at least.
    mutating func admit(_ address: String, descriptor: Int = 0) -> Refusal? {
        guard total < totalMax else { return .total(limit: totalMax) }
        let count = byAddress[address, default: 0]
        guard count < perAddressMax else { return .perAddress(limit: perAddressMax) }
        guard descriptor < descriptorLimit - descriptorsKept else {
            return .descriptors(limit: descriptorLimit, kept: descriptorsKept)
        }
        total += 1
        byAddress[address] = count + 1
        return nil
    }

    /// Logs a refusal, unless there are too many lines of its kind: refused clients come back.
    mutating func log(_ refusal: Refusal, of peer: String, _ logger: Logger) {
        guard let unlogged = lines.take(refusal) else { return }
        LogLines.connectionRefused(peer, refusal, unlogged, logger)
    }

    /// Gives back what `admit` counted.
    mutating func leave(_ address: String) {
        guard let count = byAddress[address] else {
            preconditionFailure("\(address) leaves without having been admitted")
        }
        total -= 1
        byAddress[address] = count > 1 ? count - 1 : nil
    }
}
