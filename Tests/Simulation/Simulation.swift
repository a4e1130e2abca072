import Disk
import Model
import NIOCore
import NIOEmbedded
import Raft
import RaftHost
import RaftLog

/// A cluster in one thread: the real core, the real log and the real host over simulated disks,
/// network and clocks, with faults, all of it drawn from one seed.
///
/// The same seed does the same in every process: equal trace hashes say so. First come `steps`
/// events with faults (safety), then all faults stop, and the cluster must come to rest with new
/// commits and equal logs within a bound (liveness).
/// - Thread: the one that makes it, for all of its life.
public final class Simulation {
    enum Event {
        case deliver(from: Int32, to: Int32, Packet)
        case disk(host: Int, SimulatedHost.Worker, life: UInt64)
        case answer(host: Int, life: UInt64, () -> Void)
        case tick(host: Int, life: UInt64)
        case disconnect(host: Int, peer: Int32)
        case outage(host: Int, life: UInt64)
        case produce
        case read
        case administer
        case misfortune
        case end(Trouble)
    }

    /// What ends by itself after a while.
    enum Trouble {
        case down(host: Int)
        case paused(host: Int)
        case cut(id: Int)
        case slow(host: Int)
        case lie(host: Int)
    }

    /// What everything is drawn from.
    public let seed: UInt64
    /// What goes wrong in this run.
    public let mix: FaultMix
    /// The defect that was put in, if any.
    public let sabotage: Sabotage?
    let checker: Checker
    /// What the cores trace; nil if nobody wants it.
    let traces: GroupTraces?
    let hosts: [SimulatedHost]
    var random: SeededRandom
    var network: SimulatedNetwork
    var timeline = Timeline<Event>()
    var trace: Trace
    /// Microseconds since the start.
    var now: UInt64 = 0
    /// Events so far.
    public private(set) var steps = 0
    /// How often each kind of misfortune has struck, in the order of the kinds.
    var faultCounts = FaultMix.Kind.allCases.map { _ in 0 }
    /// Whether faults strike; afterwards everything must come to rest.
    var isStormy = true
    var nextNumber: Int64 = 1
    /// Batches acknowledged since the storm ended, for each group.
    var calmReceipts: [RaftGroupID: Int] = [:]
    var plans: [GroupPlan] = []
    /// The jobs of disks that have begun and not ended, each begun within the one before it.
    var jobs: [DiskJob] = []
    var isTouched: [Bool]
    /// Ticks in which a leader was at rest, summed up over all groups.
    var rests = 0
    /// Messages that took the lane for catching up.
    var catchUps = 0
    /// Sabotage: answers that do not wait for the disk.
    var hastyAnswers: [(replica: Replica, message: Message)] = []

    /// Prepares a run.
    ///
    /// - Parameters:
    ///   - watch: who looks for broken promises; the run itself is the same.
    ///   - tracer: gets every line that the replicas of a group trace, with the group's number.
    ///   - reader: gets one aligned line for each event; nil for a quiet run.
    public init(
        seed: UInt64,
        sabotage: Sabotage? = nil,
        mix: FaultMix? = nil,
        watch: Watch = .checker,
        tracer: ((UInt64, String) -> Void)? = nil,
        reader: ((String) -> Void)? = nil
    ) {
        self.seed = seed
        self.sabotage = sabotage
        let checker = Checker(isBlind: watch == .model)
        self.checker = checker
        let hasModels = watch != .checker
        traces =
            hasModels || tracer != nil
            ? GroupTraces(hasModels: hasModels, reader: tracer) { checker.fail($0) } : nil
        random = SeededRandom(seed)
        var drawn = FaultMix(&random)
        if let mix { drawn = mix }
        sabotage?.prepare(&drawn)
        self.mix = drawn
        trace = Trace(reader: reader)
        network = SimulatedNetwork(random: random.split())
        hosts = (1...drawn.hosts).map { SimulatedHost(owner: Int32($0)) }
        isTouched = hosts.map { _ in false }
        trace.tell(0, "run", "seed", "\(seed): \(drawn.description)")
    }

