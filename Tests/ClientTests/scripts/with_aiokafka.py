"""aiokafka against a Martlet cluster."""

import asyncio
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, TopicAlreadyExistsError
from aiokafka.structs import OffsetAndMetadata

from scenario import PATIENCE, Failed, equal, expect, records, run


async def until(condition, what, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while True:
        result = condition()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return result
        expect(time.monotonic() < deadline, f"{what}: not within {patience} s")
        await asyncio.sleep(0.05)


async def admin(bootstrap):
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    return client


async def create(bootstrap, topic, partitions=1, replicas=3):
    client = await admin(bootstrap)
    try:
        answer = await client.create_topics([NewTopic(topic, partitions, replicas)])
    finally:
        await client.close()
    for name, code, *rest in answer.topic_errors:
        if code == TopicAlreadyExistsError.errno:
            raise TopicAlreadyExistsError(name)
        expect(code == 0, f"creating {name}: error {code} {rest}")


async def producer(bootstrap, **more):
    client = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5, **more)
    await client.start()
    return client


async def consumer(bootstrap, *topics, group=None, **more):
    client = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        session_timeout_ms=6000,
        heartbeat_interval_ms=500,
        **more,
    )
    await client.start()
    return client


async def send(bootstrap, topic, items, partition=0, **settings):
    client = await producer(bootstrap, **settings)
    try:
        futures = [
            await client.send(topic, value, key, partition, headers=[("n", str(i).encode())])
            for i, (key, value) in enumerate(items)
        ]
        await client.flush()
        answers = [await future for future in futures]
    finally:
        await client.stop()
    return [answer.offset for answer in answers if answer is not None]


async def read(client, count, patience=PATIENCE):
    got = []
    deadline = time.monotonic() + patience
    while len(got) < count:
        expect(time.monotonic() < deadline, f"{len(got)} of {count} messages in {patience} s")
        batches = await client.getmany(timeout_ms=200, max_records=count - len(got))
        for batch in batches.values():
            got += batch
    return got


def pairs(messages):
    return [(m.key, m.value) for m in messages]


async def metadata(bootstrap, topic):
    await create(bootstrap, topic, 3)
    client = await admin(bootstrap)

    async def described():
        found = (await client.describe_topics([topic]))[0]
        partitions = found["partitions"]
        return len(partitions) == 3 and min(p["leader"] for p in partitions) > 0

    await until(described, "three led partitions")
    cluster = await client.describe_cluster()
    equal(sorted(broker["node_id"] for broker in cluster["brokers"]), [1, 2, 3], "brokers")
    await client.close()


async def produce(bootstrap, topic, codec):
    await create(bootstrap, topic)
    sent = []
    compression = None if codec == "none" else codec
    for acks in (0, 1, "all"):
        items = records(100, f"{codec}-{acks}")
        offsets = await send(bootstrap, topic, items, acks=acks, compression_type=compression)
        if acks != 0:
            equal(offsets, list(range(len(sent), len(sent) + 100)), f"offsets with acks={acks}")
        sent += items
    items = records(100, f"{codec}-idempotent")
    await send(bootstrap, topic, items, enable_idempotence=True, compression_type=compression)
    sent += items
    client = await consumer(bootstrap)
    client.assign([TopicPartition(topic, 0)])
    await client.seek_to_beginning()
    got = await read(client, len(sent))
    equal(pairs(got), sent, "what was read")
    equal([m.offset for m in got], list(range(len(sent))), "offsets")
    equal(list(got[7].headers), [("n", b"7")], "headers")
    await client.stop()


async def positions(bootstrap, topic):
    await create(bootstrap, topic)
    items = records(50, "positions")
    await send(bootstrap, topic, items)
    place = TopicPartition(topic, 0)
    client = await consumer(bootstrap)
    client.assign([place])
    equal((await client.beginning_offsets([place]))[place], 0, "the beginning")
    equal((await client.end_offsets([place]))[place], 50, "the end")
    await client.seek_to_beginning(place)
    equal(pairs(await read(client, 50)), items, "from the beginning")
    client.seek(place, 20)
    got = await read(client, 30)
    equal(pairs(got), items[20:], "from offset 20")
    found = (await client.offsets_for_times({place: got[10].timestamp}))[place].offset
    expect(0 <= found <= 30, f"offset {found} for the time of record 30")
    await client.seek_to_end(place)
    expect(not await client.getmany(timeout_ms=1000), "something came from the end")
    await send(bootstrap, topic, [(b"late", b"late")])
    equal(pairs(await read(client, 1)), [(b"late", b"late")], "from the end")
    await client.stop()


