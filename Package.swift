// swift-tools-version: 6.2
// The architecture in one file: what exists, and what may import what. Arrows only go down.
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// A module of ours: its folder is `Modules/NAME`, and excluding its README makes one mandatory.
func module(
    _ name: String,
    _ dependencies: [Target.Dependency] = [],
    exclude: [String] = []
) -> Target {
    .target(
        name: name,
        dependencies: dependencies,
        path: "Modules/\(name)",
        exclude: ["README.md"] + exclude,
        swiftSettings: settings
    )
}

/// A C library of Debian's, seen through a module map and a shim header.
func clibrary(_ name: String, pkgConfig: String, apt: String) -> Target {
    .systemLibrary(
        name: name,
        path: "Modules/\(name)",
        pkgConfig: pkgConfig,
        providers: [.apt([apt])]
    )
}

/// A small executable: its folder is `Tools/NAME`.
func tool(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .executableTarget(
        name: name,
        dependencies: dependencies,
        path: "Tools/\(name)",
        swiftSettings: settings
    )
}

/// The tests of one module: `Tests/NAMETests`, run with `swift test --filter NAMETests`.
func tests(
    _ name: String,
    _ dependencies: [Target.Dependency] = [],
    exclude: [String] = []
) -> Target {
    .testTarget(
        name: "\(name)Tests",
        dependencies: [.init(stringLiteral: name)] + dependencies,
        path: "Tests/\(name)Tests",
        exclude: exclude,
        swiftSettings: settings
    )
}

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let lifecycle: Target.Dependency = .product(
    name: "ServiceLifecycle",
    package: "swift-service-lifecycle"
)
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let arguments: Target.Dependency = .product(
    name: "ArgumentParser",
    package: "swift-argument-parser"
)

