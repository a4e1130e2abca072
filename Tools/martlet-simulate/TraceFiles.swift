import Foundation
import RaftModel

/// The files of traces: each holds the lines of one group, as etcd's validator wants them.
enum TraceFiles {
    /// Writes the lines of every group of a run to a file of its own.
    final class Writer {
        private let prefix: String
        private var files: [UInt64: FileHandle] = [:]

        /// The group 1001 of `FILE` goes to `FILE.1001`.
        init(prefix: String) { self.prefix = prefix }

        func write(_ group: UInt64, _ line: String) {
            if files[group] == nil {
                let path = "\(prefix).\(group)"
                guard FileManager.default.createFile(atPath: path, contents: nil),
                    let file = FileHandle(forWritingAtPath: path)
                else {
                    print("\(path) cannot be written")
                    exit(74)
                }
                files[group] = file
            }
            files[group]?.write(Data("\(line)\n".utf8))
        }
    }

    /// Checks the lines of one group against the model; nil if all is well.
    static func check(_ path: String) throws -> (lines: Int, violation: RaftModel.Violation?) {
        let text = String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
        var model = RaftModel()
        for line in text.split(separator: "\n") { model.read(String(line)) }
        return (model.lineCount, model.violation)
    }
}
