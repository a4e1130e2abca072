"""Reads a topic as a member of a group until SIGTERM, and records every confirmed commit.

    keep_consuming.py BOOTSTRAP TOPIC GROUP LOG

LOG gets a line for each commit that the coordinator has confirmed, in ms of CLOCK_MONOTONIC:

    C TIME PARTITION OFFSET

At SIGTERM it leaves the group, asks for the group's offsets as a stranger would, and exits 1 if
one of them is lower than a confirmed one, or if a message was read twice although its offset had
been committed.
"""

import signal
import sys
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition


def milliseconds():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000


def settings(bootstrap, group):
    return {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 500,
        "fetch.wait.max.ms": 100,
        "retry.backoff.ms": 50,
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 200,
        "topic.metadata.refresh.fast.interval.ms": 50,
    }


def main():
    bootstrap, topic, group, path = sys.argv[1:]
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    log = open(path, "w", buffering=1)
    client = Consumer(settings(bootstrap, group))
    client.subscribe([topic])
    confirmed, wrong = {}, []
    while not stop:
        seen = {}
        for message in client.consume(500, 0.1):
            if message.error():
                continue
            partition, offset = message.partition(), message.offset()
            if offset < confirmed.get(partition, 0):
                wrong.append(f"{partition}: {offset} read after {confirmed[partition]}")
            seen[partition] = max(offset + 1, seen.get(partition, 0))
        if not seen:
            continue
        try:
            places = [TopicPartition(topic, p, offset) for p, offset in seen.items()]
            done = client.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            # Without an answer nothing is known, and nothing is claimed.
            log.write(f"# {milliseconds()} {error}\n")
            continue
        for place in done:
            if place.error is None:
                confirmed[place.partition] = place.offset
                log.write(f"C {milliseconds()} {place.partition} {place.offset}\n")
    client.close()
    log.close()

    stranger = Consumer(settings(bootstrap, group))
    places = [TopicPartition(topic, partition) for partition in confirmed]
    for place in stranger.committed(places, timeout=30):
        if place.offset < confirmed[place.partition]:
            wrong.append(f"{place.partition}: {place.offset}, but {confirmed[place.partition]} was confirmed")
    stranger.close()
    if wrong:
        sys.exit("; ".join(wrong[:3]))
    print(f"{len(confirmed)} partitions, {sum(confirmed.values())} messages committed")


main()
