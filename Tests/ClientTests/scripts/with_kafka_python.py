"""kafka-python against a Martlet cluster."""

import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaError, MessageSizeTooLargeError, TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

from scenario import PATIENCE, Failed, equal, expect, records, run, until


def admin(bootstrap):
    return KafkaAdminClient(bootstrap_servers=bootstrap)


def create(bootstrap, topic, partitions=1, replicas=3):
    client = admin(bootstrap)
    client.create_topics([NewTopic(topic, partitions, replicas)])
    return client


def producer(bootstrap, **more):
    return KafkaProducer(bootstrap_servers=bootstrap, linger_ms=5, **more)


def consumer(bootstrap, group=None, **more):
    return KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        session_timeout_ms=6000,
        heartbeat_interval_ms=500,
        **more,
    )


def send(bootstrap, topic, items, partition=0, **settings):
    client = producer(bootstrap, **settings)
    futures = [
        client.send(topic, value, key, [("n", str(i).encode())], partition)
        for i, (key, value) in enumerate(items)
    ]
    client.flush(PATIENCE)
    offsets = [future.get(PATIENCE).offset for future in futures]
    client.close()
    return offsets


def read(client, count, patience=PATIENCE):
    got = []
    deadline = time.monotonic() + patience
    while len(got) < count:
        expect(time.monotonic() < deadline, f"{len(got)} of {count} messages in {patience} s")
        for batch in client.poll(200, max_records=count - len(got)).values():
            got += batch
    return got


def pairs(messages):
    return [(m.key, m.value) for m in messages]


def metadata(bootstrap, topic):
    client = create(bootstrap, topic, 3)

    def described():
        found = client.describe_topics([topic])[0]
        partitions = found["partitions"]
        leaders = [p.get("leader_id", p.get("leader", -1)) for p in partitions]
        return found if len(partitions) == 3 and min(leaders) > 0 else None

    until(described, "three led partitions")
    cluster = client.describe_cluster()
    expect(cluster["cluster_id"], "no cluster id")
    ids = [broker.get("node_id", broker.get("broker_id")) for broker in cluster["brokers"]]
    equal(sorted(ids), [1, 2, 3], "brokers")
    client.close()


def produce(bootstrap, topic, codec):
    create(bootstrap, topic)
    sent = []
    compression = None if codec == "none" else codec
    for acks in (0, 1, "all"):
        items = records(100, f"{codec}-{acks}")
        settings = {"acks": acks, "enable_idempotence": False}
        offsets = send(bootstrap, topic, items, compression_type=compression, **settings)
        if acks != 0:
            equal(offsets, list(range(len(sent), len(sent) + 100)), f"offsets with acks={acks}")
        sent += items
    items = records(100, f"{codec}-idempotent")
    send(bootstrap, topic, items, compression_type=compression, enable_idempotence=True)
    sent += items
    client = consumer(bootstrap)
    client.assign([TopicPartition(topic, 0)])
    client.seek_to_beginning()
    got = read(client, len(sent))
    equal(pairs(got), sent, "what was read")
    equal([m.offset for m in got], list(range(len(sent))), "offsets")
    equal(list(got[7].headers), [("n", b"7")], "headers")
    client.close()


def positions(bootstrap, topic):
    create(bootstrap, topic)
    items = records(50, "positions")
    send(bootstrap, topic, items)
    place = TopicPartition(topic, 0)
    client = consumer(bootstrap)
    client.assign([place])
    equal(client.beginning_offsets([place])[place], 0, "the beginning")
    equal(client.end_offsets([place])[place], 50, "the end")
    client.seek_to_beginning(place)
    equal(pairs(read(client, 50)), items, "from the beginning")
    client.seek(place, 20)
    got = read(client, 30)
    equal(pairs(got), items[20:], "from offset 20")
    found = client.offsets_for_times({place: got[10].timestamp})[place].offset
    expect(0 <= found <= 30, f"offset {found} for the time of record 30")
    client.seek_to_end(place)
    expect(not client.poll(1000), "something came from the end")
    send(bootstrap, topic, [(b"late", b"late")])
    equal(pairs(read(client, 1)), [(b"late", b"late")], "from the end")
    client.close()


def group(bootstrap, topic):
    create(bootstrap, topic)
    items = records(60, "group")
    send(bootstrap, topic, items)
    place = TopicPartition(topic, 0)
    first = consumer(bootstrap, f"group-{topic}")
    first.subscribe([topic])
    equal(pairs(read(first, 25)), items[:25], "the first member")
    first.commit({place: OffsetAndMetadata(25, "half-way", -1)})
    first.close()
    second = consumer(bootstrap, f"group-{topic}")
    second.subscribe([topic])
    equal(pairs(read(second, 35)), items[25:], "the member that resumed")
    second.commit()
    equal(second.committed(place), 60, "the committed offset")
    second.close()
    other = consumer(bootstrap, f"group-{topic}-other")
    equal(other.committed(place), None, "no commit")
    other.close()


