import Disk
import Glibc
import Model
import RaftHost
import RaftLog

/// What strikes: faults of processes, disks, network and clocks.
extension Simulation {
    /// Lets the next misfortune happen.
    func strike() {
        guard isStormy else { return }
        timeline.add(.misfortune, at: now + 1 + UInt64(random.below(2 * mix.intervalMean)))
        guard let kind = random.pick(mix.kinds) else { return }
        let place = random.below(hosts.count)
        trace.mix(now, 11, UInt64(place))
        switch kind {
        case .kill: fall(place, .nothing, "killed")
        case .powerCut: fall(place, randomLoss(), "power cut")
        case .powerCutInCall: hosts[place].files.cut(at: nextCall(place))
        case .blackout: for place in hosts.indices { fall(place, randomLoss(), "blackout") }
        case .pause: pause(place)
        case .partition: partition()
        case .oneWayCut: cutOneWay(place)
        case .seesaw: break  // It follows elections, not the clock.
        case .clog: network.cloggedUntil[hosts[place].owner] = now + UInt64(random.below(2_000_000))
        case .disconnect: disconnect(place)
        case .diskError: failDisk(place, EIO)
        case .diskFull: failDisk(place, ENOSPC)
        case .slowDisk: slowDown(place)
        case .diskLoss: loseDisk(place)
        case .corruption: corrupt(place)
        case .clockJump: jump(place)
        case .transfer: transfer()
        }
    }

    func randomLoss() -> MemoryFiles.Loss { .random(seed: random.next()) }

    private func nextCall(_ place: Int) -> Int {
        hosts[place].files.changeCount + 1 + random.below(30)
    }

    /// Ends a process; its machine starts it again after a while.
    func fall(_ place: Int, _ loss: MemoryFiles.Loss, _ why: String) {
        let host = hosts[place]
        guard host.isRunning else { return }
        trace.tell(now, host.name, "falls", why)
        trace.mix(now, 12, UInt64(place))
        host.end()
        host.files.restart(after: loss)
        isTouched[place] = false
        let isKernelAlive = if case .nothing = loss { true } else { false }
        for other in hosts.indices where other != place {
            guard isKernelAlive || random.chance(0.3) else { continue }
            let time = now + UInt64(200 + random.below(3_000))
            timeline.add(.disconnect(host: other, peer: host.owner), at: time)
        }
        let pause = isStormy ? [20_000, 400_000, 4_000_000][random.below(3)] : 20_000
        timeline.add(.end(.down(host: place)), at: now + 1_000 + UInt64(random.below(pause)))
    }

    /// Starts a process on its machine, unless it runs.
    func start(_ place: Int) {
        let host = hosts[place]
        guard !host.isRunning else { return }
        let logs: [GroupLog]
        do {
            logs = try host.start(
                mix,
                &random,
                sender: SimulatedSender(self, owner: host.owner),
                interceptor: Observer(self, of: place)
            )
        } catch {
            trace.tell(now, host.name, "refuses", "\(error)")
            if case RaftLogError.disk? = error as? RaftLogError {
                // A fault that was waiting struck while the log was recovered.
                host.files.restart(after: host.files.isCut ? randomLoss() : .nothing)
                return last(.down(host: place), 200_000)
            }
            checker.require(host.isCorrupted, "NoFalseAlarm: \(host.name) does not start: \(error)")
            return replaceDisk(place)
        }
        trace.tell(now, host.name, "runs", "\(logs.count) groups")
        trace.mix(now, 13, UInt64(place), UInt64(logs.count))
        if host.isCorrupted, logs.contains(where: \.isSuspect) { return replaceDisk(place) }
        checkPresence(of: logs, on: host)
        for log in logs { recover(log, host) }
        timeline.add(
            .tick(host: place, life: host.life),
            at: now + UInt64(random.below(100_000))
        )
        isTouched[place] = true
    }

    private func recover(_ log: GroupLog, _ host: SimulatedHost) {
        guard let plan = plans.first(where: { $0.group == log.identity.group }) else { return }
        let ledger = makeLedger(log.identity.node, plan, host)
        host.ledgers[plan.group] = ledger
        do {
            try host.manager?.recover(log, stateMachine: ledger)
        } catch {
            if host.files.isCut { return }
            return checker.require(host.isCorrupted, "NoFalseAlarm: \(host.name): \(error)")
        }
        noteStart(of: log.identity.node, in: plan.group)
        if let replica = host.replica(plan.group) { checker.recovered(replica) }
    }

    /// A replica whose start was confirmed must be there after every crash.
    private func checkPresence(of logs: [GroupLog], on host: SimulatedHost) {
        for plan in plans {
            for node in plan.started where node.owner == host.owner {
                checker.require(
                    logs.contains { $0.identity.node == node } || plan.removed.contains(node),
                    "StartedReplicaSurvives: \(node.short) of group \(plan.group) is gone"
                )
            }
        }
    }

    /// What was to last a while is over.
    func end(_ trouble: Trouble) {
        switch trouble {
        case .down(let place): start(place)
        case .paused(let place):
            hosts[place].isPaused = false
            isTouched[place] = hosts[place].isRunning
        case .cut(let id): network.mend(id)
        case .slow(let place): hosts[place].slowness = 1
        }
    }

    private func last(_ trouble: Trouble, _ meanMicroseconds: Int) {
        timeline.add(.end(trouble), at: now + 1 + UInt64(random.below(2 * meanMicroseconds)))
    }
}

// MARK: Processes and clocks

