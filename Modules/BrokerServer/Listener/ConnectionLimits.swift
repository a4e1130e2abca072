/// Counts client connections against the limits, in total and for each address.
///
/// - Thread: the broker's event loop.
struct ConnectionLimits {
    /// Why a connection is refused.
    enum Refusal: Equatable {
        /// The broker has its whole number of connections.
        case total(limit: Int)
        /// The address has its whole number of connections.
        case perAddress(limit: Int)
    }

    let totalMax: Int
    let perAddressMax: Int
    private(set) var total = 0
    private var byAddress: [String: Int] = [:]

    init(totalMax: Int, perAddressMax: Int) {
        self.totalMax = totalMax
        self.perAddressMax = perAddressMax
    }

    /// Counts a connection, or says why it is refused.
    mutating func admit(_ address: String) -> Refusal? {
        guard total < totalMax else { return .total(limit: totalMax) }
        let count = byAddress[address, default: 0]
        guard count < perAddressMax else { return .perAddress(limit: perAddressMax) }
        total += 1
        byAddress[address] = count + 1
        return nil
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
