"""Writes numbered messages to every partition of a topic until SIGTERM, and records the answers.

    keep_writing.py BOOTSTRAP TOPIC PARTITIONS NAME LOG [RATE]

Each message's value is "NAME NUMBER", with numbers from 0 in each partition. The producer is
idempotent with acks=all, so what it is told must be true: each acknowledged message once, in
order. LOG gets one line for each event, written at once and unbuffered by this process:

    S PARTITION NUMBER              sent up to this number (before the client library has it)
    A SENT ANSWERED PARTITION OFFSET NUMBER     acknowledged; times in ms of CLOCK_MONOTONIC
    F ANSWERED PARTITION NUMBER REASON          given up by the client library

At SIGTERM it stops sending, waits for all answers and exits 0; 1 if some never came.
"""

import signal
import sys
import time

from confluent_kafka import Producer

WINDOW = 200


def milliseconds():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000


def main():
    bootstrap, topic, partitions, name, path, *rest = sys.argv[1:]
    partitions = int(partitions)
    pause = 1 / float(rest[0]) if rest else 0.001
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    log = open(path, "w", buffering=1)
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 2,
            "message.timeout.ms": 120_000,
            "retry.backoff.ms": 50,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200,
            "topic.metadata.refresh.fast.interval.ms": 50,
            "socket.connection.setup.timeout.ms": 1000,
            # Else what was asked of a broker that fell silent is waited for for a minute.
            "socket.timeout.ms": 3000,
        },
        error_cb=lambda error: log.write(f"# {milliseconds()} {error}\n"),
    )
    waiting = [0] * partitions
    numbers = [0] * partitions

    def delivered(partition, number, sent):
        def note(error, message):
            waiting[partition] -= 1
            now = milliseconds()
            if error is None:
                log.write(f"A {sent} {now} {partition} {message.offset()} {number}\n")
            else:
                log.write(f"F {now} {partition} {number} {error}\n")

        return note

    while not stop:
        for partition in range(partitions):
            if waiting[partition] >= WINDOW:
                continue
            number = numbers[partition]
            numbers[partition] += 1
            waiting[partition] += 1
            log.write(f"S {partition} {number}\n")
            producer.produce(
                topic,
                f"{name} {number}".encode(),
                name.encode(),
                partition,
                on_delivery=delivered(partition, number, milliseconds()),
            )
        producer.poll(pause)
    left = producer.flush(120)
    log.close()
    sys.exit(1 if left else 0)


main()
