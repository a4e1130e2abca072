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
        if strike(kind, place) { count(kind) }
    }

    /// Notes that a misfortune has really happened.
    func count(_ kind: FaultMix.Kind) {
        guard let number = FaultMix.Kind.allCases.firstIndex(of: kind) else { return }
        faultCounts[number] += 1
    }

    /// Lets a misfortune happen; false if there was nothing to strike, or it is counted later.
    private func strike(_ kind: FaultMix.Kind, _ place: Int) -> Bool {
        switch kind {
        case .kill: return fall(place, .nothing, "killed")
        case .powerCut: return fall(place, randomLoss(), "power cut")
        case .powerCutInCall, .killInCall:
            hosts[place].files.cut(at: nextCall(place))
            hosts[place].diesInCall = kind == .killInCall
        case .crashInJob:
            hosts[place].fallsInJob = true
            return false  // It is counted when it happens.
        case .blackout: for place in hosts.indices { fall(place, randomLoss(), "blackout") }
        case .pause: return pause(place)
        case .partition: return partition()
        case .oneWayCut: return cutOneWay(place)
        case .seesaw: return false  // It follows elections, not the clock.
        case .clog: network.cloggedUntil[hosts[place].owner] = now + UInt64(random.below(2_000_000))
        case .disconnect: return disconnect(place)
        case .diskError: return failDisk(place, EIO)
        case .diskFull: return failDisk(place, ENOSPC)
        case .slowDisk: slowDown(place)
        case .diskLoss: return loseDisk(place)
        case .corruption: return corrupt(place)
        case .readError: return failRead(place)
        case .lostWrite, .misdirectedWrite:
            betray(place, kind)
            return false  // It is counted when a write is lost.
        case .clockJump: return jump(place)
        case .transfer: return transfer()
        }
        return true
    }

    func randomLoss() -> MemoryFiles.Loss { .random(seed: random.next()) }

    private func nextCall(_ place: Int) -> Int {
        hosts[place].files.changeCount + 1 + random.below(30)
    }

    /// Ends a process; its machine starts it again after a while.
    @discardableResult
    func fall(_ place: Int, _ loss: MemoryFiles.Loss, _ why: String) -> Bool {
        let host = hosts[place]
        guard host.isRunning else { return false }
        trace.tell(now, host.name, "falls", why)
        trace.mix(now, 12, UInt64(place))
        if host.damage == .passing {
            // A deletion that is on its way may be undone by this, and the suspect come back.
            let isLasting = hasSuspects(host) || !host.isPurging.isEmpty
            host.damage = isLasting ? .lasting : .none
        }
        host.end()
        host.files.restart(after: loss)
        host.diesInCall = false
        isTouched[place] = false
        let isKernelAlive = if case .nothing = loss { true } else { false }
        for other in hosts.indices where other != place {
            guard isKernelAlive || random.chance(0.3) else { continue }
            let time = now + UInt64(200 + random.below(3_000))
            timeline.add(.disconnect(host: other, peer: host.owner), at: time)
        }
        let pause = isStormy ? [20_000, 400_000, 4_000_000][random.below(3)] : 20_000
        timeline.add(.end(.down(host: place)), at: now + 1_000 + UInt64(random.below(pause)))
        return true
    }

    private func hasSuspects(_ host: SimulatedHost) -> Bool {
        plans.contains { host.replica($0.group)?.isSuspect ?? false }
    }

    /// Starts a process on its machine, unless it runs.
    func start(_ place: Int) {
        let host = hosts[place]
        guard !host.isRunning else { return }
        let logs: [GroupLog]
        host.files.setGate(gate(of: place))
        jobs.append(DiskJob(place: place, life: nil))
        defer { jobs.removeLast() }
        do {
            logs = try host.start(
                mix,
                &random,
                sender: SimulatedSender(self, owner: host.owner),
                interceptor: Observer(self, of: place)
            )
        } catch {
            trace.tell(now, host.name, "refuses", "\(error)")
            return startFailed(place, error)
        }
        host.failedReadings = 0
        trace.tell(now, host.name, "runs", "\(logs.count) groups")
        trace.mix(now, 13, UInt64(place), UInt64(logs.count))
        let isNoticed = host.isDamaged && logs.contains(where: \.isSuspect)
        // Now and then somebody looks at the machine before its replicas are placed anew.
        if isNoticed, random.chance(0.3) { return replaceDisk(place) }
        checkPresence(of: logs, on: host)
        for log in logs { recover(log, host) }
        timeline.add(
            .tick(host: place, life: host.life),
            at: now + UInt64(random.below(100_000))
        )
        isTouched[place] = true
    }

    private func startFailed(_ place: Int, _ error: any Error) {
        let host = hosts[place]
        if case .disk(let failure)? = error as? RaftLogError {
            // A fault that was waiting struck while the log was recovered.
            host.failedReadings += failure.isUnreadable ? 1 : 0
            if host.failedReadings < 3 {
                let isPowerCut = host.files.isCut && !host.diesInCall
                host.files.restart(after: isPowerCut ? randomLoss() : .nothing)
                host.diesInCall = false
                return last(.down(host: place), 200_000)
            }
        }
        checker.require(host.isDamaged, "NoFalseAlarm: \(host.name) does not start: \(error)")
        replaceDisk(place)
    }

    private func recover(_ log: GroupLog, _ host: SimulatedHost) {
        guard let plan = plans.first(where: { $0.group == log.identity.group }) else { return }
        let ledger = makeLedger(log.identity.node, plan, host)
        host.ledgers[plan.group] = ledger
        do {
            try host.manager?.recover(log, stateMachine: ledger)
        } catch {
            if host.files.isCut { return }
            return checker.require(host.isDamaged, "NoFalseAlarm: \(host.name): \(error)")
        }
        noteStart(of: log.identity.node, in: plan.group)
        if let replica = host.replica(plan.group) { checker.recovered(replica) }
    }

    /// A replica whose start was confirmed must be there after every crash.
    private func checkPresence(of logs: [GroupLog], on host: SimulatedHost) {
        for number in plans.indices {
            let plan = plans[number]
            for node in plan.started where node.owner == host.owner {
                guard !logs.contains(where: { $0.identity.node == node }),
                    !plan.removed.contains(node)
                else { continue }
                checker.require(
                    host.isDamaged,
                    "StartedReplicaSurvives: \(node.short) of group \(plan.group) is gone"
                )
                checker.lost(plan.group, node, isPurged: false)
                noteDamage(of: node, number)
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
        case .lie(let place): inspect(place)
        }
    }

    private func last(_ trouble: Trouble, _ meanMicroseconds: Int) {
        timeline.add(.end(trouble), at: now + 1 + UInt64(random.below(2 * meanMicroseconds)))
    }
}

