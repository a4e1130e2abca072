public import Disk
import FoundationEssentials
public import InterBroker
public import Model
import Synchronization

/// What a broker remembers of the controllers over restarts: the cluster, the newest epoch, and
/// where they are.
///
/// - Shape: the file `broker.json` in the data directory; JSON with sorted keys, replaced as a
///   whole (new file, sync, rename, sync of the directory), so that it is never half written.
/// - Thread: any; writes run on the disk executor, one after the other.
public final class BrokerStateFile: ControllerEpochStore {
    /// The file's content.
    public struct State: Codable, Equatable, Sendable {
        /// The version of the format.
        public var formatVersion = 1
        /// The broker that the directory belongs to.
        public var brokerID: Int32
        /// The cluster that it belongs to; nil before the first registration.
        public var clusterID: String?
        /// The newest controller epoch that was seen.
        public var controllerEpoch: UInt64 = 0
        /// Where the controllers were when they last said so; nil before that.
        public var controllers: [Controller]?

        /// A controller's number and peer address.
        public struct Controller: Codable, Equatable, Sendable {
            /// The number.
            public var id: Int32
            /// The address.
            public var address: String
        }

        private enum CodingKeys: String, CodingKey {
            case formatVersion = "format_version"
            case brokerID = "broker_id"
            case clusterID = "cluster_id"
            case controllerEpoch = "controller_epoch"
            case controllers
        }
    }

    /// Why the file is of no use.
    public enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
        /// It could not be read or written.
        case disk(DiskError)
        /// It is not what this program writes.
        case unreadable(String)
        /// The directory belongs to another broker.
        case otherBroker(Int32, path: String)

        /// A sentence for the log.
        public var description: String {
            switch self {
            case .disk(let error): "\(error)"
            case .unreadable(let path): "\(path) cannot be understood"
            case .otherBroker(let id, let path):
                "\(path) says that this directory belongs to broker \(id)"
            }
        }
    }

    private static let name = "broker.json"

    private let directory: String
    private let files: any FileStore
    private let executor: any DiskExecutor
    private let state: Mutex<State>

    private init(
        _ directory: String,
        _ files: any FileStore,
        _ executor: any DiskExecutor,
        _ state: State
    ) {
        self.directory = directory
        self.files = files
        self.executor = executor
        self.state = Mutex(state)
    }

    /// Reads the file, or begins with nothing if there is none.
    public static func open(
        directory: String,
        broker: BrokerID,
        files: any FileStore,
        executor: any DiskExecutor
    ) throws(Failure) -> BrokerStateFile {
        let path = "\(directory)/\(name)"
        guard files.kind(of: path) != nil else {
            return BrokerStateFile(directory, files, executor, State(brokerID: broker.rawValue))
        }
        let bytes: [UInt8]
        do {
            let file = try files.open(path, .read)
            bytes = try file.read(Int(clamping: min(file.size(), 1 << 16)), at: 0)
        } catch {
            throw .disk(error)
        }
        guard let state = try? JSONDecoder().decode(State.self, from: Data(bytes)),
            state.formatVersion == 1
        else { throw .unreadable(path) }
        guard state.brokerID == broker.rawValue else {
            throw .otherBroker(state.brokerID, path: path)
        }
        return BrokerStateFile(directory, files, executor, state)
    }

    /// The cluster that the directory belongs to.
    public var clusterID: ClusterID? {
        state.withLock { $0.clusterID }.flatMap { ClusterID(text: $0) }
    }

    /// The newest controller epoch that was stored.
    public var controllerEpoch: ControllerEpoch {
        ControllerEpoch(state.withLock { $0.controllerEpoch })
    }

    /// Stores the cluster; returns once that is durable.
    public func save(_ cluster: ClusterID) async throws {
        try await change { $0.clusterID = cluster.description }
    }

    /// Stores the newest controller epoch; returns once that is durable.
    public func save(_ epoch: ControllerEpoch) async throws {
        try await change { $0.controllerEpoch = max($0.controllerEpoch, epoch.rawValue) }
    }

    /// Where the controllers were when they last said so, in order of numbers.
    public var controllers: [InterBrokerTarget] {
        (state.withLock { $0.controllers } ?? []).map {
            InterBrokerTarget(id: $0.id, address: $0.address)
        }
    }

    /// Stores where the controllers are; returns once that is durable.
    public func save(_ controllers: [InterBrokerTarget]) async throws {
        try await change { state in
            state.controllers = controllers.map {
                State.Controller(id: $0.id, address: $0.address)
            }
        }
    }

    private func change(_ body: @escaping @Sendable (inout State) -> Void) async throws {
        let result: Result<Void, Failure> = await withCheckedContinuation { continuation in
            executor.run {
                let state = self.state.withLock { state in
                    body(&state)
                    return state
                }
                continuation.resume(returning: self.write(state))
            }
        }
        try result.get()
    }

    private func write(_ state: State) -> Result<Void, Failure> {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        guard let bytes = try? encoder.encode(state) else {
            return .failure(.unreadable(Self.name))
        }
        do throws(DiskError) {
            try files.replace(Self.name, in: directory, with: Array(bytes))
            return .success(())
        } catch {
            return .failure(.disk(error))
        }
    }
}
