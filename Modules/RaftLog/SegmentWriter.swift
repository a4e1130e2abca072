import Disk
import Model

/// What the writer thread keeps for all segments: buffers, and which files wait for a sync.
///
/// - Thread: the writer's only.
final class SegmentWriter {
    let context: SegmentContext
    let segmentBytesMax: UInt64
    var cluster: ClusterID
    private let partitions: String
    private var dirtySegments: [Segment] = []
    private var dirtyDirectories: Set<String> = []

    init(root: String, cluster: ClusterID, files: any FileStore, options: RaftLogOptions) {
        partitions = "\(root)/partitions"
        segmentBytesMax = UInt64(options.segmentBytesMax)
        self.cluster = cluster
        let nobody = GroupIdentity(
            group: 0,
            topicID: TopicID(.zero),
            topicName: "",
            partition: 0,
            node: .none,
            members: []
        )
        let nowhere = LogPoint(index: 0, term: 0, chain: 0, nextOffset: 0)
        context = SegmentContext(
            files: files,
            options: options,
            header: SegmentHeader(cluster: cluster, identity: nobody, before: nowhere)
        )
    }

    /// About how many files are open because they wait for a sync.
    var dirtyFileCount: Int { dirtySegments.count * 2 }

    func makeGroupDirectory(_ path: String) throws(DiskError) {
        try context.files.makeDirectory(path)
        dirtyDirectories.insert(partitions)
    }

    func markDirty(_ segment: Segment, in directory: String) {
        if segment.hasNewFiles { dirtyDirectories.insert(directory) }
        segment.hasNewFiles = false
        if !segment.isDirty { dirtySegments.append(segment) }
        segment.isDirty = true
    }

    /// A deleted group's directory must not be synced any more.
    func forget(directory: String) { dirtyDirectories.remove(directory) }

    /// Takes what must be synced before a checkpoint; the segments' files are let go, so that only
    /// the checkpoint holds them.
    func takeDirty() -> (files: [any OpenFile], directories: [String]) {
        var files: [any OpenFile] = []
        for segment in dirtySegments {
            segment.isDirty = false
            files.append(contentsOf: segment.openFiles)
            segment.closeFiles()
        }
        defer {
            dirtySegments.removeAll()
            dirtyDirectories.removeAll()
        }
        // The group's directories first: `partitions` sorts before what lies in it, so turn round.
        return (files.sorted { $0.path < $1.path }, dirtyDirectories.sorted(by: >))
    }
}
