import InterBroker
public import InterBrokerProtocol
import NIOCore

/// The handlers' way to the controllers: from the event loop into the link, and back.
///
/// - Thread: the broker's event loop.
public final class LinkAccess: ControllerAccess {
    private let link: ControllerLink
    private let eventLoop: any EventLoop
    private var asking = 0

    /// Questions that wait for an answer; more are refused.
    private static let askingMax = 1_000

    /// Makes the way for one broker.
    public init(link: ControllerLink, broker: Broker) {
        self.link = link
        self.eventLoop = broker.eventLoop
    }

    /// Asks the controller leader; the completion comes on the event loop.
    public func ask<Request: InterBrokerRequest>(
        _ request: Request,
        completion: @escaping (Result<Request.Response, Refusal>) -> Void
    ) {
        eventLoop.preconditionInEventLoop()
        guard asking < Self.askingMax else {
            return completion(.failure(Refusal("too many requests to the controllers")))
        }
        asking += 1
        let bound = NIOLoopBound((self, completion), eventLoop: eventLoop)
        let link = link
        let eventLoop = eventLoop
        // Ends with its answer or its deadline, and holds nothing but the two.
        Task {
            let result: Result<Request.Response, Refusal>
            do throws(InterBrokerError) {
                result = .success(try await link.ask(request))
            } catch {
                if case .refused(let refusal) = error {
                    result = .failure(refusal)
                } else {
                    result = .failure(Refusal("\(error)"))
                }
            }
            eventLoop.execute {
                let (access, completion) = bound.value
                access.asking -= 1
                completion(result)
            }
        }
    }
}