extension Simulation {
    private func pause(_ place: Int) {
        guard hosts[place].isRunning, !hosts[place].isPaused else { return }
        trace.tell(now, hosts[place].name, "pauses")
        hosts[place].isPaused = true
        last(.paused(host: place), 1_500_000)
    }

    private func jump(_ place: Int) {
        guard let manager = hosts[place].manager, !hosts[place].isPaused else { return }
        let count = 1 + random.below(25)
        trace.tell(now, hosts[place].name, "jumps", "\(count) ticks")
        for _ in 0..<count { manager.tick() }
        isTouched[place] = true
    }

    private func transfer() {
        guard let plan = random.pick(plans), let leader = leader(of: plan.group),
            let node = random.pick(leader.members)
        else { return }
        let place = Int(leader.nodeID.owner) - 1
        trace.tell(now, hosts[place].name, "transfers", "g\(plan.group) to \(node.short)")
        hosts[place].manager?.transferLeadership(of: plan.group, to: node)
        isTouched[place] = true
    }
}

// MARK: Network

extension Simulation {
    private func partition() {
        let owners = Set(hosts.map(\.owner).filter { _ in random.chance(0.5) })
        let others = Set(hosts.map(\.owner)).subtracting(owners)
        guard !owners.isEmpty, !others.isEmpty else { return }
        trace.tell(now, "net", "splits", "\(owners.sorted()) from \(others.sorted())")
        last(.cut(id: network.cut(from: owners, to: others)), 2_000_000)
        guard random.chance(0.7) else { return }
        last(.cut(id: network.cut(from: others, to: owners)), 2_000_000)
    }

    /// Cuts a new leader off together with the first machine, or the last one.
    ///
    /// The rest elects another one, whose entries that machine, its disk being slow, takes
    /// instead, and so on.
    func seesaw() {
        guard !checker.newLeaders.isEmpty else { return }
        let leaders = checker.newLeaders
        checker.newLeaders = []
        guard isStormy, mix.kinds.contains(.seesaw), let leader = leaders.first else { return }
        let all = Set(hosts.map(\.owner))
        guard let keeper = leader.owner == 1 ? all.max() : 1 else { return }
        let few: Set = [leader.owner, keeper]
        trace.tell(now, "net", "seesaws", "\(few.sorted())")
        network.mendAll()
        hosts[Int(keeper) - 1].slowness = [1, 30, 300][random.below(3)]
        last(.cut(id: network.cut(from: few, to: all.subtracting(few))), 4_000_000)
        last(.cut(id: network.cut(from: all.subtracting(few), to: few)), 4_000_000)
    }

    private func cutOneWay(_ place: Int) {
        let other = random.below(hosts.count)
        guard other != place else { return }
        trace.tell(now, "net", "cuts", "\(hosts[place].name) to \(hosts[other].name)")
        let id = network.cut(from: [hosts[place].owner], to: [hosts[other].owner])
        last(.cut(id: id), 3_000_000)
    }

    private func disconnect(_ place: Int) {
        let other = random.below(hosts.count)
        guard other != place else { return }
        timeline.add(.disconnect(host: place, peer: hosts[other].owner), at: now)
    }
}

// MARK: Disks

extension Simulation {
    private func failDisk(_ place: Int, _ code: Int32) {
        guard hosts[place].isRunning else { return }
        let operations: [DiskError.Operation?] =
            code == ENOSPC ? [.allocate, .write] : [.write, .sync, .syncDirectory, nil]
        let operation = operations[random.below(operations.count)]
        trace.tell(now, hosts[place].name, "disk fault", operation.map { "\($0)" } ?? "any call")
        hosts[place].files.fail(operation, skip: random.below(10), code: code)
    }

    private func slowDown(_ place: Int) {
        hosts[place].slowness = [3, 30, 300][random.below(3)]
        last(.slow(host: place), 2_000_000)
    }

    private func loseDisk(_ place: Int) {
        guard canLoseDisk(place) else { return }
        fall(place, .everythingUnsynced, "disk lost")
        replaceDisk(place)
    }

    /// Puts an empty disk into a machine; the controllers notice and fill it again.
    func replaceDisk(_ place: Int) {
        let host = hosts[place]
        trace.tell(now, host.name, "new disk")
        trace.mix(now, 14, UInt64(place))
        if host.isRunning { host.end() }
        host.files = SimulatedHost.emptyDisk()
        host.isCorrupted = false
        if sabotage != .incarnationReused { noteDiskLoss(place) } else { forgetStarts(place) }
        last(.down(host: place), 200_000)
    }

    /// Sabotage: the replicas are started again under their old names.
    private func forgetStarts(_ place: Int) {
        for number in plans.indices {
            let here = plans[number].started.filter { $0.owner == hosts[place].owner }
            for node in here { checker.lost(plans[number].group, node, isPurged: false) }
            plans[number].started.removeAll { here.contains($0) }
            plans[number].unstarted += here.filter { !plans[number].removed.contains($0) }
        }
    }

    private func corrupt(_ place: Int) {
        guard canLoseDisk(place), hosts[place].isRunning else { return }
        let host = hosts[place]
        fall(place, .nothing, "bits flip")
        let paths = host.files.paths.filter { sabotage != .cutAtBadFrame || $0.contains("/wal/") }
        guard let path = random.pick(paths), let bytes = host.files.contents(of: path),
            !bytes.isEmpty
        else { return }
        host.isCorrupted = true
        let bit = random.below(bytes.count * 8)
        host.files.flipBit(of: path, at: bit)
        if sabotage == .cutAtBadFrame { Sabotage.cutLog(of: host, path, at: bit / 8) }
    }
}
