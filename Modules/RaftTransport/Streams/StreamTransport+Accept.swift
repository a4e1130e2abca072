public import InterBroker
import InterBrokerProtocol
import Model
import NIOCore
import RaftHost

extension StreamTransport {
    /// What a listener's row of Raft streams needs: `RequestConfig(raftStream: ...)`.
    ///
    /// - Thread: the event loop; the value may then be handed to any thread.
    public var raftStreamAcceptor: any RaftStreamAcceptor {
        TransportAcceptor(
            transport: NIOLoopBound(self, eventLoop: eventLoop),
            eventLoop: eventLoop
        )
    }

    /// Decides about a stream that a peer wants to open.
    func admit(
        _ hello: RaftStreamRequest,
        from peer: Int32
    ) -> Result<RaftStreamResponse, Refusal> {
        if isShutDown { return .failure(Refusal("shutting down")) }
        if peer == identity.id { return .failure(Refusal("a daemon has no stream to itself")) }
        if retired[peer]?.contains(hello.session) == true {
            return .failure(Refusal("a newer process of this peer has been seen"))
        }
        return .success(RaftStreamResponse(session: identity.session))
    }

    /// Takes a stream that was admitted; it takes the place of the peer's older one.
    func accept(_ channel: any Channel, _ hello: RaftStreamRequest, from peer: Int32) {
        guard case .success = admit(hello, from: peer), channel.isActive else {
            return channel.close(promise: nil)
        }
        let key = StreamKey(peer: peer, lane: RaftLane(hello.lane))
        let stream = IncomingStream(
            key,
            session: hello.session,
            channel: channel,
            transport: self
        )
        do {
            try channel.syncOptions?.setOption(
                .recvAllocator,
                value: FixedSizeRecvByteBufferAllocator(capacity: 256 << 10)
            )
            try channel.syncOptions?.setOption(.maxMessagesPerRead, value: 4)
            try channel.pipeline.syncOperations.addHandler(stream)
        } catch {
            return channel.close(promise: nil)
        }
        limitSilence(channel, options.silenceMax)
        // The kernel may tell of the end of an older process later, or never.
        let isNewProcess = sessions[peer].map { $0 != hello.session } ?? false
        if isNewProcess { endOlderProcess(of: peer) }
        sessions[peer] = hello.session
        let older = incoming.updateValue(stream, forKey: key)
        older?.close()
        LogLines.accepted(name(of: key), hello.session, logger)
        if key.lane == .live, older == nil { sink?.peerConnected(peer) }
        peerIsThere(peer)
    }

    /// Closes the streams of a process that a newer one has replaced, and reports its end.
    private func endOlderProcess(of peer: Int32) {
        if let session = sessions[peer] { retire(session, of: peer) }
        var wasConnected = false
        for lane in RaftLane.allCases {
            guard let stream = incoming.removeValue(forKey: StreamKey(peer: peer, lane: lane))
            else { continue }
            stream.close()
            wasConnected = wasConnected || lane == .live
        }
        if wasConnected { sink?.peerDisconnected(peer) }
    }

    /// Takes note that the kernel has ended a peer's stream, and says so at once: the end of the
    /// live one means that the process is gone.
    func streamEnded(_ stream: IncomingStream) {
        guard incoming[stream.key] === stream else { return }
        incoming[stream.key] = nil
        LogLines.ended(name(of: stream.key), logger)
        if stream.key.lane == .live { sink?.peerDisconnected(stream.key.peer) }
    }

    private func retire(_ session: SessionID, of peer: Int32) {
        var sessions = retired[peer] ?? []
        sessions.append(session)
        // A late stream can only be of a process that ended a short time ago.
        if sessions.count > 16 { sessions.removeFirst() }
        retired[peer] = sessions
    }
}

/// Carries the listener's questions to the transport's event loop.
private struct TransportAcceptor: RaftStreamAcceptor {
    let transport: NIOLoopBound<StreamTransport>
    let eventLoop: any EventLoop

    func admit(
        _ hello: RaftStreamRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> RaftStreamResponse {
        let transport = transport
        let peer = context.header.senderID
        let admitted = try? await eventLoop.submit {
            transport.value.admit(hello, from: peer)
        }.get()
        guard let admitted else { throw Refusal("shutting down") }
        return try admitted.get()
    }

    func accept(
        _ channel: any Channel,
        _ hello: RaftStreamRequest,
        from header: RequestHeader
    ) {
        // A stream on another loop could not deliver to groups without locks.
        precondition(
            channel.eventLoop === eventLoop,
            "the listener accepts streams on another event loop"
        )
        transport.value.accept(channel, hello, from: header.senderID)
    }
}

extension RaftLane {
    init(_ lane: RaftStreamRequest.Lane) {
        switch lane {
        case .live: self = .live
        case .catchUp: self = .catchUp
        }
    }

    /// As it stands in the hello.
    var name: RaftStreamRequest.Lane {
        switch self {
        case .live: .live
        case .catchUp: .catchUp
        }
    }
}