async def group(bootstrap, topic):
    await create(bootstrap, topic)
    items = records(60, "group")
    await send(bootstrap, topic, items)
    place = TopicPartition(topic, 0)
    first = await consumer(bootstrap, topic, group=f"group-{topic}")
    equal(pairs(await read(first, 25)), items[:25], "the first member")
    await first.commit({place: OffsetAndMetadata(25, "half-way")})
    await first.stop()
    second = await consumer(bootstrap, topic, group=f"group-{topic}")
    equal(pairs(await read(second, 35)), items[25:], "the member that resumed")
    await second.commit()
    equal(await second.committed(place), 60, "the committed offset")
    await second.stop()
    other = await consumer(bootstrap, topic, group=f"group-{topic}-other")
    equal(await other.committed(place), None, "no commit")
    await other.stop()


async def rebalance(bootstrap, topic):
    await create(bootstrap, topic, 4)
    name = f"group-{topic}"

    def share(client):
        return sorted(p.partition for p in client.assignment())

    first = await consumer(bootstrap, topic, group=name)
    await until(lambda: share(first) == [0, 1, 2, 3], "one member has everything")
    second = await consumer(bootstrap, topic, group=name)

    def halves():
        a, b = share(first), share(second)
        return len(a) == 2 and len(b) == 2 and sorted(a + b) == [0, 1, 2, 3]

    await until(halves, "two members share")
    for partition in range(4):
        await send(bootstrap, topic, records(5, f"p{partition}"), partition)
    got = []

    async def everything():
        for client in (first, second):
            for batch in (await client.getmany(timeout_ms=50)).values():
                got.extend((m.partition, m.offset) for m in batch)
        return len(got) >= 20

    await until(everything, "both members read")
    equal(sorted(got), [(p, o) for p in range(4) for o in range(5)], "each record once")
    await second.stop()
    await until(lambda: share(first) == [0, 1, 2, 3], "the one left has everything again")
    await first.stop()


async def topics(bootstrap, topic):
    await create(bootstrap, topic, 2)
    try:
        await create(bootstrap, topic, 2)
        raise Failed("a topic was created twice")
    except TopicAlreadyExistsError:
        pass
    await send(bootstrap, topic, records(3, "topics"), 1)
    client = await admin(bootstrap)
    answer = await client.delete_topics([topic])
    equal([code for _, code in answer.topic_error_codes], [0], "deleting")

    async def gone():
        return topic not in await client.list_topics()

    await until(gone, "the topic is gone")
    await client.close()
    await create(bootstrap, topic, 1)
    reader = await consumer(bootstrap)
    place = TopicPartition(topic, 0)
    reader.assign([place])

    async def empty():
        return (await reader.end_offsets([place]))[place] == 0

    await until(empty, "the new topic of the same name is empty")
    await reader.stop()


async def unknown(bootstrap, topic):
    client = await producer(bootstrap, request_timeout_ms=3000)
    try:
        await client.send_and_wait(topic, b"lost", partition=0)
        raise Failed("a message to an unknown topic was acknowledged")
    except (KafkaError, AssertionError, asyncio.TimeoutError):
        pass
    finally:
        await client.stop()
    asker = await admin(bootstrap)
    expect(topic not in await asker.list_topics(), "the unknown topic was created")
    await asker.close()


async def large(bootstrap, topic):
    await create(bootstrap, topic)
    client = await producer(bootstrap, max_request_size=10_000_000)
    try:
        await client.send_and_wait(topic, b"x" * 2_000_000)
        raise Failed("a message of 2 MB was acknowledged")
    except MessageSizeTooLargeError:
        pass
    finally:
        await client.stop()
    equal(await send(bootstrap, topic, [(b"k", b"x" * 900_000)]), [0], "a message of 900 kB")


run(
    {
        "metadata": metadata,
        "produce": produce,
        "positions": positions,
        "group": group,
        "rebalance": rebalance,
        "topics": topics,
        "unknown": unknown,
        "large": large,
    }
)
