import Disk
import RaftHost
import RaftLog

/// A job of a disk under way.
struct DiskJob {
    let place: Int
    /// The process that it works for; nil while one starts, which nothing interrupts.
    let life: UInt64?
}

/// What happens between the calls of one job: everything else, crashes too.
///
/// A job waits on the stack while the events of the time that its call takes are handled: messages
/// arrive, proposals queue up behind the frame that is half written, the other worker of the disk
/// runs. If its process ends meanwhile, the rest of the job finds every call to the disk fail.
extension Simulation {
    /// How many jobs may wait within each other.
    private static let depthMax = 4

    /// Stands before every changing call to a machine's disk.
    func gate(of place: Int) -> @Sendable () -> Bool {
        // One thread carries a run; the files call it from there.
        nonisolated(unsafe) unowned let simulation = self
        return { simulation.pass(place) }
    }

    /// Lets time go by now and then; false for a job whose process is gone.
    private func pass(_ place: Int) -> Bool {
        guard let job = jobs.last, let life = job.life else { return true }
        let host = hosts[place]
        guard isAlive(host, life) else { return false }
        guard isStormy, checker.violation == nil else { return true }
        if host.fallsInJob {
            crash(place)
        } else if jobs.count <= Self.depthMax, random.chance(mix.interruption) {
            interrupt(place)
        }
        return isAlive(host, life)
    }

    private func isAlive(_ host: SimulatedHost, _ life: UInt64) -> Bool {
        host.life == life && host.isRunning
    }

    private func interrupt(_ place: Int) {
        let end = now + UInt64(random.below(2 * mix.diskMean * hosts[place].slowness))
        trace.tell(now, hosts[place].name, "disk waits", "\(end - now) us")
        trace.mix(now, 16, UInt64(place), end)
        while let next = timeline.nextTime, next <= end, checker.violation == nil { step() }
    }

    private func crash(_ place: Int) {
        hosts[place].fallsInJob = false
        count(.crashInJob)
        // The rest of the machine goes on for a moment, and so does what is queued.
        interrupt(place)
        fall(place, random.chance(0.5) ? .nothing : randomLoss(), "fell in a job")
    }
}