    /// Runs to the end and says how it went.
    public func run(steps count: Int) -> SimulationResult {
        found()
        while steps < count, checker.violation == nil { step() }
        if checker.violation == nil { calm() }
        defer { disband() }
        return SimulationResult(
            seed: seed,
            steps: steps,
            seconds: Double(now) / 1e6,
            entries: checker.committed.values.reduce(0) { $0 + $1.count },
            acknowledged: checker.receipts.values.reduce(0) { $0 + $1.count },
            rests: rests,
            catchUps: catchUps,
            tracedLines: traces?.lineCount ?? 0,
            traceHash: trace.hash,
            faults: zip(FaultMix.Kind.allCases, faultCounts).map { ($0, $1) },
            violation: checker.violation,
            mix: mix.description
        )
    }

    /// Ends what still runs, so that nothing outlives the run.
    func disband() {
        for host in hosts { host.end() }
        for host in hosts { host.bury() }
        timeline = Timeline()
        hastyAnswers = []
    }

    /// One event, and a look at whoever it touched.
    func step() {
        guard let (time, event) = timeline.next() else { return }
        steps += 1
        now = time
        handle(event)
        for place in hosts.indices where isTouched[place] {
            isTouched[place] = false
            settle(place)
        }
        checker.endStep()
        seesaw()
    }

    private func handle(_ event: Event) {
        switch event {
        case .deliver(let from, let to, let packet): deliver(from, to, packet)
        case .disk(let place, let worker, let life): work(place, worker, life)
        case .answer(let place, let life, let answer): hear(place, life, answer)
        case .tick(let place, let life): tick(place, life)
        case .disconnect(let place, let peer):
            guard let manager = hosts[place].manager, !hosts[place].isPaused else { return }
            trace.tell(now, hosts[place].name, "lost peer", "h\(peer)")
            trace.mix(now, 5, UInt64(place), UInt64(bitPattern: Int64(peer)))
            manager.peerDisconnected(peer)
            isTouched[place] = true
        case .outage(let place, let life):
            if hosts[place].life == life { fall(place, randomLoss(), "power cut") }
        case .produce: produce()
        case .read: readLinearizably()
        case .administer:
            trace.tell(now, "admin", "looks")
            administer()
        case .misfortune:
            trace.tell(now, "fate", "strikes")
            strike()
        case .end(let trouble): end(trouble)
        }
    }

    /// Runs a process until it waits for its disk, the network or the clock, and looks at it.
    private func settle(_ place: Int) {
        let host = hosts[place]
        guard let manager = host.manager else { return }
        host.loop.run()
        answerHastily(manager)
        host.loop.run()
        for group in manager.groups {
            guard let replica = manager.replica(group) else { continue }
            checker.look(at: replica)
            checker.require(
                !replica.isSuspect || host.isDamaged,
                "NoFalseAlarm: \(replica.nodeID.short) of group \(group) is suspect"
            )
        }
        if host.hasFailed || host.files.isCut {
            let isPowerCut = host.files.isCut && !host.diesInCall
            fall(place, isPowerCut ? randomLoss() : .nothing, "disk failed")
            return
        }
        noticeLostWrite(place)
        for worker in [SimulatedHost.Worker.writer, .reader] { schedule(worker, place) }
    }

    private func answerHastily(_ manager: RaftManager) {
        let answers = hastyAnswers
        hastyAnswers = []
        for (replica, message) in answers {
            let received = ReceivedMessage(group: replica.id, message: message, chain: nil)
            if message.to == replica.nodeID {
                manager.receive([received])
            } else {
                transmit(from: replica.nodeID.owner, received)
            }
        }
    }

    /// Gives the next job of a disk its time.
    private func schedule(_ worker: SimulatedHost.Worker, _ place: Int) {
        let host = hosts[place]
        guard host.executor(worker).count > 0, host.isScheduled[worker] != true else { return }
        host.isScheduled[worker] = true
        // Writes begin soon even on a slow disk; it is their end that lets itself be waited for.
        let mean = isStormy ? mix.diskMean : 200
        let time = now + UInt64(20 + random.below(mean))
        timeline.add(.disk(host: place, worker, life: host.life), at: time)
    }

    private func work(_ place: Int, _ worker: SimulatedHost.Worker, _ life: UInt64) {
        let host = hosts[place]
        guard host.life == life, host.isRunning else { return }
        trace.tell(now, host.name, "disk", "\(worker)")
        trace.mix(now, 2, UInt64(place), worker.rawValue)
        jobs.append(DiskJob(place: place, life: life))
        host.executor(worker).runOne()
        jobs.removeLast()
        // Meanwhile the process may have ended, and another one begun.
        guard host.life == life else { return }
        host.isScheduled[worker] = false
        isTouched[place] = true
    }

