import Testing

@testable import Simulation

/// Thousands of runs follow each other in one process: none may leave anything behind.
@Suite struct LifetimeTests {
    @Test func `a run leaves nothing in memory`() throws {
        var simulation: Simulation? = Simulation(seed: 3)
        simulation?.found()
        for _ in 0..<3_000 { simulation?.step() }
        weak let run = simulation
        weak let host = simulation?.hosts.first { $0.isRunning }
        weak let files = host?.files
        weak let loop = host?.loop
        weak let manager = host?.manager
        weak let directory = host?.directory
        weak let writer = host?.writer
        weak let checker = simulation?.checker
        #expect(run != nil && manager != nil && directory != nil && loop != nil)
        simulation?.disband()
        simulation = nil
        #expect(run == nil)
        #expect(host == nil)
        #expect(manager == nil)
        #expect(directory == nil)
        #expect(writer == nil)
        #expect(loop == nil)
        #expect(files == nil)
        #expect(checker == nil)
    }
}
