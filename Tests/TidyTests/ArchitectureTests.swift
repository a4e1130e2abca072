import Foundation
import Testing

/// The laws of the house: who may import what, and what may stand where.
@Suite struct ArchitectureTests {
    let repository = Repository.here

    /// The floors of the house: arrows only go down, and `Package.swift` holds the arrows.
    static let floors: [String: Int] = [
        "Model": 0, "Raft": 0,
        "CISAL": 1, "RecordBatch": 1, "Metadata": 1, "KafkaProtocol": 1, "InterBrokerProtocol": 1,
        "CSystemd": 2, "Systemd": 2, "Disk": 2, "CZlib": 2, "CSnappy": 2, "CLZ4": 2, "CZstd": 2,
        "Compression": 2, "Telemetry": 2, "CYAML": 2, "Settings": 2, "Security": 2,
        "RaftLog": 3, "InterBroker": 3, "KafkaClient": 3, "Daemon": 3,
        "JournalHistory": 3,
        "RaftHost": 4, "RaftTransport": 4,
        "Controller": 5, "BrokerServer": 5, "Console": 5,
    ]

    /// Modules of the toolchain that a module may import beside its declared dependencies.
    static let toolchain: Set<String> = [
        "FoundationEssentials", "Glibc", "Synchronization", "Swift", "Dispatch", "Foundation",
    ]

    var modules: [String] { repository.entries(of: "Modules").filter { !$0.hasSuffix(".md") } }

    func sources(of module: String) -> [(path: String, scan: SourceScanner)] {
        repository.files(under: "Modules/\(module)", suffix: ".swift")
            .map { ($0, SourceScanner(repository.lines($0))) }
    }

    @Test func `the top level holds exactly what it should`() {
        let allowed: Set = [
            "Package.swift", "Modules", "Tools", "Tests", "systemd", "configs", "README.md",
            "LICENSE", ".gitignore", ".ci", ".git", "Package.resolved",
        ]
        let found = Set(repository.entries(of: "")).filter {
            !$0.hasPrefix(".build") && $0 != ".quickstart" && $0 != ".swiftpm"
        }
        #expect(found.subtracting(allowed).isEmpty)
        for name in ["Package.swift", "Modules", "Tools", "Tests", "LICENSE", ".gitignore"] {
            #expect(found.contains(name), "\(name) is missing")
        }
    }

    @Test func `every module has a floor, a README and tests`() {
        for module in modules {
            #expect(Self.floors[module] != nil, "\(module) stands on no floor")
            guard !repository.files(under: "Modules/\(module)", suffix: ".swift").isEmpty else {
                continue
            }
            #expect(repository.exists("Modules/\(module)/README.md"), "\(module) has no README")
            let tests = repository.files(under: "Tests/\(module)Tests", suffix: ".swift")
            #expect(!tests.isEmpty, "\(module) has no tests")
        }
    }

    @Test func `a module imports only what its line in Package.swift names`() throws {
        let declared = try declaredDependencies()
        for module in modules {
            let allowed = declared[module, default: []].union(Self.toolchain)
            for (path, scan) in sources(of: module) {
                for (line, name) in scan.imports where !allowed.contains(name) {
                    Issue.record("\(path):\(line): imports \(name), not a dependency of \(module)")
                }
            }
        }
    }

    @Test func `arrows only go down`() throws {
        for (module, dependencies) in try declaredDependencies() {
            guard let floor = Self.floors[module] else { continue }
            for dependency in dependencies {
                guard let below = Self.floors[dependency] else { continue }
                let isFine = below < floor || Self.besides.contains("\(module) -> \(dependency)")
                #expect(isFine, "\(module) on floor \(floor) imports \(dependency) on \(below)")
            }
        }
    }

    /// The arrows inside a floor, as the architecture draws them.
    static let besides: Set = [
        "Raft -> Model", "RecordBatch -> CISAL", "KafkaProtocol -> RecordBatch",
        "Systemd -> CSystemd", "Compression -> CZlib", "Compression -> CSnappy",
        "Compression -> CLZ4", "Compression -> CZstd", "Settings -> CYAML",
        "RaftTransport -> RaftHost",
    ]

