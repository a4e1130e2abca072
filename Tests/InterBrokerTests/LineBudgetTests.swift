import InterBroker
import NIOCore
import Testing

@Suite struct LineBudgetTests {
    @Test func `a kind has five lines in ten seconds, and the next tells of those left out`() {
        var budget = LineBudget<String>()
        let start = NIODeadline.uptimeNanoseconds(7)
        for _ in 1...5 { #expect(budget.take("a", now: start) == 0) }
        for _ in 1...3 { #expect(budget.take("a", now: start + .seconds(9)) == nil) }
        #expect(budget.take("b", now: start + .seconds(9)) == 0)
        #expect(budget.take("a", now: start + .seconds(10)) == 3)
        #expect(budget.take("a", now: start + .seconds(10)) == 0)
    }
}
