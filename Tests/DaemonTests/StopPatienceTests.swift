import Testing

@testable import Daemon

@Suite struct StopPatienceTests {
    @Test func `a leader that does not answer is waited for a while, each time anew`() {
        let patience = StopPatience()
        let start = ContinuousClock.now
        #expect(!patience.waits(isAnswered: true, now: start))
        #expect(patience.waits(isAnswered: false, now: start + .seconds(1)))
        #expect(patience.waits(isAnswered: false, now: start + .seconds(2)))
        #expect(!patience.waits(isAnswered: true, now: start + .seconds(3)))
        let end = start + .seconds(100) + StopPatience.limit
        #expect(patience.waits(isAnswered: false, now: start + .seconds(100)))
        #expect(!patience.waits(isAnswered: false, now: end))
    }
}
