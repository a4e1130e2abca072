import InterBrokerProtocol
import Metadata
import Model

/// Why a change of the controllers is refused: Kafka's error code and a sentence.
struct ControllerFailure: Error, Equatable {
    let code: ControllerErrorCode
    let message: String

    init(_ code: ControllerErrorCode, _ message: String) {
        self.code = code
        self.message = message
    }
}

/// Kafka's codes for changes of the controllers.
///
/// - Source: the Kafka protocol guide, "Error Codes"; KIP-853.
enum ControllerErrorCode: Int16, Sendable {
    case none = 0
    case requestTimedOut = 7
    case brokerNotAvailable = 8
    case invalidRequest = 42
    case inconsistentClusterID = 104
    case duplicateVoter = 126
    case voterNotFound = 127
}

/// Whether a controller that was found at an address may belong to the controllers.
enum ControllerAdmission {
    /// What is to be done with it.
    enum Verdict: Equatable {
        /// Commit this; what it changes, or that it changes nothing, the metadata decide.
        case place(ControllerPlacement)
        /// It has its place, which it will take when it is back.
        case isPlaced
        /// Ask at this address whether the replica there still runs: if so, refuse.
        case ask(ControllerReplica, then: ControllerPlacement)
        case refuse(ControllerFailure)
    }

    /// Judges what answered at the address; nil if nothing did.
    static func judge(
        _ request: AddControllerRequest,
        _ answer: ControllerDiscoverResponse?,
        _ metadata: ClusterMetadata,
        _ cluster: ClusterID?
    ) -> Verdict {
        let known = metadata.controllerReplicas(of: request.id).filter { $0.state != .leaving }
        guard let answer else {
            let isComing = known.contains {
                $0.state == .joining && $0.address == request.address
                    && (request.directoryID ?? $0.directoryID) == $0.directoryID
            }
            return isComing ? .isPlaced : .refuse(silent(request))
        }
        guard answer.controllerID == request.id, let directory = answer.directoryID else {
            return .refuse(
                ControllerFailure(
                    .invalidRequest,
                    "what answers at \(request.address) is not controller \(request.id)"
                )
            )
        }
        if let wanted = request.directoryID, wanted != directory {
            return .refuse(
                ControllerFailure(
                    .invalidRequest,
                    "controller \(request.id) has data directory \(directory), not \(wanted)"
                )
            )
        }
        if let theirs = answer.clusterID, let cluster, theirs != cluster {
            return .refuse(
                ControllerFailure(
                    .inconsistentClusterID,
                    "controller \(request.id) at \(request.address) belongs to cluster \(theirs)"
                )
            )
        }
        let placement = ControllerPlacement(
            id: request.id,
            node: answer.nodeID,
            directoryID: directory,
            address: request.address
        )
        let former = known.first {
            $0.state == .voting && $0.node != answer.nodeID && $0.address != request.address
                && $0.directoryID != directory
        }
        if let former { return .ask(former, then: placement) }
        return .place(placement)
    }

    private static func silent(_ request: AddControllerRequest) -> ControllerFailure {
        ControllerFailure(
            .brokerNotAvailable,
            """
            controller \(request.id) does not answer at \(request.address): start it there first, \
            with an empty data directory
            """
        )
    }

    /// The refusal of a second controller under the number of one that runs.
    static func isAlive(_ former: ControllerReplica) -> ControllerFailure {
        ControllerFailure(
            .duplicateVoter,
            """
            controller \(former.id) runs at \(former.address) with all its data: stop it before \
            another one takes its number
            """
        )
    }
}
