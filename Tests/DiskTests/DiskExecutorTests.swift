import Disk
import Synchronization
import Testing

@Suite struct DiskExecutorTests {
    @Test func `a thread runs jobs in order and stops after the last`() {
        let executor = ThreadExecutor(name: "disk-test")
        let seen = Recorder()
        for number in 0..<1000 { executor.run { seen.add(number) } }
        executor.stop()
        #expect(seen.values == Array(0..<1000))
        executor.run { seen.add(-1) }
        #expect(seen.values.count == 1000)
    }

    @Test func `a manual executor runs when told, in order`() {
        let executor = ManualExecutor()
        let seen = Recorder()
        executor.run {
            seen.add(1)
            executor.run { seen.add(3) }
        }
        executor.run { seen.add(2) }
        #expect(executor.count == 2)
        #expect(seen.values == [])
        executor.runAll()
        #expect(seen.values == [1, 2, 3])
        #expect(!executor.runOne())
    }
}

private final class Recorder: Sendable {
    private let list = Mutex<[Int]>([])
    func add(_ value: Int) { list.withLock { $0.append(value) } }
    var values: [Int] { list.withLock { $0 } }
}
