"""Creates a topic and writes one message to each of its partitions, as fast as the cluster can.

    write_everywhere.py BOOTSTRAP TOPIC PARTITIONS REPLICAS

Prints the seconds from the moment at which the creation was answered until every partition has
acknowledged its message with acks=all.
"""

import sys
import time

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic


def main():
    bootstrap, topic, partitions, replicas = sys.argv[1:]
    partitions = int(partitions)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    begin = time.monotonic()
    created = admin.create_topics([NewTopic(topic, partitions, int(replicas))])
    created[topic].result(timeout=60)
    answered = time.monotonic()
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "linger.ms": 1,
            "retry.backoff.ms": 50,
            "topic.metadata.refresh.fast.interval.ms": 50,
            "message.timeout.ms": 30_000,
        }
    )
    errors = []

    def delivered(error, _):
        if error:
            errors.append(str(error))

    for partition in range(partitions):
        producer.produce(topic, b"first", None, partition, on_delivery=delivered)
    left = producer.flush(30)
    done = time.monotonic()
    if left or errors:
        sys.exit(f"{left} partitions did not answer; errors: {errors[:3]}")
    print(f"created {answered - begin:.3f} writable {done - begin:.3f}")


main()
