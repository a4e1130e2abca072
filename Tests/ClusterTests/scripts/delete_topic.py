"""Deletes a topic:  delete_topic.py BOOTSTRAP TOPIC"""

import sys

from confluent_kafka.admin import AdminClient

admin = AdminClient({"bootstrap.servers": sys.argv[1]})
admin.delete_topics([sys.argv[2]])[sys.argv[2]].result(timeout=30)
