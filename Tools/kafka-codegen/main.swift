import Foundation

// Turns Modules/KafkaProtocol/Schemas/messages.schema into Modules/KafkaProtocol/Generated/*.swift.
//
//   swift run kafka-codegen            write the files
//   swift run kafka-codegen --check    write nothing; exit 1 if a file would change

let module = "Modules/KafkaProtocol"
let arguments = CommandLine.arguments.dropFirst()
guard arguments.isEmpty || Array(arguments) == ["--check"] else {
    print("usage: kafka-codegen [--check]")
    exit(64)
}

func generate() throws -> [String: String] {
    let schema = try String(contentsOfFile: "\(module)/Schemas/messages.schema", encoding: .utf8)
    var files: [String: [SchemaMessage]] = [:]
    for message in try SchemaParser.parse(schema) {
        // A request and its response share a file, as do a record's key and value.
        var name = message.name
        for suffix in ["Request", "Response", "Key", "Value", "Subscription", "Assignment"]
        where name.hasSuffix(suffix) {
            name.removeLast(suffix.count)
            break
        }
        files["\(name).swift", default: []].append(message)
    }
    return files.mapValues { Emitter.swift(for: $0) }
}

do {
    let generated = try generate()
    let folder = "\(module)/Generated"
    let present = try FileManager.default.contentsOfDirectory(atPath: folder)
    var stale = present.filter { generated[$0] == nil }
    for (name, text) in generated {
        let path = "\(folder)/\(name)"
        let before = try? String(contentsOfFile: path, encoding: .utf8)
        guard before != text else { continue }
        if arguments.isEmpty {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        } else {
            stale.append(name)
        }
    }
    guard arguments.isEmpty || stale.isEmpty else {
        print("not what the schema says: \(stale.sorted().joined(separator: " "))")
        print("run: swift run kafka-codegen")
        exit(1)
    }
    if arguments.isEmpty {
        for name in stale { try FileManager.default.removeItem(atPath: "\(folder)/\(name)") }
    }
    print("\(generated.count) files are what the schema says")
} catch {
    print("kafka-codegen: \(error)")
    exit(70)
}