def rebalance(bootstrap, topic):
    import threading

    create(bootstrap, topic, 4)
    stop = [threading.Event(), threading.Event()]
    shares, got, errors = [[], []], [], []

    def member(index):
        try:
            client = consumer(bootstrap, f"group-{topic}")
            client.subscribe([topic])
            while not stop[index].is_set():
                for batch in client.poll(100).values():
                    got.extend((m.partition, m.offset) for m in batch)
                shares[index] = sorted(p.partition for p in client.assignment())
            shares[index] = []
            client.close()
        except Exception as error:  # the main thread reports it
            errors.append(error)

    threads = [threading.Thread(target=member, args=(i,), daemon=True) for i in (0, 1)]

    def wait(condition, what):
        until(lambda: errors or condition(), what)
        expect(not errors, f"{what}: {errors}")

    threads[0].start()
    wait(lambda: shares[0] == [0, 1, 2, 3], "one member has everything")
    threads[1].start()
    wait(
        lambda: [len(s) for s in shares] == [2, 2] and sorted(sum(shares, [])) == [0, 1, 2, 3],
        "two members share",
    )
    for partition in range(4):
        send(bootstrap, topic, records(5, f"p{partition}"), partition)
    wait(lambda: len(got) >= 20, "both members read")
    equal(sorted(got), [(p, o) for p in range(4) for o in range(5)], "each record once")
    stop[1].set()
    threads[1].join(PATIENCE)
    wait(lambda: shares[0] == [0, 1, 2, 3], "the one left has everything again")
    stop[0].set()
    threads[0].join(PATIENCE)


def topics(bootstrap, topic):
    client = create(bootstrap, topic, 2)
    try:
        create(bootstrap, topic, 2)
        raise Failed("a topic was created twice")
    except TopicAlreadyExistsError:
        pass
    send(bootstrap, topic, records(3, "topics"), 1)
    client.delete_topics([topic])
    until(lambda: topic not in client.list_topics(), "the topic is gone")
    create(bootstrap, topic, 1)
    reader = consumer(bootstrap)
    place = TopicPartition(topic, 0)
    until(
        lambda: reader.end_offsets([place])[place] == 0,
        "the new topic of the same name is empty",
    )
    reader.close()
    client.close()


def unknown(bootstrap, topic):
    client = producer(bootstrap, max_block_ms=3000, retries=1, allow_auto_create_topics=False)
    try:
        client.send(topic, b"lost").get(5)
        raise Failed("a message to an unknown topic was acknowledged")
    except KafkaError:
        pass
    expect(topic not in admin(bootstrap).list_topics(), "the unknown topic was created")


def large(bootstrap, topic):
    create(bootstrap, topic)
    client = producer(bootstrap, max_request_size=10_000_000)
    try:
        client.send(topic, b"x" * 2_000_000).get(PATIENCE)
        raise Failed("a message of 2 MB was acknowledged")
    except MessageSizeTooLargeError:
        pass
    equal(send(bootstrap, topic, [(b"k", b"x" * 900_000)]), [0], "a message of 900 kB")


def moves(bootstrap, topic):
    """A partition moves from broker to broker; only this library can order that."""
    client = create(bootstrap, topic, replicas=1)
    items = records(50, "moves")
    send(bootstrap, topic, items)
    place = TopicPartition(topic, 0)
    nobody = TopicPartition("no-" + topic, 0)

    def copies():
        return client.describe_topics([topic])[0]["partitions"][0]["replica_nodes"]

    home = copies()[0]
    for target in [broker for broker in (1, 2, 3) if broker != home] + [home]:
        answers = client.alter_partition_reassignments({place: [target], nobody: [1]})
        equal(answers[place], None, "the answer to the move")
        equal(answers[nobody].errno, 3, "the answer for a topic that does not exist")
        until(lambda: not client.list_partition_reassignments([place]), "the end of the move")
        until(lambda: copies() == [target], f"the only copy on broker {target}")
    refused = client.alter_partition_reassignments({place: [1, 99]})[place]
    equal(refused.errno, 39, "the answer for a broker that does not exist")
    cancelled = client.alter_partition_reassignments({place: None})[place]
    equal(cancelled.errno, 85, "the answer when there is nothing to cancel")
    client.close()
    reader = consumer(bootstrap)
    reader.assign([place])
    equal(pairs(read(reader, 50)), items, "what was written before the moves")
    reader.close()


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
        "moves": moves,
    }
)
