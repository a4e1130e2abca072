import Glibc

/// The kernel's file system.
public struct RealFiles: FileStore {
    /// The kernel's file system.
    public init() {}

    /// Opens a file; never follows a symbolic link in the last component.
    public func open(_ path: String, _ mode: OpenMode) throws(DiskError) -> any OpenFile {
        let flags: Int32
        switch mode {
        case .read: flags = O_RDONLY
        case .write: flags = O_RDWR
        case .create: flags = O_RDWR | O_CREAT
        }
        let descriptor = Glibc.open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o640)
        guard descriptor >= 0 else { throw DiskError(.open, path, errno) }
        return RealFile(descriptor: descriptor, path: path)
    }

    /// The names in a directory, sorted.
    public func list(_ directory: String) throws(DiskError) -> [String] {
        guard let stream = opendir(directory) else { throw DiskError(.list, directory, errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        guard errno == 0 else { throw DiskError(.list, directory, errno) }
        return names.sorted()
    }

    /// What lies under a path.
    public func kind(of path: String) -> FileKind? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .file
        case S_IFDIR: return .directory
        default: return nil
        }
    }

    /// Creates a directory for this user and group only.
    public func makeDirectory(_ path: String) throws(DiskError) {
        guard mkdir(path, 0o750) != 0 else { return }
        let code = errno
        guard code == EEXIST, kind(of: path) == .directory else {
            throw DiskError(.makeDirectory, path, code)
        }
    }

    /// Gives a file or directory another name.
    public func rename(_ path: String, to target: String) throws(DiskError) {
        guard Glibc.rename(path, target) == 0 else { throw DiskError(.rename, path, errno) }
    }

    /// Removes a file.
    public func remove(_ path: String) throws(DiskError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw DiskError(.remove, path, errno) }
    }

    /// Removes an empty directory.
    public func removeDirectory(_ path: String) throws(DiskError) {
        guard rmdir(path) == 0 || errno == ENOENT else { throw DiskError(.remove, path, errno) }
    }

    /// Makes the names in a directory durable.
    public func syncDirectory(_ path: String) throws(DiskError) {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw DiskError(.syncDirectory, path, errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw DiskError(.syncDirectory, path, errno) }
    }

    /// Takes the lock of a directory by `flock` on the directory itself.
    public func lock(_ directory: String) throws(DiskError) -> any DirectoryLock {
        let descriptor = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw DiskError(.lock, directory, errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            throw DiskError(.lock, directory, code)
        }
        return RealLock(descriptor: descriptor)
    }
}
