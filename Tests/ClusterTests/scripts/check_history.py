"""Compares what writers were told with what can be read, and names every contradiction.

    check_history.py READ WRITER_LOG...

READ is what read_back.py wrote; the others are logs of keep_writing.py, whose NAME is the file's
name without its extension. Prints one line for each kind of contradiction and exits 1 if there is
any; otherwise prints how much was compared and exits 0.

The rules, for a log without transactions and writers that are idempotent:
  lost        an acknowledged message is not at the offset that was answered
  duplicated  a message stands in its partition twice
  reordered   a writer's messages do not stand in the order in which they were sent
  invented    a message was never sent
  gap         offsets are not dense
  given up    a writer was told that a message failed (it may or may not be there)
"""

import os
import sys

KINDS = ("lost", "duplicated", "reordered", "invented", "gap", "given up")


def parse_writer(lines):
    """What one writer sent and was told: {partition: last}, [(partition, offset, number)], [...]."""
    sent, acknowledged, failed = {}, [], []
    for line in lines:
        fields = line.split()
        if not fields or not line.endswith("\n"):
            continue
        if fields[0] == "S":
            sent[int(fields[1])] = int(fields[2])
        elif fields[0] == "A":
            acknowledged.append((int(fields[3]), int(fields[4]), int(fields[5])))
        elif fields[0] == "F":
            failed.append((int(fields[2]), int(fields[3]), " ".join(fields[4:])))
    return sent, acknowledged, failed


def parse_read(lines):
    """What was read: {partition: [(offset, writer, number)]}, in the order of reading."""
    read = {}
    for line in lines:
        partition, offset, writer, number = line.split()
        read.setdefault(int(partition), []).append((int(offset), writer, int(number)))
    return read


def contradictions(read, writers):
    """Every contradiction as {kind: [sentence]}; `writers` maps names to parse_writer results."""
    found = {kind: [] for kind in KINDS}
    places = {}
    for partition, messages in read.items():
        last = {}
        for position, (offset, writer, number) in enumerate(messages):
            if offset != position:
                found["gap"].append(f"{partition}: offset {offset} at position {position}")
            where = (partition, writer, number)
            if where in places:
                found["duplicated"].append(
                    f"{partition}: {writer} {number} at {places[where]} and {offset}"
                )
            elif number < last.get(writer, -1):
                found["reordered"].append(
                    f"{partition}: {writer} {number} at {offset}, after {last[writer]}"
                )
            places.setdefault(where, offset)
            last[writer] = max(number, last.get(writer, -1))
            known = writers.get(writer)
            if known is None or number > known[0].get(partition, -1):
                found["invented"].append(f"{partition}: {writer} {number} at {offset}")
    for writer, (_, acknowledged, failed) in writers.items():
        for partition, offset, number in acknowledged:
            if places.get((partition, writer, number)) != offset:
                there = places.get((partition, writer, number), "nowhere")
                found["lost"].append(
                    f"{partition}: {writer} {number}, acknowledged at {offset}, is {there}"
                )
        for partition, number, reason in failed:
            found["given up"].append(f"{partition}: {writer} {number}: {reason}")
    return found


def main():
    with open(sys.argv[1]) as file:
        read = parse_read(file)
    writers = {}
    for path in sys.argv[2:]:
        with open(path) as file:
            writers[os.path.splitext(os.path.basename(path))[0]] = parse_writer(file)
    found = contradictions(read, writers)
    for kind in KINDS:
        if found[kind]:
            print(f"{kind}: {len(found[kind])}, first: {'; '.join(found[kind][:3])}")
    if any(found.values()):
        sys.exit(1)
    acknowledged = sum(len(writer[1]) for writer in writers.values())
    messages = sum(len(messages) for messages in read.values())
    print(f"{acknowledged} acknowledged messages stand among {messages}")


if __name__ == "__main__":
    main()
