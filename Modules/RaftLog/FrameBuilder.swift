import Model
import Raft

/// Builds one frame: records and payloads of many groups, to be written by one call.
///
/// - Thread: the writer's only.
final class FrameBuilder {
    private let records = Scratch(capacity: 64 << 10)
    private let payloads: PartsBuilder
    private var parts: [UnsafeRawBufferPointer] = []
    private(set) var recordCount = 0
    private let zeros: UnsafeMutableRawBufferPointer

    init(copiedPayloadBytesMax: Int) {
        payloads = PartsBuilder(copiedBytesMax: copiedPayloadBytesMax)
        zeros = .allocate(byteCount: WALFormat.blockBytes, alignment: 16)
        zeros.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { zeros.deallocate() }

    var isEmpty: Bool { recordCount == 0 }
    /// How long the frame is by now, padding included.
    var bytes: Int { bytes(adding: 0) }

    /// How long the frame would be with `more` bytes of records and payloads.
    func bytes(adding more: Int) -> Int {
        let header = WALFormat.frameHeaderBytes
        let taken = max(records.count, header) + payloads.byteCount
        return WALFormat.padded(taken + more)
    }

    /// What an entry takes.
    static func bytes(of entry: LoggedEntry) -> Int {
        WALFormat.entryRecordBytes + Int(entry.row.length)
    }

    func reset() {
        records.reset()
        payloads.reset()
        parts.removeAll(keepingCapacity: true)
        recordCount = 0
        _ = records.extend(by: WALFormat.frameHeaderBytes)
    }

    /// What a record other than an entry's takes.
    static func bytes(of record: WALRecord) -> Int {
        if case .hardState = record { return hardStateBytes }
        return record.encoded(for: 0).count
    }

    private static let hardStateBytes = WALFormat.recordHeaderBytes + 24

    func add(_ record: WALRecord, group: RaftGroupID) {
        if case .hardState(let state) = record { return add(state, group: group) }
        record.encoded(for: group).withUnsafeBytes { records.append($0) }
        recordCount += 1
    }

    /// The one record that comes often, without an array of its own.
    private func add(_ state: HardState, group: RaftGroupID) {
        let target = records.extend(by: Self.hardStateBytes)
        let code = UInt64(WALRecord.Code.hardState.rawValue)
        let head = code | UInt64(Self.hardStateBytes) << 32
        target.storeBytes(of: head.littleEndian, toByteOffset: 0, as: UInt64.self)
        target.storeBytes(of: group.rawValue.littleEndian, toByteOffset: 8, as: UInt64.self)
        target.storeBytes(of: state.term.rawValue.littleEndian, toByteOffset: 16, as: UInt64.self)
        target.storeBytes(of: state.vote.rawValue.littleEndian, toByteOffset: 24, as: UInt64.self)
        target.storeBytes(of: state.commit.rawValue.littleEndian, toByteOffset: 32, as: UInt64.self)
        recordCount += 1
    }

    func add(_ entry: LoggedEntry, group: RaftGroupID) {
        let target = records.extend(by: WALFormat.entryRecordBytes)
        let head = UInt64(WALRecord.Code.entry.rawValue) | UInt64(WALFormat.entryRecordBytes) << 32
        target.storeBytes(of: head.littleEndian, toByteOffset: 0, as: UInt64.self)
        target.storeBytes(of: group.rawValue.littleEndian, toByteOffset: 8, as: UInt64.self)
        let index = entry.row.index.rawValue.littleEndian
        target.storeBytes(of: index, toByteOffset: 16, as: UInt64.self)
        // In a frame, a row's position is the payload's place behind the records, and the frame's
        // checksum stands for the row's.
        var row = entry.row
        row.position = UInt64(payloads.byteCount)
        row.storeFields(to: target + 24)
        payloads.add(entry.payload)
        recordCount += 1
    }

    /// Seals the frame for its place and returns the parts to write; valid until `reset`.
    func finish(
        file: UInt64,
        frame: UInt64,
        position: UInt64,
        directory: DirectoryID
    ) -> [UnsafeRawBufferPointer] {
        let headerBytes = WALFormat.frameHeaderBytes
        let header = FrameHeader(
            file: file,
            frame: frame,
            recordCount: recordCount,
            recordBytes: records.count - headerBytes,
            payloadBytes: payloads.byteCount
        )
        let body = UnsafeRawBufferPointer(
            start: records.base + headerBytes,
            count: records.count - headerBytes
        )
        let seed = WALFormat.seed(directory, file: file, position: position)
        header.store(to: records.base, seed: seed, records: body)
        parts.removeAll(keepingCapacity: true)
        parts.append(UnsafeRawBufferPointer(start: records.base, count: records.count))
        payloads.collect(into: &parts)
        let rest = header.bytes - records.count - payloads.byteCount
        if rest > 0 { parts.append(UnsafeRawBufferPointer(rebasing: zeros[..<rest])) }
        return parts
    }
}
