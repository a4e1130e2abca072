/// What `--check-config` does: reads a file and says whether a daemon would accept it.
public enum ConfigCheck {
    /// Which daemon's settings the file should hold.
    public enum Role: Sendable {
        /// brokerd.
        case broker
        /// controllerd.
        case controller
    }

    /// One line for standard output.
    ///
    /// - Throws: ``SettingsError``, to be shown on standard error; the tool exits with 78.
    public static func run(role: Role, path: String) throws(SettingsError) -> String {
        switch role {
        case .broker:
            let settings = try BrokerSettings.load(path: path)
            return "\(path): \(settings.introduction)"
        case .controller:
            let settings = try ControllerSettings.load(path: path)
            return "\(path): \(settings.introduction)"
        }
    }
}

extension BrokerSettings {
    /// Who the daemon is, where it listens, and where its data lie.
    public var introduction: String {
        "broker \(brokerID), clients on \(listeners.client), peers on \(listeners.peer), "
            + "metrics on http://\(listeners.http)/metrics, data in \(dataDirectory)"
    }
}

extension ControllerSettings {
    /// Who the daemon is, where it listens, and where its data lie.
    public var introduction: String {
        "controller \(controllerID), peers on \(listeners.peer), "
            + "metrics on http://\(listeners.http)/metrics, data in \(dataDirectory)"
    }
}
