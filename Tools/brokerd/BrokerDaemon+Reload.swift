import Daemon
import InterBroker
import Security
import Settings
import Synchronization
import Systemd

extension BrokerSettings {
    /// Reads the file that the command line names; its options win over the file's keys.
    static func load(_ arguments: DaemonArguments) throws(SettingsError) -> BrokerSettings {
        var settings = try load(path: arguments.config)
        if let directory = arguments.dataDirectory { settings.dataDirectory = directory }
        return settings
    }

    /// The addresses from which peers may connect.
    func peerAllowList() throws -> IPAllowList {
        do {
            return try IPAllowList(texts: peers.peerAllowList)
        } catch {
            throw DaemonFailure(status: .config, reason: "peer_allow_list: \(error)")
        }
    }
}

extension BrokerDaemon {
    /// What `systemctl reload` does: these keys count at once, all others from the next start.
    func makeReload(
        _ arguments: DaemonArguments,
        _ pipeline: LogPipeline
    ) -> SettingsReload<BrokerSettings> {
        SettingsReload(
            settings,
            live: ["log_level", "peer_allow_list"],
            load: { try BrokerSettings.load(arguments) },
            changed: { new, old in new.keysChanged(since: old) },
            apply: { [self] new, running in
                let allowList = try new.peerAllowList()
                peerServer.withLock { $0 }?.use(allowList)
                pipeline.level = DaemonSetup.level(new.logLevel)
                running.peers.peerAllowList = new.peers.peerAllowList
                running.logLevel = new.logLevel
            }
        )
    }
}