let modules: [Target] = [
    // Floor 0, words: values only, standard library only.
    module("Model"),
    module("Raft", ["Model"]),

    // Floor 1, pure: no clock, socket, file or randomness except passed in.
    clibrary("CISAL", pkgConfig: "libisal", apt: "libisal-dev"),
    module("RecordBatch", ["Model", "CISAL"]),
    module("Metadata", ["Model"]),
    module("KafkaProtocol", ["Model", "RecordBatch", nioCore], exclude: ["Schemas"]),
    module("InterBrokerProtocol", ["Model", nioCore]),

    // Floor 2, edges: one outside thing each.
    clibrary("CSystemd", pkgConfig: "libsystemd", apt: "libsystemd-dev"),
    module("Systemd", ["CSystemd", logging]),
    module("Disk"),
    clibrary("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
    clibrary("CSnappy", pkgConfig: "snappy", apt: "libsnappy-dev"),
    clibrary("CLZ4", pkgConfig: "liblz4", apt: "liblz4-dev"),
    clibrary("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),
    module("Compression", ["CZlib", "CSnappy", "CLZ4", "CZstd"]),
    module("Telemetry", [metrics]),
    clibrary("CYAML", pkgConfig: "yaml-0.1", apt: "libyaml-dev"),
    module("Settings", ["Model", "CYAML"]),
    module("Security", ["Model", nioCore]),

    // Floor 3, mechanisms.
    module("RaftLog", ["Model", "Raft", "RecordBatch", "Disk", "Telemetry", nioCore]),
    module(
        "InterBroker",
        [
            "Model", "InterBrokerProtocol", "Security", "Systemd", nioCore, nioPosix, logging,
            metrics,
        ]
    ),
    module(
        "KafkaClient",
        ["Model", "KafkaProtocol", "RecordBatch", "Compression", nioCore, nioPosix, deque]
    ),
    module("Daemon", ["Systemd", "Settings", "Telemetry", lifecycle, signals, logging]),

    module("JournalHistory", ["Systemd"]),

    // Floor 4, hosts: the pure core meets disk, clock and wire.
    module(
        "RaftHost",
        [
            "Model", "Raft", "RaftLog", "RecordBatch", "Systemd", "Telemetry", nioCore, logging,
            deque,
        ]
    ),
    module(
        "RaftTransport",
        [
            "Model", "Raft", "RaftLog", "RaftHost", "RecordBatch", "InterBroker",
            "InterBrokerProtocol", nioCore, nioPosix, logging, metrics,
        ]
    ),

    // Floor 5, roles; these never import each other.
    module(
        "Controller",
        [
            "Model", "Metadata", "RecordBatch", "Raft", "RaftLog", "RaftHost", "InterBroker",
            "InterBrokerProtocol", "Systemd", "Telemetry", nioCore, logging,
        ]
    ),
    module(
        "BrokerServer",
        [
            "Model", "Metadata", "KafkaProtocol", "RecordBatch", "Disk", "Raft", "RaftLog",
            "RaftHost", "InterBroker", "InterBrokerProtocol", "Systemd", "Telemetry", nioCore,
            nioPosix, logging, deque,
        ]
    ),
    module("Console", ["Model", "Telemetry", nioCore, nioPosix, nioHTTP1]),
]

let tools: [Target] = [
    tool(
        "brokerd",
        [
            "BrokerServer", "Console", "Daemon", "Disk", "InterBroker", "InterBrokerProtocol",
            "Model", "RaftHost", "RaftLog", "RaftTransport", "Security", "Settings", "Systemd",
            "Telemetry", nioCore, nioPosix, logging, lifecycle,
        ]
    ),
    tool(
        "controllerd",
        [
            "Controller", "Console", "Daemon", "Disk", "InterBroker", "InterBrokerProtocol",
            "Metadata", "Model", "Raft", "RaftHost", "RaftLog", "RaftTransport", "Security",
            "Settings",
            "Systemd", "Telemetry", nioCore, nioPosix, logging, lifecycle,
        ]
    ),
    tool("kafka-codegen"),
    // Counts calls for heap memory, in whatever links it.
    .target(name: "AllocationCounter", path: "Tools/AllocationCounter"),
    tool("raft-benchmark", ["Model", "Raft", "AllocationCounter"]),
    // What the verbs share: options, exit codes, words.
    .target(
        name: "ToolSupport",
        dependencies: ["Model", "KafkaProtocol", "Compression", "KafkaClient", nioCore, arguments],
        path: "Tools/ToolSupport",
        swiftSettings: settings
    ),
    tool("martlet"),
    tool("martlet-simulate", ["Simulation", "RaftModel", arguments]),
    tool("martlet-topic", ["ToolSupport", "KafkaClient", "KafkaProtocol", "Model", arguments]),
    tool("martlet-cluster", ["ToolSupport", "KafkaClient", "Model", arguments]),
    tool("martlet-why", ["ToolSupport", "JournalHistory", "Model", arguments]),
    tool(
        "martlet-log",
        [
            "ToolSupport", "RaftLog", "RecordBatch", "Compression", "Raft", "Disk", "Model",
            arguments,
        ]
    ),
    tool(
        "martlet-produce",
        ["ToolSupport", "KafkaClient", "Compression", "RecordBatch", "Model", nioCore, arguments]
    ),
    tool(
        "martlet-consume",
        ["ToolSupport", "KafkaClient", "RecordBatch", "Model", nioCore, arguments]
    ),
    tool(
        "martlet-bench",
        [
            "ToolSupport", "KafkaClient", "KafkaProtocol", "Compression", "RecordBatch", "Model",
            nioCore, arguments,
        ]
    ),
]

let testTargets: [Target] = [
    tests("Model"),
    tests(
        "Raft",
        ["Model", "RaftModel", "AllocationCounter", "raft-benchmark"],
        exclude: ["PORTED.md", "scripts"]
    ),
    tests("RecordBatch", ["Model"]),
    tests("Metadata", ["Model"]),
    tests(
        "KafkaProtocol",
        ["Model", "RecordBatch", nioCore],
        exclude: ["golden.txt", "make_golden.py"]
    ),
    tests("InterBrokerProtocol", ["Model", nioCore]),
    tests("Systemd", [logging], exclude: ["lab"]),
    tests("JournalHistory", ["Systemd"]),
    tests("Disk"),
    tests("Compression", exclude: ["make_streams.py"]),
    tests("Telemetry", [metrics]),
    tests("Settings", ["Model"]),
    tests("Security", ["Model", nioCore]),
    tests("RaftLog", ["Model", "Raft", "RecordBatch", "Disk", nioCore]),
    tests(
        "InterBroker",
        ["Model", "InterBrokerProtocol", "Security", nioCore, nioPosix, logging, metrics]
    ),
    tests(
        "KafkaClient",
        ["Model", "KafkaProtocol", "RecordBatch", "Compression", nioCore, nioPosix]
    ),
    tests("Daemon", ["Systemd", "Settings", "Telemetry", lifecycle, logging]),
    tests(
        "RaftHost",
        [
            "Model", "Raft", "RaftLog", "RecordBatch", "Disk", "Telemetry", nioCore, nioEmbedded,
            logging,
        ]
    ),
    tests(
        "RaftTransport",
        [
            "Model", "Raft", "RaftLog", "RaftHost", "RecordBatch", "InterBroker",
            "InterBrokerProtocol", "Security", nioCore, nioPosix, logging,
        ]
    ),
    tests(
        "Controller",
        [
            "Model", "Metadata", "InterBroker", "InterBrokerProtocol", "Raft", "RaftHost",
            "RaftLog", "RecordBatch", nioCore, logging,
        ]
    ),
    tests(
        "BrokerServer",
        [
            "Model", "Metadata", "KafkaProtocol", "RecordBatch", "Disk", "Raft", "RaftLog",
            "RaftHost", "InterBroker", "InterBrokerProtocol", "Systemd", "Telemetry", nioCore,
            nioPosix, nioEmbedded, logging,
        ]
    ),
    tests("Console", ["Model", "Telemetry", nioCore, nioPosix]),
    // What Raft allows, judged from traces alone: it imports nothing of ours.
    .target(
        name: "RaftModel",
        path: "Tests/RaftModel",
        exclude: ["README.md"],
        swiftSettings: settings
    ),
    // A whole cluster in one thread, from one seed; the tool martlet-simulate runs it too.
    .target(
        name: "Simulation",
        dependencies: [
            "RaftModel", "Model", "Raft", "RaftLog", "RaftHost", "RecordBatch", "Disk", nioCore,
            nioEmbedded,
            logging,
        ],
        path: "Tests/Simulation",
        exclude: ["README.md"],
        swiftSettings: settings
    ),
    tests("Simulation", ["RaftModel"]),
    // Not of one module: the laws of the house.
    .testTarget(name: "TidyTests", path: "Tests/TidyTests", swiftSettings: settings),
]

/// Tests that drive real daemons and clients; they need MARTLET_SLOW=1.
let slowTests: [Target] = [
    .target(
        name: "ClusterHarness",
        path: "Tests/ClusterHarness",
        exclude: ["README.md"],
        swiftSettings: settings
    ),
    .testTarget(
        name: "ClusterTests",
        dependencies: ["ClusterHarness"],
        path: "Tests/ClusterTests",
        exclude: ["README.md", "scripts"],
        swiftSettings: settings
    ),
    .testTarget(
        name: "ClientTests",
        dependencies: ["ClusterHarness"],
        path: "Tests/ClientTests",
        exclude: ["README.md", "scripts"],
        swiftSettings: settings
    ),
]

let package = Package(
    name: "martlet",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", exact: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    ],
    targets: modules + tools + testTargets + slowTests
)
