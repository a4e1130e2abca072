import InterBroker
import InterBrokerProtocol
import Model

/// Takes the changes that the controller leader pushes.
struct MetadataChangedHandler: InterBrokerRequestHandler {
    let broker: BrokerReference

    func handle(
        _ request: MetadataChangedRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> MetadataChangedResponse {
        do {
            let update = try MetadataUpdate(request)
            let version = try await broker.run { broker in
                broker.apply(update)
                return broker.metadata.version
            }
            return MetadataChangedResponse(metadataVersion: version)
        } catch let error as MetadataUpdate.Unreadable {
            throw Refusal("unreadable metadata", message: error.reason)
        } catch {
            throw Refusal("the broker stops")
        }
    }
}
