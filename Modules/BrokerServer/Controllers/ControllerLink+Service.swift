import InterBroker
import InterBrokerProtocol
import Metadata
import Model

// The regular work: register, heartbeat, report leaders, pull metadata.
extension ControllerLink {
    /// Works until its task is cancelled.
    public func run() async {
        let reports = try? await broker.run { broker in broker.leaderSignals() }
        let pulls = try? await broker.run { broker in broker.pullSignals() }
        guard let reports, let pulls else { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.heartbeats() }
            group.addTask { await self.reportLeaders(reports) }
            group.addTask {
                for await _ in pulls { await self.pull() }
            }
            await group.waitForAll()
        }
    }

    private func heartbeats() async {
        var wantsGroups = true
        while !Task.isCancelled {
            let start = ContinuousClock.now
            do {
                if !isRegistered { try await register() }
                wantsGroups = try await beat(withGroups: wantsGroups)
                // The list that was asked for goes at once.
                if wantsGroups { wantsGroups = try await beat(withGroups: true) }
                try await Task.sleep(until: start + configuration.heartbeatInterval)
            } catch {
                wantsGroups = true
                try? await Task.sleep(for: configuration.retryInterval)
            }
        }
    }

    private func register() async throws {
        let answer = try await ask(configuration.registration)
        guard await belongs(to: answer.clusterID) else {
            // Nothing can be done here; a person has to. Ask again slowly.
            try await Task.sleep(for: .seconds(10))
            throw InterBrokerError.refused(Refusal("wrong cluster ID"))
        }
        isRegistered = true
        LogLines.registered(leaderAddress, answer.clusterID, logger)
        try await broker.run { broker in
            broker.clusterID = answer.clusterID
            broker.reportAllLeaders()
            if broker.metadata.version < answer.metadataVersion {
                broker.pullMetadata()
            } else {
                broker.metadata.confirm()
            }
        }
    }

    /// Sends a heartbeat; true if the next one is to list the groups.
    private func beat(withGroups: Bool) async throws -> Bool {
        let session = configuration.registration.session
        let (request, controllers) = try await broker.run { broker in
            let hosted = broker.hostedReplicas()
            let request = BrokerHeartbeatRequest(
                session: session,
                metadataVersion: broker.metadata.version,
                digest: HostedDigest.text(of: hosted.filter { !$0.isSuspect }),
                groups: withGroups ? hosted : nil
            )
            return (request, broker.metadata.controllers)
        }
        do {
            let answer = try await ask(request, attempts: 2, within: configuration.patience)
            await remember(controllers)
            if request.metadataVersion < answer.metadataVersion {
                try await broker.run { $0.pullMetadata() }
            }
            return answer.wantGroups
        } catch {
            // Whatever is wrong, a new registration shows whether it still is; but a stop is
            // nothing wrong, and the goodbye is still to be said.
            if !Task.isCancelled { isRegistered = false }
            throw error
        }
    }

    /// Tells the controller leader that this broker stops; gives up after `limit`.
    ///
    /// To be called when the regular work has ended. What does not arrive costs nothing but the
    /// time after which a silent broker counts as offline.
    public func leave(within limit: Duration) async {
        guard isRegistered else { return }
        let goodbye = BrokerHeartbeatRequest(
            session: configuration.registration.session,
            metadataVersion: 0,
            digest: "",
            isLeaving: true
        )
        _ = await askOnce(goodbye, within: limit)
    }

    /// Asks the controller leader whether this broker may stop now.
    ///
    /// Nil where none answers in time: then nobody but the broker itself can tell.
    public func mayStop(
        isHindered: Bool,
        within limit: Duration
    ) async -> ControlledShutdownResponse? {
        guard isRegistered else { return nil }
        return await askOnce(ControlledShutdownRequest(isHindered: isHindered), within: limit)
    }

    /// Asks once; nil if no answer comes in time.
    private func askOnce<Request: InterBrokerRequest>(
        _ request: Request,
        within limit: Duration
    ) async -> Request.Response? {
        let (answers, end) = AsyncStream<Request.Response>.makeStream()
        let call = Task {
            if let answer = try? await ask(request, attempts: 1) { end.yield(answer) }
            end.finish()
        }
        let timer = Task {
            try? await Task.sleep(for: limit)
            end.finish()
        }
        defer {
            call.cancel()
            timer.cancel()
        }
        return await answers.first { _ in true }
    }

    private func reportLeaders(_ signals: AsyncStream<Void>) async {
        let session = configuration.registration.session
        for await _ in signals {
            try? await Task.sleep(for: configuration.reportDelay)
            guard let reports = try? await broker.run({ $0.takeReports() }) else { return }
            guard !reports.leaders.isEmpty || !reports.members.isEmpty else { continue }
            let request = ReportLeadersRequest(
                session: session,
                leaders: reports.leaders,
                members: reports.members
            )
            do {
                _ = try await ask(request)
            } catch {
                try? await Task.sleep(for: configuration.retryInterval)
                _ = try? await broker.run { $0.reportAllLeaders() }
            }
        }
    }

    /// Brings this broker's copy of the metadata up to date.
    private func pull() async {
        do {
            let since = try await broker.run { $0.metadata.version }
            var answer = try await ask(GetTopicMetadataRequest(sinceVersion: since))
            var snapshot = answer.snapshot
            while answer.full, answer.page + 1 < answer.pages {
                answer = try await ask(
                    GetTopicMetadataRequest(
                        sinceVersion: since,
                        page: answer.page + 1,
                        pageVersion: answer.version
                    )
                )
                // The pages of another version do not belong to those that came before.
                if answer.page == 0 { snapshot = "" }
                snapshot += answer.snapshot
            }
            let update = try MetadataUpdate(answer, snapshot: snapshot)
            try await broker.run { $0.apply(update) }
            LogLines.metadataPulled(answer.version, full: answer.full, logger)
        } catch let error as MetadataUpdate.Unreadable {
            LogLines.metadataUnreadable(error.reason, logger)
            try? await Task.sleep(for: configuration.retryInterval)
        } catch {
            // The next heartbeat sees that something is missing and asks again.
            return
        }
    }
}
