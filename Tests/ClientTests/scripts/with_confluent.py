"""confluent-kafka (librdkafka) against a Martlet cluster."""

import time

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from scenario import PATIENCE, Failed, equal, expect, records, run, until


def create(bootstrap, topic, partitions=1, replicas=3):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(topic, partitions, replicas)]).values():
        future.result(timeout=PATIENCE)
    return admin


def producer(bootstrap, **more):
    settings = {"bootstrap.servers": bootstrap, "message.timeout.ms": 15000, "linger.ms": 5}
    return Producer({**settings, **more})


def consumer(bootstrap, group="none", **more):
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 500,
        "fetch.wait.max.ms": 100,
    }
    return Consumer({**settings, **more})


def send(bootstrap, topic, items, partition=0, **settings):
    """Sends everything and returns the acknowledged offsets, in the order of sending."""
    offsets, errors = {}, []

    def delivered(index):
        def note(error, message):
            if error:
                errors.append(error)
            else:
                offsets[index] = message.offset()

        return note

    client = producer(bootstrap, **settings)
    for index, (key, value) in enumerate(items):
        client.produce(
            topic,
            value,
            key,
            partition,
            on_delivery=delivered(index),
            headers=[("n", str(index).encode())],
        )
    left = client.flush(PATIENCE)
    expect(left == 0 and not errors, f"{left} messages unsent, errors {errors[:3]}")
    return [offsets[index] for index in range(len(items))]


def read(client, count, patience=PATIENCE):
    """The next `count` messages."""
    got = []
    deadline = time.monotonic() + patience
    while len(got) < count:
        expect(time.monotonic() < deadline, f"{len(got)} of {count} messages in {patience} s")
        message = client.poll(0.2)
        if message is None:
            continue
        if message.error():
            raise Failed(f"consumer error {message.error()}")
        got.append(message)
    return got


def pairs(messages):
    return [(m.key(), m.value()) for m in messages]


def metadata(bootstrap, topic):
    admin = create(bootstrap, topic, 3)
    found = until(
        lambda: (
            lambda m: m
            if topic in m.topics
            and len(m.topics[topic].partitions) == 3
            and all(p.leader > 0 for p in m.topics[topic].partitions.values())
            else None
        )(admin.list_topics(timeout=5)),
        "three led partitions",
    )
    expect(found.cluster_id, "no cluster id")
    equal(sorted(found.brokers), [1, 2, 3], "brokers")
    expect(found.controller_id in found.brokers, f"controller id {found.controller_id}")
    for partition in found.topics[topic].partitions.values():
        equal(sorted(partition.replicas), [1, 2, 3], "replicas")
        expect(partition.leader in partition.isrs, "the leader is not in sync with itself")


def produce(bootstrap, topic, codec):
    create(bootstrap, topic)
    sent = []
    for acks in ("0", "1", "all"):
        items = records(100, f"{codec}-{acks}")
        offsets = send(bootstrap, topic, items, **{"acks": acks, "compression.type": codec})
        if acks != "0":
            equal(offsets, list(range(len(sent), len(sent) + 100)), f"offsets with acks={acks}")
        sent += items
    items = records(100, f"{codec}-idempotent")
    send(bootstrap, topic, items, **{"enable.idempotence": True, "compression.type": codec})
    sent += items
    client = consumer(bootstrap)
    client.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    got = read(client, len(sent))
    equal(pairs(got), sent, "what was read")
    equal([m.offset() for m in got], list(range(len(sent))), "offsets")
    equal(got[7].headers(), [("n", b"7")], "headers")
    client.close()


def positions(bootstrap, topic):
    create(bootstrap, topic)
    items = records(50, "positions")
    send(bootstrap, topic, items)
    client = consumer(bootstrap)
    place = TopicPartition(topic, 0)
    equal(client.get_watermark_offsets(place, timeout=5), (0, 50), "watermarks")
    client.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    equal(pairs(read(client, 50)), items, "from the beginning")
    client.assign([TopicPartition(topic, 0, 20)])
    equal(pairs(read(client, 30)), items[20:], "from offset 20")
    stamp = read_at(client, topic, 30).timestamp()[1]
    found = client.offsets_for_times([TopicPartition(topic, 0, stamp)], timeout=5)[0].offset
    expect(0 <= found <= 30, f"offset {found} for the time of record 30")
    client.assign([TopicPartition(topic, 0, OFFSET_END)])
    expect(client.poll(1.0) is None, "something came from the end")
    send(bootstrap, topic, [(b"late", b"late")])
    equal(pairs(read(client, 1)), [(b"late", b"late")], "from the end")
    client.close()


