import ArgumentParser
import CoreMetrics
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
print("warm")
