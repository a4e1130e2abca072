"""What the client scripts share: arguments, made-up records, and expectations.

A script is called as  SCRIPT.py SCENARIO BOOTSTRAP TOPIC [OPTION...]  and exits 0 if the cluster
did what a Kafka cluster does; otherwise the last line on stderr says what it did instead.
"""

import sys
import time

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
PATIENCE = 20.0


class Failed(Exception):
    """The cluster did something that a Kafka cluster does not do."""


def expect(condition, message):
    if not condition:
        raise Failed(message)


def equal(got, wanted, what):
    expect(got == wanted, f"{what}: got {got!r}, wanted {wanted!r}")


def until(condition, what, patience=PATIENCE):
    """Calls `condition` until it returns something true, and returns that."""
    deadline = time.monotonic() + patience
    while True:
        result = condition()
        if result:
            return result
        expect(time.monotonic() < deadline, f"{what}: not within {patience} s")
        time.sleep(0.05)


def records(count, tag):
    """Keys and values that compress, that differ, and that are not all ASCII."""
    return [
        (f"key-{tag}-{i}".encode(), f"value {tag} {i} ".encode() * 20 + bytes([i % 256, 0xFF]))
        for i in range(count)
    ]


def run(scenarios):
    """Runs the scenario that the command line names."""
    name, bootstrap, topic, *options = sys.argv[1:]
    try:
        result = scenarios[name](bootstrap, topic, *options)
        if hasattr(result, "__await__"):
            import asyncio

            async def wait():
                await asyncio.wait_for(result, 60)

            asyncio.run(wait())
    except Failed as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        sys.exit(1)
    print(f"{name}: ok")
