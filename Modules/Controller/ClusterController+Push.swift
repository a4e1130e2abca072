import InterBroker
import InterBrokerProtocol
import Metadata
import Model
import Telemetry

// Changes travel to brokers at once, in one push at a time for each of them.
extension ClusterController {
    /// Begins a push to every broker that is online and lacks something.
    func push() {
        guard let reign else { return }
        let now = clock.now
        for broker in store.metadata.onlineBrokers {
            guard
                let push = self.reign?.pushes.begin(to: broker.id, store, reign.leaders, at: now)
            else { continue }
            let target = InterBrokerTarget(id: broker.id.rawValue, address: broker.peerAddress)
            let communicator = communicator(reign, limit: configuration.pushTimeout)
            own { controller in
                let answer: MetadataChangedResponse?
                do {
                    answer = try await communicator.send(push.request, to: target)
                } catch {
                    answer = nil
                }
                await controller.pushed(push, to: broker.id, answer, in: reign.epoch)
            }
        }
    }

    private func pushed(
        _ push: PushTable.Push,
        to broker: BrokerID,
        _ answer: MetadataChangedResponse?,
        in epoch: ControllerEpoch
    ) {
        guard reign?.epoch == epoch else { return }
        if let answer {
            metrics.pushes.add()
            let version = answer.metadataVersion
            reign?.pushes.succeed(push, to: broker, holding: version, at: clock.now)
        } else {
            metrics.pushesFailed.add()
            reign?.pushes.fail(to: broker, at: clock.now)
        }
        self.push()
        checkWaiters()
    }
}
