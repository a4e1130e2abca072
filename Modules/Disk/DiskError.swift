import Glibc

/// What a file system call answered instead of doing its work.
///
/// - Invariant: `code` is an `errno` value, never 0.
public struct DiskError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The call that failed.
    public enum Operation: String, Sendable {
        /// Opening or creating a file.
        case open
        /// Reading bytes.
        case read
        /// Writing bytes.
        case write
        /// Reserving space.
        case allocate
        /// Making a file's bytes durable.
        case sync
        /// Making a directory's names durable.
        case syncDirectory
        /// Cutting a file.
        case truncate
        /// Asking for a file's size.
        case size
        /// Giving a file another name.
        case rename
        /// Removing a file or an empty directory.
        case remove
        /// Creating a directory.
        case makeDirectory
        /// Listing a directory.
        case list
        /// Locking a directory.
        case lock
    }

    /// The call that failed.
    public let operation: Operation
    /// The file or directory.
    public let path: String
    /// The `errno` value.
    public let code: Int32

    /// Describes a failure.
    public init(_ operation: Operation, _ path: String, _ code: Int32) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    /// Whether bytes or names that were to be written may not be there.
    public var isOfWriting: Bool {
        switch operation {
        case .write, .allocate, .sync, .syncDirectory, .truncate, .rename: true
        default: false
        }
    }

    /// Whether there is nothing under the path.
    public var isMissing: Bool { code == ENOENT }

    /// Whether the medium could not give back what is stored there.
    public var isUnreadable: Bool { operation == .read && code == EIO }

    /// Whether another process holds the lock.
    public var isHeldByAnother: Bool { code == EWOULDBLOCK }

    /// `write /var/lib/x: error 5 (Input/output error)`.
    public var description: String {
        "\(operation.rawValue) \(path): error \(code) (\(ErrorText.of(code)))"
    }
}
