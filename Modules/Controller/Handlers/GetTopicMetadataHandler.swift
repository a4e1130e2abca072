import InterBroker
import InterBrokerProtocol
import Metadata
import Model

/// Gives brokers the metadata: what has changed since their version, or all of it in pages.
struct GetTopicMetadataHandler: InterBrokerRequestHandler {
    let controller: ClusterController
    let store: MetadataStore

    func handle(
        _ request: GetTopicMetadataRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> GetTopicMetadataResponse {
        guard store.clusterID != nil else { throw Refusal("no cluster") }
        let isFirst = request.page == 0 && request.pageVersion == nil
        if isFirst, request.sinceVersion > 0,
            let commands = store.commands(since: request.sinceVersion)
        {
            return GetTopicMetadataResponse(
                version: commands.last?.version ?? request.sinceVersion,
                full: false,
                commands: commands,
                leaders: await controller.reportedLeaders()
            )
        }
        let pages = store.pages()
        // Pages of a version that has gone do not fit together: it begins again.
        let isSame = request.pageVersion == nil || request.pageVersion == pages.version
        let page = isSame ? request.page : 0
        guard pages.texts.indices.contains(page) else { throw .invalidField("page") }
        let isLast = page == pages.texts.count - 1
        return GetTopicMetadataResponse(
            version: pages.version,
            full: true,
            page: page,
            pages: pages.texts.count,
            snapshot: pages.texts[page],
            leaders: isLast ? await controller.reportedLeaders() : []
        )
    }
}