    @Test func `the pure floors know no clock, file, socket, thread or chance`() {
        let imports: Set = ["Foundation", "Glibc", "Dispatch", "NIOPosix", "Logging"]
        let words = [
            "Date()", ".random(", "print(", "SystemRandomNumberGenerator",
            "ContinuousClock", "SuspendingClock",
        ]
        for module in modules where Self.floors[module, default: 9] <= 1 {
            let mayParseJSON = ["Metadata", "InterBrokerProtocol"].contains(module)
            for (path, scan) in sources(of: module) {
                for (line, name) in scan.imports {
                    #expect(!imports.contains(name), "\(path):\(line): imports \(name)")
                    if name == "FoundationEssentials" { #expect(mayParseJSON, "\(path):\(line)") }
                }
                for (line, text) in scan.code {
                    for word in words where text.contains(word) {
                        Issue.record("\(path):\(line): '\(word)' on a pure floor")
                    }
                    let names = text.split { !($0.isLetter || $0.isNumber || $0 == "_") }
                    for name in names where name == "async" || name == "await" {
                        Issue.record("\(path):\(line): '\(name)' on a pure floor")
                    }
                }
            }
        }
    }

    /// Dictionaries of the replicated modules: looked up in, never walked through.
    static let lookups: Set = ["namesByTopicID", "partitionsByGroup"]

    @Test func `replicas never depend on the order of a Dictionary or Set`() {
        let hashed = /\[[A-Z][A-Za-z.]*: [\[A-Z]|\bSet<|\bDictionary\b|\[:\]|\bSet\(/
        let onlyCompared = /\bSet\([A-Za-z.]+\)\.(?:count|contains|isSubset|isDisjoint)\b/
        let declared = /(?:var|let) ([A-Za-z]+)\b/
        let walked = /\b(namesByTopicID|partitionsByGroup)(?!\[|\.count|\.isEmpty|:| = \[:\])\b/
        for module in ["Raft", "Metadata"] {
            for (path, scan) in sources(of: module) {
                for (line, text) in scan.code {
                    if text.contains(hashed), !text.contains(onlyCompared) {
                        let name = text.firstMatch(of: declared).map { String($0.1) } ?? ""
                        #expect(Self.lookups.contains(name), "\(path):\(line): hashed, no order")
                    }
                    #expect(!text.contains(walked), "\(path):\(line): walks through a Dictionary")
                }
            }
        }
    }

    @Test func `no module imports Foundation, and controllers and brokers never meet`() {
        for module in modules {
            for (path, scan) in sources(of: module) {
                for (line, name) in scan.imports {
                    #expect(name != "Foundation", "\(path):\(line)")
                    if module == "Controller" { #expect(name != "BrokerServer", "\(path):\(line)") }
                    if module == "BrokerServer" { #expect(name != "Controller", "\(path):\(line)") }
                }
            }
        }
    }

    @Test func `each outside thing has one door`() {
        let doors: [(import: String, modules: Set<String>)] = [
            ("CSystemd", ["Systemd"]), ("CYAML", ["Settings"]), ("CISAL", ["RecordBatch"]),
            ("CZlib", ["Compression"]), ("CSnappy", ["Compression"]), ("CLZ4", ["Compression"]),
            ("CZstd", ["Compression"]),
            // Files of data belong to Disk. The others read a setting, a credential or /proc, set
            // up threads and signals, and look addresses up.
            ("Glibc", ["Disk", "Settings", "Systemd", "Telemetry", "Daemon", "InterBroker"]),
            (
                "NIOPosix",
                ["InterBroker", "KafkaClient", "BrokerServer", "Console", "RaftTransport"]
            ),
            (
                "Logging",
                [
                    "Systemd", "InterBroker", "Daemon", "RaftHost", "RaftTransport", "Controller",
                    "BrokerServer",
                ]
            ),
        ]
        for module in modules {
            for (path, scan) in sources(of: module) {
                for (line, name) in scan.imports {
                    for door in doors where door.import == name {
                        #expect(door.modules.contains(module), "\(path):\(line): imports \(name)")
                    }
                }
            }
        }
    }

    @Test func `only tools end the process`() {
        for module in modules {
            for (path, scan) in sources(of: module) {
                for (line, text) in scan.code {
                    let words = text.split {
                        !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "(")
                    }
                    let ends = words.contains { $0.hasPrefix("exit(") || $0.hasPrefix("_exit(") }
                    #expect(!ends, "\(path):\(line): a module ends the process")
                }
            }
        }
    }

    @Test func `no type bears its module's name`() {
        for module in modules {
            for (path, scan) in sources(of: module) {
                for (line, name) in scan.types where name == module {
                    Issue.record("\(path):\(line): \(name).X could not be named any more")
                }
            }
        }
    }

    /// The dependencies by target, as module names, from the manifest itself.
    func declaredDependencies() throws -> [String: Set<String>] {
        let scratch = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-tidy-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: scratch) }
        let dump = try run([
            "swift", "package", "--scratch-path", scratch.path, "dump-package",
        ])
        try #require(dump.status == 0, "\(dump.output)")
        let start = try #require(dump.output.firstIndex(of: "{"))
        let json = try JSONDecoder().decode(Manifest.self, from: Data(dump.output[start...].utf8))
        return Dictionary(
            uniqueKeysWithValues: json.targets.map { target in
                (target.name, Set(target.dependencies.compactMap(\.name)))
            }
        )
    }
}

/// The part of `swift package dump-package` that the laws need.
private struct Manifest: Decodable {
    struct Target: Decodable {
        let name: String
        let dependencies: [Dependency]
    }

    /// `{"byName": ["Model", null]}` or `{"product": ["NIOCore", "swift-nio", null, null]}`.
    struct Dependency: Decodable {
        let name: String?

        enum CodingKeys: String, CodingKey {
            case byName
            case product
            case target
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            for key in [CodingKeys.byName, .product, .target] where container.contains(key) {
                var values = try container.nestedUnkeyedContainer(forKey: key)
                name = try values.decode(String.self)
                return
            }
            name = nil
        }
    }

    let targets: [Target]
}
