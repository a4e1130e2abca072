/// The command line of brokerd and controllerd.
public struct DaemonArguments: Equatable, Sendable {
    /// What the command line asks for.
    public enum Action: Equatable, Sendable {
        /// Run the daemon.
        case run
        /// Read the settings, say what is wrong, and end.
        case checkConfig
        /// Print this text and end with ``ExitStatus/success``.
        case show(String)
        /// Print this text on stderr and end with ``ExitStatus/usage``.
        case refuse(String)
    }

    /// What to do.
    public var action: Action
    /// `--config`.
    public var config = ""
    /// `--data-directory`, which wins over the settings file.
    public var dataDirectory: String?

    /// Reads the arguments, the program's own name not among them.
    public init(_ arguments: some Sequence<String>, program: String, version: String) {
        action = .run
        var rest = Array(arguments)[...]
        while var option = rest.popFirst() {
            var value: String?
            if option.hasPrefix("--"), let equals = option.firstIndex(of: "=") {
                value = String(option[option.index(after: equals)...])
                option = String(option[..<equals])
            }
            switch option {
            case "--help", "-h": action = .show(Self.help(program))
            case "--version": action = .show("\(program) \(version)")
            case "--check-config": action = .checkConfig
            case "--config", "-c", "--data-directory":
                guard let text = value ?? rest.popFirst(), !text.isEmpty else {
                    action = .refuse("\(program): \(option) needs a value\n\(Self.help(program))")
                    return
                }
                if option == "--data-directory" { dataDirectory = text } else { config = text }
                continue
            default:
                action = .refuse("\(program): unknown argument \(option)\n\(Self.help(program))")
                return
            }
            if case .show = action { return }
            if value != nil {
                action = .refuse("\(program): \(option) takes no value\n\(Self.help(program))")
                return
            }
        }
        if config.isEmpty {
            action = .refuse("\(program): --config is missing\n\(Self.help(program))")
        }
    }

    private static func help(_ program: String) -> String {
        """
        usage: \(program) --config FILE [--data-directory DIR]
               \(program) --config FILE --check-config

          --config FILE          the settings, YAML; configs/ shows every key
          --data-directory DIR   where the log lives; wins over the settings' key
          --check-config         say what is wrong with the settings and end
          --version, --help
        """
    }
}
