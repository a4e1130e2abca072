import Disk
import Model
import NIOCore
import Raft
import Testing

@testable import RaftLog

/// The bytes on disk, pinned: a change here makes every existing directory unreadable.
///
/// The checksums and hashes were computed by another program too.
@Suite struct FormatTests {
    static let directory = DirectoryID(
        UniqueID(high: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10)
    )
    static let place = LogPoint(index: 7, term: 3, chain: 0x1122_3344_5566_7788, nextOffset: 40)

    static func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { byte in
            let text = String(byte, radix: 16)
            return text.utf8.count == 1 ? "0" + text : text
        }.joined()
    }

    static var row: EntryRow {
        var row = EntryRow(
            index: 8,
            term: 3,
            type: .normal,
            flags: [],
            baseOffset: 40,
            offsetCount: 5,
            maxTimestamp: 1000,
            length: 100,
            payloadCRC: 0xdead_beef,
            chain: 0x8877_6655_4433_2211
        )
        row.position = 4096
        return row
    }

    @Test func `numbers of the formats`() {
        #expect(WALFormat.blockBytes == 4096)
        #expect(WALFormat.frameHeaderBytes == 64)
        #expect(WALFormat.recordHeaderBytes == 16)
        #expect(WALFormat.entryRecordBytes == 88)
        #expect(EntryRow.diskBytes == 64)
        #expect(SegmentHeader.bytes == 128)
        #expect(SegmentPath.rowPosition(12, first: 10) == 256)
        #expect(SegmentPath.of("d", 12, "log") == "d/00000000000000000012.log")
        #expect(SnapshotFile.name(12) == "00000000000000000012.snapshot")
        #expect(WALFiles.path("w", 0x2a) == "w/000000000000002a.wal")
        #expect(BatchPayload.bytesMin == 61)
    }

    @Test func `a WAL file's header`() {
        let header = WALFormat.fileHeader(Self.directory, sequence: 5)
        #expect(header.count == 4096)
        #expect(header[44...].allSatisfy { $0 == 0 })
        #expect(
            Self.hex(header[..<44])
                == """
                4d52544c5457414c01000000001000000102030405060708090a0b0c0d0e0f100500000000000000\
                f7d18ce3
                """
        )
    }

    @Test func `a frame with term and vote and one entry`() {
        let builder = FrameBuilder(copiedPayloadBytesMax: 64)
        builder.reset()
        builder.add(.hardState(HardState(term: 3, vote: 1, commit: 7)), group: 1001)
        builder.add(LoggedEntry(row: Self.row, payload: Payload([1, 2, 3, 4])), group: 1001)
        let parts = builder.finish(file: 5, frame: 9, position: 4096, directory: Self.directory)
        let frame = parts.flatMap { Array($0) }
        #expect(WALFormat.seed(Self.directory, file: 5, position: 4096) == 1_277_520_287)
        #expect(frame.count == 4096)
        #expect(frame[196...].allSatisfy { $0 == 0 })
        #expect(
            Self.hex(frame[..<200])
                == """
                4d525446010000000500000000000000090000000000000000100000020000008000000004000000\
                0000000000000000000000000000000000000000fe5bac230200000028000000e903000000000000\
                0300000000000000010000000000000007000000000000000100000058000000e903000000000000\
                080000000000000003000000000000002800000000000000e8030000000000000000000000000000\
                11223344556677886400000005000000efbeadde0000000000000000000000000102030400000000
                """
        )
    }

    @Test func `every record but the entry's`() {
        let records = Self.records.map { Self.hex($0.encoded(for: 1001)) }
        #expect(
            records[0]
                == """
                0200000028000000e903000000000000030000000000000001000000000000000700000000000000
                """
        )
        #expect(
            records[1]
                == """
                0300000060000000e903000000000000e9030000000000000000000000000abc00000000000003e9\
                0000000001000000010000000a00746f7069632d313030310200000001000000010000000300613a\
                3101000000020000000300623a320000
                """
        )
        #expect(
            records[2]
                == """
                0400000020000000e9030000000000000000000000000abc00000000000003e9
                """
        )
        #expect(
            records[3]
                == """
                0500000060000000e903000000000000070000000000000003000000000000008877665544332211\
                28000000000000000102000000010000000000000002000000000000000000000001000000030000\
                00000000000000000000000000000000
                """
        )
        #expect(
            records[4]
                == """
                0600000030000000e903000000000000070000000000000003000000000000008877665544332211\
                2800000000000000
                """
        )
        #expect(
            records[5]
                == """
                0800000048000000e9030000000000004d0000000000000002000000010000000000000002000000\
                0000000000000000010000000300000000000000000000000000000000000000
                """
        )
    }

    @Test func `a row of an entry`() {
        var bytes = [UInt8](repeating: 0, count: 64)
        bytes.withUnsafeMutableBytes { target in
            if let base = target.baseAddress { Self.row.store(to: base, group: 1001) }
        }
        #expect(
            Self.hex(bytes)
                == """
                03000000000000002800000000000000e80300000000000000100000000000001122334455667788\
                6400000005000000efbeadde000000000000000038b95574
                """
        )
    }

    @Test func `a segment's headers`() {
        let identity = Harness.identity(1001)
        let header = SegmentHeader(cluster: Harness.cluster, identity: identity, before: Self.place)
        #expect(
            Self.hex(header.encoded(SegmentHeader.rowsMagic))
                == """
                4d52544c54524f57010000008000000000000000000000010000000000000002e903000000000000\
                0000000000000abc00000000000003e9000000000000000007000000000000000300000000000000\
                88776655443322112800000000000000000000000000000000000000000000000000000000000000\
                00000000654e19a5
                """
        )
        #expect(
            Self.hex(header.encoded(SegmentHeader.sideMagic))
                == """
                4d52544c54534944010000008000000000000000000000010000000000000002e903000000000000\
                0000000000000abc00000000000003e9000000000000000007000000000000000300000000000000\
                88776655443322112800000000000000000000000000000000000000000000000000000000000000\
                00000000b02b4bf0
                """
        )
    }

    @Test func `a checkpoint`() {
        var state = GroupState(identity: Harness.identity(1001))
        state.hardState = HardState(term: 3, vote: 1, commit: 7)
        state.start = Self.place
        state.end = Self.place
        state.append(Self.row)
        state.snapshot = SnapshotMark(
            point: Self.place,
            confState: ConfState(voters: [1, 2], learners: [3]),
            replacesLog: false
        )
        state.segments = [8]
        let checkpoint = Checkpoint(
            sequence: 6,
            replayFrom: WALPosition(file: 5, position: 4096, frame: 9),
            groups: [state],
            tombstones: [Harness.identity(1002)]
        )
        #expect(
            Self.hex(checkpoint.encoded(Self.directory))
                == """
                4d52544c54434b5001000000dd0100000102030405060708090a0b0c0d0e0f100600000000000000\
                05000000000000000010000000000000090000000000000001000000e90300000000000000000000\
                00000abc00000000000003e90000000001000000010000000a00746f7069632d3130303102000000\
                01000000010000000300613a3101000000020000000300623a320300000000000000010000000000\
                00000700000000000000020000000100000001000000010000000200000000000000000000000000\
                00000000000000000000000700000000000000030000000000000088776655443322112800000000\
                0000000800000000000000030000000000000011223344556677882d000000000000000100000003\
                00000000000000080000000000000028000000000000000107000000000000000300000000000000\
                88776655443322112800000000000000020000000100000000000000020000000000000000000000\
                0100000003000000000000000000000000010000000800000000000000000001000000ea03000000\
                0000000000000000000abc00000000000003ea0000000001000000010000000a00746f7069632d31\
                3030320200000001000000010000000300613a3101000000020000000300623a32a1933459
                """
        )
    }

    @Test func `a snapshot's file and its data's shape`() {
        let snapshot = Snapshot(
            metadata: SnapshotMetadata(index: 7, term: 3, confState: ConfState(voters: [1, 2])),
            data: Payload([9, 8, 7])
        )
        let identity = Harness.identity(1001)
        let bytes = SnapshotFile.encoded(snapshot, at: Self.place, identity, Harness.cluster)
        #expect(
            Self.hex(bytes)
                == """
                4d52544c54534e50010000009100000000000000000000010000000000000002e903000000000000\
                0000000000000abc00000000000003e9000000000000000007000000000000000300000000000000\
                88776655443322112800000000000000020000000100000000000000020000000000000000000000\
                00000000000000000003000000000000005196156e92a8aab4090807
                """
        )
        let data = SnapshotState(chain: 5, nextOffset: 6, state: [7]).payload.copyBytes()
        #expect(Self.hex(data) == "010000000500000000000000060000000000000007")
    }

    @Test func `the directory's identity`() {
        let text = DataDirectory(id: Self.directory, cluster: Harness.cluster).text
        let lines = [
            "format: martlet data directory 1",
            "directory_id: 01020304-0506-0708-090a-0b0c0d0e0f10",
            "cluster_id: 00000000-0000-0001-0000-000000000002",
            "crc: 2244076069", "",
        ]
        #expect(text == lines.joined(separator: "\n"))
    }

    @Test func `the directory of a later version is told from a damaged one`() {
        let later = """
            format: martlet data directory 2
            something: that this version cannot know
            directory_id: 01020304-0506-0708-090a-0b0c0d0e0f10
            cluster_id: none
            crc32: 0

            """
        #expect(throws: RaftLogError.unsupportedVersion(path: "/data/directory_id", version: 2)) {
            try DataDirectory(reading: Array(later.utf8), path: "/data/directory_id")
        }
        let short = "format: martlet data directory 1\n"
        #expect(throws: RaftLogError.self) {
            try DataDirectory(reading: Array(short.utf8), path: "/data/directory_id")
        }
    }

    @Test func `the running hash`() {
        let topic = Harness.identity(1001).topicID
        #expect(Chain.start(1001, topic, 0) == 11_320_060_499_823_947_734)
        #expect(
            Chain.next(after: 1, term: 2, index: 3, type: 4, payloadCRC: 5)
                == 1_287_599_287_921_051_579
        )
    }

    static var records: [WALRecord] {
        let conf = ConfState(voters: [1, 2], learners: [3])
        let mark = SnapshotMark(point: place, confState: conf, replacesLog: true)
        return [
            .hardState(HardState(term: 3, vote: 1, commit: 7)),
            .created(Harness.identity(1001)),
            .tombstone(Harness.identity(1001).topicID),
            .snapshot(mark),
            .prefixTruncated(place),
            .configuration(conf, at: 77),
        ]
    }
}