def read_at(client, topic, offset):
    client.assign([TopicPartition(topic, 0, offset)])
    return read(client, 1)[0]


def group(bootstrap, topic):
    create(bootstrap, topic)
    items = records(60, "group")
    send(bootstrap, topic, items)
    name = f"group-{topic}"
    first = consumer(bootstrap, name)
    first.subscribe([topic])
    equal(pairs(read(first, 25)), items[:25], "the first member")
    place = TopicPartition(topic, 0, 25, metadata="half-way")
    first.commit(offsets=[place], asynchronous=False)
    first.close()
    second = consumer(bootstrap, name)
    second.subscribe([topic])
    equal(pairs(read(second, 35)), items[25:], "the member that resumed")
    second.commit(asynchronous=False)
    found = second.committed([TopicPartition(topic, 0)], timeout=5)[0]
    equal(found.offset, 60, "the committed offset")
    second.close()
    # Another group has committed nothing.
    other = consumer(bootstrap, name + "-other")
    equal(other.committed([TopicPartition(topic, 0)], timeout=5)[0].offset, -1001, "no commit")
    other.close()


def rebalance(bootstrap, topic):
    create(bootstrap, topic, 4)
    name = f"group-{topic}"
    first, second = consumer(bootstrap, name), consumer(bootstrap, name)

    def share(*clients):
        for client in clients:
            message = client.poll(0.1)
            expect(message is None or not message.error(), f"{message and message.error()}")
        return [sorted(p.partition for p in client.assignment()) for client in clients]

    first.subscribe([topic])
    until(lambda: share(first) == [[0, 1, 2, 3]], "one member has everything")
    second.subscribe([topic])

    def halves():
        a, b = share(first, second)
        return len(a) == 2 and len(b) == 2 and sorted(a + b) == [0, 1, 2, 3]

    until(halves, "two members share")
    for partition in range(4):
        send(bootstrap, topic, records(5, f"p{partition}"), partition)
    got = []

    def everything():
        for client in (first, second):
            message = client.poll(0.1)
            if message is not None and not message.error():
                got.append((message.partition(), message.offset()))
        return len(got) >= 20

    until(everything, "both members read")
    equal(sorted(got), [(p, o) for p in range(4) for o in range(5)], "each record once")
    second.close()
    until(lambda: share(first) == [[0, 1, 2, 3]], "the one left has everything again")
    first.close()


def topics(bootstrap, topic):
    admin = create(bootstrap, topic, 2)
    try:
        create(bootstrap, topic, 2)
        raise Failed("a topic was created twice")
    except KafkaException as error:
        equal(error.args[0].code(), KafkaError.TOPIC_ALREADY_EXISTS, "creating it again")
    send(bootstrap, topic, records(3, "topics"), 1)
    for future in admin.delete_topics([topic]).values():
        future.result(timeout=PATIENCE)
    until(lambda: topic not in admin.list_topics(timeout=5).topics, "the topic is gone")
    create(bootstrap, topic, 1)
    client = consumer(bootstrap)
    until(
        lambda: client.get_watermark_offsets(TopicPartition(topic, 0), timeout=5) == (0, 0),
        "the new topic of the same name is empty",
    )
    client.close()


def unknown(bootstrap, topic):
    client = producer(bootstrap, **{"message.timeout.ms": 5000})
    errors = []
    client.produce(topic, b"lost", on_delivery=lambda error, _: errors.append(error))
    client.flush(PATIENCE)
    expect(errors and errors[0], "a message to an unknown topic was acknowledged")
    codes = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._MSG_TIMED_OUT)
    expect(errors[0].code() in codes, f"error {errors[0]}")
    found = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=5)
    expect(topic not in found.topics, "the unknown topic was created")


def large(bootstrap, topic):
    create(bootstrap, topic)
    client = producer(bootstrap, **{"message.max.bytes": 10_000_000})
    errors = []
    client.produce(topic, b"x" * 2_000_000, on_delivery=lambda error, _: errors.append(error))
    client.flush(PATIENCE)
    expect(errors and errors[0], "a message of 2 MB was acknowledged")
    equal(errors[0].code(), KafkaError.MSG_SIZE_TOO_LARGE, "the error")
    equal(send(bootstrap, topic, [(b"k", b"x" * 900_000)]), [0], "a message of 900 kB")


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
