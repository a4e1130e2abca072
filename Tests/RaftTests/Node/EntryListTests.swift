import Model
import Testing

@testable import Raft

/// The entries of a message: like an array of them, but one takes no array.
@Suite struct EntryListTests {
    private func list(_ count: Int) -> (EntryList, [Entry]) {
        let array: [Entry] = (0..<count).map {
            entry(
                Term(UInt64($0 + 1)),
                LogIndex(UInt64($0 + 10)),
                String(repeating: "x", count: $0)
            )
        }
        return (EntryList(array), array)
    }

    @Test(arguments: 0...4)
    func `a list holds what an array held`(count: Int) {
        let (list, array) = list(count)
        #expect(list.elementsEqual(array))
        #expect(list.count == count)
        #expect(list.isEmpty == array.isEmpty)
        #expect(list.first == array.first)
        #expect(list.last == array.last)
        #expect(list.lastIndex == array.last?.index)
        #expect(list.sizeBytes == array.reduce(0) { $0 + $1.sizeBytes })
        #expect(list.payloadBytes == array.reduce(0) { $0 + $1.payload.count })
        for place in 0..<count {
            #expect(list[place] == array[place])
            #expect(list.index(at: place) == array[place].index)
            #expect(list.term(at: place) == array[place].term)
            #expect(list.type(at: place) == array[place].type)
        }
        #expect(EntryList(array[...]) == list)
        #expect(list == EntryList(array))
        #expect(count == 0 || list != EntryList())
    }

    @Test func `a list grows entry by entry and from parts of arrays`() {
        var list = EntryList()
        let (_, array) = self.list(6)
        for place in 0..<3 {
            list.append(array[place])
            #expect(list.elementsEqual(array.prefix(place + 1)))
        }
        list.append(array[3...])
        #expect(list.elementsEqual(array))
        var single = EntryList(array[0])
        single.append(array[1...])
        #expect(single.elementsEqual(array))
        let literal: EntryList = [array[0], array[1]]
        #expect(literal.elementsEqual(array.prefix(2)))
    }

    @Test(arguments: 1...3)
    func `entries of a list can be changed in place, and copies do not change`(count: Int) {
        let (original, array) = list(count)
        var list = original
        for place in 0..<count {
            list.stamp(place, term: 9, index: LogIndex(UInt64(place) + 90))
            #expect(list[place].term == 9)
            #expect(list[place].index == LogIndex(UInt64(place) + 90))
            #expect(list[place].payload == array[place].payload)
            list[place] = entry(1, 1, "other")
            #expect(list[place] == entry(1, 1, "other"))
        }
        #expect(original.elementsEqual(array))
    }

    @Test func `a place outside of a list is a mistake of the caller`() async {
        await #expect(processExitsWith: .failure) { _ = EntryList()[0] }
        await #expect(processExitsWith: .failure) { _ = EntryList(Entry())[1] }
        await #expect(processExitsWith: .failure) { _ = EntryList(Entry()).index(at: 1) }
    }
}
