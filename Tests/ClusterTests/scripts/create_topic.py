"""Creates a topic:  create_topic.py BOOTSTRAP TOPIC PARTITIONS REPLICAS"""

import sys
import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap, topic, partitions, replicas = sys.argv[1:]
admin = AdminClient({"bootstrap.servers": bootstrap})
deadline = time.monotonic() + 30
while True:
    try:
        created = admin.create_topics([NewTopic(topic, int(partitions), int(replicas))])
        created[topic].result(timeout=15)
        break
    except KafkaException as error:
        # A controller that was just killed has not been replaced yet.
        if time.monotonic() > deadline or not error.args[0].retriable():
            raise
        time.sleep(0.1)