    /// Lets the answer of a disk take its time; meanwhile the process goes on.
    func answer(_ place: Int, life: UInt64, _ answer: @escaping () -> Void) {
        let host = hosts[place]
        let mean = isStormy ? mix.diskMean * host.slowness : 200
        host.lastAnswer = max(host.lastAnswer, now + UInt64(random.below(2 * mean)))
        timeline.add(.answer(host: place, life: life, answer), at: host.lastAnswer)
    }

    private func hear(_ place: Int, _ life: UInt64, _ answer: @escaping () -> Void) {
        let host = hosts[place]
        guard host.life == life, host.isRunning else { return }
        if host.isPaused {
            // Those that come later must not overtake it.
            host.lastAnswer = max(host.lastAnswer, now + 50_000)
            return timeline.add(.answer(host: place, life: life, answer), at: host.lastAnswer)
        }
        trace.tell(now, host.name, "stored")
        trace.mix(now, 15, UInt64(place))
        answer()
        isTouched[place] = true
    }

    private func tick(_ place: Int, _ life: UInt64) {
        let host = hosts[place]
        guard host.life == life, let manager = host.manager else { return }
        // Clocks run a little faster or slower, and ticks come late on a busy machine.
        let length = isStormy ? UInt64(90_000 + random.below(25_000)) : 100_000
        timeline.add(.tick(host: place, life: life), at: now + length)
        guard !host.isPaused else { return }
        trace.tell(now, host.name, "ticks")
        trace.mix(now, 3, UInt64(place))
        manager.tick()
        rests += manager.restingLeaderCount
        isTouched[place] = true
    }

    private func deliver(_ from: Int32, _ to: Int32, _ packet: Packet) {
        let place = Int(to) - 1
        let host = hosts[place]
        guard let manager = host.manager else { return }
        if host.isPaused {
            // The kernel keeps it until the process goes on.
            return timeline.add(.deliver(from: from, to: to, packet), at: now + 100_000)
        }
        guard !network.isCut(from: from, to: to) else { return }
        switch packet {
        case .message(let received):
            noteArrival(received, at: host)
            manager.receive([received])
        case .heartbeats(let round):
            trace.tell(now, host.name, "hears", "\(round.beats.count) heartbeats of h\(from)")
            trace.mix(now, 16, UInt64(place), round.number, UInt64(round.beats.count))
            manager.receive(round, from: from)
        case .answers(let answers):
            trace.tell(now, host.name, "hears", "answers of h\(from): \(answers.places)")
            trace.mix(now, 17, UInt64(place), answers.number, UInt64(answers.places.count))
            manager.receive(answers, from: from)
        }
        isTouched[place] = true
    }

    private func noteArrival(_ received: ReceivedMessage, at host: SimulatedHost) {
        let message = received.message
        trace.tell(now, host.name, "receives", describe(received))
        trace.mix(now, 1, received.group.rawValue, UInt64(message.type.rawValue))
        trace.mix(message.from.rawValue, message.to.rawValue, message.term.rawValue)
        trace.mix(message.index.rawValue, message.commit.rawValue, UInt64(message.entries.count))
    }

    func describe(_ received: ReceivedMessage) -> String {
        let message = received.message
        var text = "g\(received.group) \(message.from.short)>\(message.to.short) "
        text += "\(message.type)".padded(to: 18)
        text += " term \(message.term) index \(message.index) (\(message.logTerm))"
        if !message.entries.isEmpty { text += " +\(message.entries.count)" }
        if message.commit > 0 { text += " commit \(message.commit)" }
        return message.reject ? text + " rejects" : text
    }
}

/// How a run went.
public struct SimulationResult: Sendable {
    /// The seed that repeats it.
    public let seed: UInt64
    /// How many events there were.
    public let steps: Int
    /// How much simulated time went by.
    public let seconds: Double
    /// How many entries were committed.
    public let entries: Int
    /// How many of them were acknowledged to a producer.
    public let acknowledged: Int
    /// In how many ticks a leader was at rest, summed up over all groups.
    public let rests: Int
    /// How many messages took the lane for catching up.
    public let catchUps: Int
    /// How many lines the replicas have traced; 0 if nobody wanted them.
    public let tracedLines: Int
    /// Equal for two runs of one seed.
    public let traceHash: UInt64
    /// How often each kind of misfortune has struck.
    public let faults: [(kind: FaultMix.Kind, count: Int)]
    /// The first broken promise; nil for a good run.
    public let violation: String?
    /// What the run was made of.
    public let mix: String
}
