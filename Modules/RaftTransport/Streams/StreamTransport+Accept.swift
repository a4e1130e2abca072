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
        let stream = IncomingStream(
            owner: peer,
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
        let older = incoming.updateValue(stream, forKey: peer)
        older?.close()
        let olderSession = sessions.updateValue(hello.session, forKey: peer)
        if let olderSession, olderSession != hello.session {
            retire(olderSession, of: peer)
            // The process behind the older stream is gone, even if its end was not heard.
            if older != nil { sink?.peerDisconnected(peer) }
        }
        LogLines.accepted(name(of: peer), hello.session, logger)
        if older?.session != hello.session { sink?.peerConnected(peer) }
        peerIsThere(peer)
    }

    /// Takes note that the kernel has ended a peer's stream, and says so at once.
    func streamEnded(_ stream: IncomingStream) {
        guard incoming[stream.owner] === stream else { return }
        incoming[stream.owner] = nil
        LogLines.ended(name(of: stream.owner), logger)
        sink?.peerDisconnected(stream.owner)
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
