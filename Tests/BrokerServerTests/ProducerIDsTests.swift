import Testing

@testable import BrokerServer

@Suite struct ProducerIDsTests {
    @Test func `ids come from blocks and never twice`() {
        var blocks = [Int64(0)..<2, 10..<12]
        let ids = ProducerIDs { completion in
            completion(blocks.isEmpty ? nil : blocks.removeFirst())
        }
        var given: [Int64?] = []
        for _ in 0..<5 { ids.next { given.append($0) } }
        #expect(given == [0, 1, 10, 11, nil])
    }

    @Test func `requests that wait for a block share it in their order`() {
        var answers: [(Range<Int64>?) -> Void] = []
        let ids = ProducerIDs { answers.append($0) }
        var given: [Int64?] = []
        for _ in 0..<3 { ids.next { given.append($0) } }
        #expect(answers.count == 1)
        answers[0](5..<7)
        #expect(given == [5, 6])
        // One is still waiting: the next block is asked for.
        #expect(answers.count == 2)
        answers[1](nil)
        #expect(given == [5, 6, nil])
    }
}
