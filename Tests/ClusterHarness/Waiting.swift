import Glibc

/// Milliseconds of the monotonic clock, which the Python scripts read too.
package func monotonicMilliseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
}

/// Asks for a value again and again until there is one.
///
/// - Throws: `HarnessError` that names `what` when there is none in time, or what `value` throws.
package func eventually<Value>(
    _ what: String,
    within patience: Duration = .seconds(20),
    every pause: Duration = .milliseconds(20),
    _ value: () async throws -> Value?
) async throws -> Value {
    let deadline = ContinuousClock.now + patience
    while true {
        if let found = try await value() { return found }
        guard ContinuousClock.now < deadline else {
            throw HarnessError("not within \(patience): \(what)")
        }
        try await Task.sleep(for: pause)
    }
}

/// Waits until a condition holds.
package func eventually(
    _ what: String,
    within patience: Duration = .seconds(20),
    every pause: Duration = .milliseconds(20),
    _ condition: () async throws -> Bool
) async throws {
    _ = try await eventually(what, within: patience, every: pause) { () -> Bool? in
        try await condition() ? true : nil
    }
}
