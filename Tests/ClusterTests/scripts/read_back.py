"""Reads every partition of a topic from its beginning to its end.

    read_back.py BOOTSTRAP TOPIC PARTITIONS OUT

OUT gets one line for each message: PARTITION OFFSET VALUE
"""

import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition


def main():
    bootstrap, topic, partitions, path = sys.argv[1:]
    client = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "read-back",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 100,
            "isolation.level": "read_uncommitted",
        }
    )
    places = [TopicPartition(topic, p) for p in range(int(partitions))]
    ends = {p.partition: client.get_watermark_offsets(p, timeout=20)[1] for p in places}
    for place in places:
        place.offset = OFFSET_BEGINNING
    client.assign(places)
    missing = {partition for partition, end in ends.items() if end > 0}
    deadline = time.monotonic() + 60
    with open(path, "w") as out:
        while missing:
            if time.monotonic() > deadline:
                sys.exit(f"partitions {sorted(missing)} were not read to their ends {ends}")
            for message in client.consume(1000, 0.2):
                if message.error():
                    print(f"# {message.error()}", file=sys.stderr)
                    continue
                partition, offset = message.partition(), message.offset()
                out.write(f"{partition} {offset} {message.value().decode()}\n")
                if offset + 1 >= ends[partition]:
                    missing.discard(partition)
    client.close()


main()
