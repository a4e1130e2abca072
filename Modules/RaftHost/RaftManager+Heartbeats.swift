import Model
import NIOCore
import Raft
import Telemetry

/// Time and heartbeats: one round per tick and peer, one answer per round.
///
/// Replicas to which nothing else happens rest: what is said and heard for them in a round has
/// the effects of messages. For any other replica the message itself is made and stepped. Whoever
/// rests needs no quick answer: it goes out with the tick, in the frame of the own heartbeats.
extension RaftManager {
    /// Moves the clock of all groups on, and sends the heartbeats that come of it;
    /// ``startTicking()`` calls it by itself.
    public func tick() {
        ticks += 1
        metrics.groups.set(table.groups.count)
        metrics.leaders.set(leaderCount)
        restingLeaderCount = 0
        for place in table.groups.indices where !tickAtRest(place) {
            let replica = table.replicas[place]
            guard !replica.isSuspect else { continue }
            if table.letRest(place), tickAtRest(place) { continue }
            replica.node.tick()
            countDown(replica)
            replica.ageSnapshots()
            replica.leaveJoint()
            if replica.retriesReads {
                replica.retriesReads = false
                replica.node.entriesFetched()
            }
            if replica.node.hasReady { markDirty(replica) }
        }
        metrics.leadersResting.set(restingLeaderCount)
        sendHeartbeats()
        tickCatchUps()
        for work in tickWork { work(ticks) }
    }

    /// Whether the replica rests and its tick was counted.
    private func tickAtRest(_ place: Int) -> Bool {
        switch table.tick(place) {
        case .wake: return false
        case .nothing: return true
        case .heartbeats:
            restingLeaderCount += 1
            let rest = table.rest(place)
            for peer in 0..<rest.peerCount {
                addHeartbeat(
                    Heartbeat(
                        group: table.groups[place],
                        from: rest.id,
                        to: rest.peer(peer),
                        term: rest.term,
                        commit: rest.commit
                    )
                )
            }
            return true
        }
    }

    private func countDown(_ replica: Replica) {
        guard replica.ticksToCampaign >= 0 else {
            // Two have shared the votes: they try again soon, but not in the same moment.
            if replica.core.isContested { replica.ticksToCampaign = Int(nextRandom() % 4) }
            return
        }
        replica.ticksToCampaign -= 1
        guard replica.ticksToCampaign < 0, replica.node.leader == .none else { return }
        campaign(replica)
    }

    private func addHeartbeat(_ beat: Heartbeat) { heartbeats[peer(beat.to.owner)].add(beat) }

    /// Where a daemon stands in `heartbeats`.
    private func peer(_ owner: Int32) -> Int {
        // A handful of peers: a scan beats a table.
        if let place = heartbeats.firstIndex(where: { $0.owner == owner }) { return place }
        heartbeats.append(PeerHeartbeats(owner: owner))
        return heartbeats.count - 1
    }

    private func sendHeartbeats() {
        for place in heartbeats.indices {
            let owner = heartbeats[place].owner
            for answers in heartbeats[place].takeAnswers() {
                sender?.send(answers, to: owner)
                scheduleFlush()
            }
            guard let round = heartbeats[place].closeRound(nextRound) else { continue }
            nextRound &+= 1
            sender?.send(round, to: owner)
            scheduleFlush()
        }
    }

    /// Takes another daemon's heartbeats, and answers for all resting groups at once.
    public func receive(_ round: HeartbeatRound, from owner: Int32) {
        eventLoop.preconditionInEventLoop()
        var answers = HeartbeatAnswers(number: round.number)
        var hint = 0
        for (number, beat) in round.beats.enumerated() {
            guard let place = table.place(of: beat.group, near: hint) else { continue }
            hint = place
            if table.hear(beat, place) || (table.letRest(place) && table.hear(beat, place)) {
                answers.add(number)
            } else {
                let message = beat.message
                // The transport has not looked at what a round says.
                guard message.isAcceptableFromPeer else { continue }
                receive(message, for: table.replicas[place])
            }
        }
        if !answers.places.isEmpty { heartbeats[peer(owner)].add(answers) }
    }

    /// Takes another daemon's answer to a round of heartbeats.
    public func receive(_ answers: HeartbeatAnswers, from owner: Int32) {
        eventLoop.preconditionInEventLoop()
        guard let peer = heartbeats.firstIndex(where: { $0.owner == owner }),
            let round = heartbeats[peer].takeAnswered(answers.number)
        else { return }
        var hint = 0
        for numbers in answers.places {
            for beat in round.beats[numbers.clamped(to: round.beats.indices)] {
                guard let place = table.place(of: beat.group, near: hint) else { continue }
                hint = place
                if !table.hearResponse(to: beat, place) {
                    receive(beat.response, for: table.replicas[place])
                }
            }
        }
    }
}
