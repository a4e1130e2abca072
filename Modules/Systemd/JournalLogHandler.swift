public import Logging

/// swift-log's way into a ``LogPipeline``.
///
/// Metadata keys: `message-id` becomes MESSAGE_ID; `MARTLET_GROUP` and its sisters become journal
/// fields as they are and stay out of the text on stderr; any other key becomes `MARTLET_KEY` and
/// is shown.
public struct JournalLogHandler: LogHandler {
    private let label: String
    private let pipeline: LogPipeline
    private var ownLevel: Logger.Level?

    /// Metadata of every entry.
    public var metadata: Logger.Metadata = [:]
    /// Metadata of the task that logs.
    public var metadataProvider: Logger.MetadataProvider?

    /// Makes a handler for one logger.
    public init(label: String, pipeline: LogPipeline) {
        self.label = label
        self.pipeline = pipeline
    }

    /// This logger's level; until it is set, the pipeline's.
    public var logLevel: Logger.Level {
        get { ownLevel ?? pipeline.level }
        set { ownLevel = newValue }
    }

    /// One value of ``metadata``.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Queues the event; never blocks.
    public func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let own = event.metadata { all.merge(own) { $1 } }
        pipeline.append(
            LogEntry(
                level: event.level,
                message: event.message.description,
                metadata: all,
                label: label,
                file: event.file,
                function: event.function,
                line: event.line
            )
        )
    }

    /// Sends all loggers of the process to the journal, or to stderr where there is no journal.
    ///
    /// Call once, first thing in a daemon's main. Keep the pipeline: its level can be changed, and
    /// it must be closed before the process ends, or its last lines are lost.
    public static func bootstrap(
        identifier: String,
        identity: [String: String] = [:],
        level: Logger.Level = .info
    ) -> LogPipeline {
        let sink: any LogSink =
            JournalStream.isConnected()
            ? JournalSink(identifier: identifier, identity: identity) : StandardErrorSink()
        let pipeline = LogPipeline(sink: sink, level: level)
        LoggingSystem.bootstrap { JournalLogHandler(label: $0, pipeline: pipeline) }
        return pipeline
    }
}
