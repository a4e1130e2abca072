import Testing

@testable import BrokerServer

@Suite struct ProducerStateTests {
    private func batch(
        _ first: Int32,
        _ count: Int32 = 1,
        epoch: Int16 = 0,
        producer: Int64 = 7
    ) -> ProducerBatch {
        ProducerBatch(
            producerID: producer,
            epoch: epoch,
            firstSequence: first,
            recordCount: count
        )
    }

    /// A state with these batches committed, one offset for each record from 100 on.
    private func committed(_ batches: [ProducerBatch]) -> ProducerState {
        var state = ProducerState()
        var offset: Int64 = 100
        for (place, batch) in batches.enumerated() {
            state.append(batch, index: UInt64(place + 1), baseOffset: offset)
            state.commit(batch, index: UInt64(place + 1), baseOffset: offset)
            offset += Int64(batch.recordCount)
        }
        return state
    }

    @Test func `the next sequence is accepted and a gap is not`() {
        let state = committed([batch(0, 10)])
        #expect(state.check(batch(10)) == .accept)
        #expect(state.check(batch(11)) == .outOfOrder)
        #expect(state.check(batch(9)) == .outOfOrder)
    }

    @Test func `a repeated batch is answered with the offset that it has`() {
        let state = committed([batch(0, 10), batch(10, 5)])
        #expect(state.check(batch(0, 10)) == .duplicate(baseOffset: 100))
        #expect(state.check(batch(10, 5)) == .duplicate(baseOffset: 110))
        // Another length is another batch.
        #expect(state.check(batch(10, 4)) == .outOfOrder)
    }

    @Test func `five batches are remembered for each producer`() {
        let state = committed((0..<6).map { batch($0) })
        #expect(state.check(batch(0)) == .outOfOrder)
        for first in 1..<6 {
            #expect(state.check(batch(Int32(first))) == .duplicate(baseOffset: Int64(100 + first)))
        }
    }

    @Test func `an older epoch is fenced and a newer one begins at zero`() {
        let state = committed([batch(0, 3, epoch: 4)])
        #expect(state.check(batch(3, epoch: 3)) == .epochFenced)
        #expect(state.check(batch(3, epoch: 5)) == .outOfOrder)
        #expect(state.check(batch(0, epoch: 5)) == .accept)
    }

    @Test func `a batch of an older epoch is no duplicate of the new one's`() {
        var state = committed([batch(0, 3, epoch: 4)])
        state.append(batch(0, 3, epoch: 5), index: 2, baseOffset: 103)
        state.commit(batch(0, 3, epoch: 5), index: 2, baseOffset: 103)
        #expect(state.check(batch(0, 3, epoch: 5)) == .duplicate(baseOffset: 103))
        #expect(state.check(batch(0, 3, epoch: 4)) == .epochFenced)
    }

    @Test func `an unknown producer may begin with any sequence`() {
        #expect(ProducerState().check(batch(4711)) == .accept)
    }

    @Test func `sequences wrap from the largest number to zero`() {
        let state = committed([batch(Int32.max - 1, 2)])
        #expect(state.check(batch(0)) == .accept)
        let across = batch(Int32.max - 1, 4)
        #expect(across.lastSequence == 1)
    }

    @Test func `what is proposed counts at once`() {
        var state = committed([batch(0)])
        state.propose(batch(1))
        #expect(state.check(batch(1)) == .duplicateInFlight)
        #expect(state.check(batch(2)) == .accept)
        #expect(state.check(batch(3)) == .outOfOrder)
        #expect(state.check(batch(0)) == .duplicate(baseOffset: 100))
    }

    @Test func `a proposal that was refused at once leaves no trace`() {
        var state = committed([batch(0)])
        state.propose(batch(1))
        state.retractProposal(batch(1))
        #expect(state.check(batch(1)) == .accept)
    }

    @Test func `a proposal that never reached the log is dropped with the leadership`() {
        var state = committed([batch(0)])
        state.propose(batch(1))
        state.propose(batch(2))
        state.append(batch(1), index: 2, baseOffset: 101)
        state.dropProposals()
        #expect(state.check(batch(1)) == .duplicateInFlight)
        #expect(state.check(batch(2)) == .accept)
    }

    @Test func `a truncated batch may be sent again`() {
        var state = committed([batch(0)])
        state.append(batch(1), index: 2, baseOffset: 101)
        state.append(batch(2), index: 3, baseOffset: 102)
        state.truncate(from: 3)
        #expect(state.check(batch(2)) == .accept)
        state.truncate(from: 2)
        #expect(state.check(batch(1)) == .accept)
        #expect(state.overlay.isEmpty)
    }

    @Test func `another leader's batch goes before proposals that are about to be dropped`() {
        var state = ProducerState()
        state.propose(batch(0, producer: 1))
        state.append(batch(0, producer: 2), index: 1, baseOffset: 0)
        #expect(state.overlay.map(\.index) == [1, nil])
        state.dropProposals()
        state.commit(batch(0, producer: 2), index: 1, baseOffset: 0)
        #expect(state.overlay.isEmpty)
        #expect(state.check(batch(0, producer: 1)) == .accept)
    }

    @Test func `state from the log is the same as state from appends`() {
        let batches = (0..<20).map { batch(Int32($0), producer: Int64($0 % 3)) }
        var recovered = ProducerState()
        for (place, batch) in batches.enumerated() {
            recovered.commit(batch, index: UInt64(place + 1), baseOffset: Int64(100 + place))
        }
        #expect(recovered.committed == committed(batches).committed)
    }

    @Test func `the producers that are longest silent are forgotten first`() {
        var state = ProducerState(producersMax: 10)
        for index in 1...11 {
            state.commit(
                batch(0, producer: Int64(index)),
                index: UInt64(index),
                baseOffset: Int64(index)
            )
        }
        #expect(state.count < 11)
        #expect(state.check(batch(5, producer: 1)) == .accept)
        #expect(state.check(batch(5, producer: 11)) == .outOfOrder)
    }
}