// MARK: Processes and clocks

extension Simulation {
    private func pause(_ place: Int) -> Bool {
        guard hosts[place].isRunning, !hosts[place].isPaused else { return false }
        trace.tell(now, hosts[place].name, "pauses")
        hosts[place].isPaused = true
        last(.paused(host: place), 1_500_000)
        return true
    }

    private func jump(_ place: Int) -> Bool {
        guard let manager = hosts[place].manager, !hosts[place].isPaused else { return false }
        let count = 1 + random.below(25)
        trace.tell(now, hosts[place].name, "jumps", "\(count) ticks")
        for _ in 0..<count { manager.tick() }
        isTouched[place] = true
        return true
    }

    private func transfer() -> Bool {
        guard let plan = random.pick(plans), let leader = leader(of: plan.group),
            let node = random.pick(leader.members)
        else { return false }
        let place = Int(leader.nodeID.owner) - 1
        trace.tell(now, hosts[place].name, "transfers", "g\(plan.group) to \(node.short)")
        hosts[place].manager?.transferLeadership(of: plan.group, to: node)
        isTouched[place] = true
        return true
    }
}

// MARK: Network

extension Simulation {
    private func partition() -> Bool {
        let owners = Set(hosts.map(\.owner).filter { _ in random.chance(0.5) })
        let others = Set(hosts.map(\.owner)).subtracting(owners)
        guard !owners.isEmpty, !others.isEmpty else { return false }
        trace.tell(now, "net", "splits", "\(owners.sorted()) from \(others.sorted())")
        last(.cut(id: network.cut(from: owners, to: others)), 2_000_000)
        guard random.chance(0.7) else { return true }
        last(.cut(id: network.cut(from: others, to: owners)), 2_000_000)
        return true
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
        count(.seesaw)
        trace.tell(now, "net", "seesaws", "\(few.sorted())")
        network.mendAll()
        hosts[Int(keeper) - 1].slowness = [1, 30, 300][random.below(3)]
        last(.cut(id: network.cut(from: few, to: all.subtracting(few))), 4_000_000)
        last(.cut(id: network.cut(from: all.subtracting(few), to: few)), 4_000_000)
    }

    private func cutOneWay(_ place: Int) -> Bool {
        let other = random.below(hosts.count)
        guard other != place else { return false }
        trace.tell(now, "net", "cuts", "\(hosts[place].name) to \(hosts[other].name)")
        let id = network.cut(from: [hosts[place].owner], to: [hosts[other].owner])
        last(.cut(id: id), 3_000_000)
        return true
    }

    private func disconnect(_ place: Int) -> Bool {
        let other = random.below(hosts.count)
        guard other != place else { return false }
        timeline.add(.disconnect(host: place, peer: hosts[other].owner), at: now)
        return true
    }
}

// MARK: Disks

