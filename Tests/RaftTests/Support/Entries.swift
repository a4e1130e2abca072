import Model
import Raft

/// Entries without payload, of the given terms, from an index on.
func entries(_ terms: [Term], from first: LogIndex = 1) -> [Entry] {
    terms.enumerated().map { Entry(term: $1, index: first + UInt64($0)) }
}

/// The same, as messages carry them.
@_disfavoredOverload
func entries(_ terms: [Term], from first: LogIndex = 1) -> EntryList {
    EntryList(entries(terms, from: first))
}

/// An entry that carries a text.
func entry(_ term: Term, _ index: LogIndex, _ text: String) -> Entry {
    Entry(term: term, index: index, payload: Payload(Array(text.utf8)))
}

/// A snapshot that ends at an entry.
func snapshot(_ index: LogIndex, _ term: Term, _ members: ConfState = ConfState()) -> Snapshot {
    Snapshot(metadata: SnapshotMetadata(index: index, term: term, confState: members))
}

extension RaftConfig {
    /// Switches off what goes beyond the Raft paper: pre-vote, quorum checks, refusals.
    mutating func makePlain() {
        preVote = false
        checkQuorum = false
        disableProposalForwarding = false
        stepDownOnRemoval = false
    }
}

extension [Message] {
    /// The messages in etcd's words, which makes them easy to compare.
    var texts: [String] { map(\.description) }
}
