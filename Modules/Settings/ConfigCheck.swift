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
            return "\(path): broker \(settings.brokerID), clients on \(settings.listeners.client), "
                + "peers on \(settings.listeners.peer), data in \(settings.dataDirectory)"
        case .controller:
            let settings = try ControllerSettings.load(path: path)
            return "\(path): controller \(settings.controllerID), "
                + "peers on \(settings.listeners.peer), data in \(settings.dataDirectory)"
        }
    }
}