extension Simulation {
    private func failDisk(_ place: Int, _ code: Int32) -> Bool {
        guard hosts[place].isRunning else { return false }
        let operations: [DiskError.Operation?] =
            code == ENOSPC ? [.allocate, .write] : [.write, .sync, .syncDirectory, nil]
        let operation = operations[random.below(operations.count)]
        trace.tell(now, hosts[place].name, "disk fault", operation.map { "\($0)" } ?? "any call")
        hosts[place].files.fail(operation, skip: random.below(10), code: code)
        return true
    }

    private func slowDown(_ place: Int) {
        hosts[place].slowness = [3, 30, 300][random.below(3)]
        last(.slow(host: place), 2_000_000)
    }

    private func loseDisk(_ place: Int) -> Bool {
        guard canLoseDisk(place) else { return false }
        fall(place, .everythingUnsynced, "disk lost")
        replaceDisk(place)
        return true
    }

    /// Puts an empty disk into a machine; the controllers notice and fill it again.
    func replaceDisk(_ place: Int) {
        let host = hosts[place]
        trace.tell(now, host.name, "new disk")
        trace.mix(now, 14, UInt64(place))
        if host.isRunning { host.end() }
        host.files = SimulatedHost.emptyDisk()
        (host.damage, host.lossesSeen, host.failedReadings) = (.none, 0, 0)
        host.isBetrayed = false
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

    private func corrupt(_ place: Int) -> Bool {
        guard canLoseDisk(place), hosts[place].isRunning else { return false }
        let host = hosts[place]
        fall(place, .nothing, "bits flip")
        let paths = host.files.paths.filter { sabotage != .cutAtBadFrame || $0.contains("/wal/") }
        guard let path = random.pick(paths), let bytes = host.files.contents(of: path),
            !bytes.isEmpty
        else { return false }
        host.damage = .lasting
        last(.lie(host: place), 5_000_000)
        let bit = random.below(bytes.count * 8)
        host.files.flipBit(of: path, at: bit)
        if sabotage == .cutAtBadFrame { Sabotage.cutLog(of: host, path, at: bit / 8) }
        return true
    }
}

// MARK: Disks that lie

extension Simulation {
    /// Lets the next reads of a disk fail: one of them, or all of one place.
    private func failRead(_ place: Int) -> Bool {
        let host = hosts[place]
        guard canLoseDisk(place), host.isRunning else { return false }
        // Most reads are made at a start.
        if random.chance(0.5) { fall(place, .nothing, "killed") }
        if random.chance(0.5), let path = random.pick(host.files.paths),
            let bytes = host.files.contents(of: path), !bytes.isEmpty
        {
            let position = random.below(bytes.count)
            trace.tell(now, host.name, "bad sector", "\(path) at \(position)")
            host.files.breakSector(of: path, at: position)
            host.damage = .lasting
            last(.lie(host: place), 5_000_000)
        } else {
            let path = ["", "/wal/", "/partitions/", "checkpoint"][random.below(4)]
            trace.tell(now, host.name, "read fault", path)
            host.files.failRead(path: path, skip: random.below(10))
            host.damage = .passing
        }
        return true
    }

    /// Lets a disk lose a write to come.
    private func betray(_ place: Int, _ kind: FaultMix.Kind) {
        let host = hosts[place]
        guard canLoseDisk(place), host.isRunning else { return }
        let path = ["/wal/", "/partitions/", "checkpoint", ".snapshot"][random.below(4)]
        trace.tell(now, host.name, "disk lies", "\(kind.rawValue) \(path)")
        host.betrayal = kind
        host.isBetrayed = true
        host.damage = .lasting
        host.files.loseWrite(
            path: path,
            skip: random.below(6),
            straysTo: kind == .misdirectedWrite ? random.next() : nil,
            // Of these there are two, or a sum over all of it.
            waits: path == "/wal/" || path == "/partitions/"
        )
        last(.lie(host: place), 5_000_000)
    }

    /// Somebody looks after a disk: it is replaced if anything on it is wrong.
    private func inspect(_ place: Int) {
        let host = hosts[place]
        guard isStormy, host.damage == .lasting else { return }
        if host.isBetrayed, host.files.lostWrites.isEmpty {
            host.files.loseNoWrite()
            (host.damage, host.isBetrayed) = (.none, false)
        } else {
            replaceDisk(place)
        }
    }

    /// Counts a write that a disk has lost; often the power goes soon, so that it comes to light.
    func noticeLostWrite(_ place: Int) {
        let host = hosts[place]
        let lost = host.files.lostWrites
        guard lost.count > host.lossesSeen else { return }
        host.lossesSeen = lost.count
        trace.tell(now, host.name, "lost write", lost.last ?? "")
        count(host.betrayal)
        guard isStormy, random.chance(0.5) else { return }
        let time = now + 1 + UInt64(random.below(1_000_000))
        timeline.add(.outage(host: place, life: host.life), at: time)
    }
}
