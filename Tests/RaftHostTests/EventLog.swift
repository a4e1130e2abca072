import Logging
import Synchronization

/// What a host has logged, with the fields beside it.
final class EventLog: Sendable {
    /// One line.
    struct Event {
        let message: String
        let fields: [String: String]
    }

    private let events = Mutex<[Event]>([])

    /// The lines that begin with `prefix`, in order.
    func all(_ prefix: String) -> [Event] {
        events.withLock { $0.filter { $0.message.hasPrefix(prefix) } }
    }

    func logger() -> Logger { Logger(label: "test") { _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: EventLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let fields = (event.metadata ?? [:]).mapValues { "\($0)" }
            log.events.withLock {
                $0.append(Event(message: "\(event.message)", fields: fields))
            }
        }
    }
}
