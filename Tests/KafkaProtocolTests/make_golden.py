#!/usr/bin/env python3
"""Writes golden.txt: every message of Martlet's, as two other implementations write it.

Run it by hand when Schemas/messages.schema gains a message or a version, and look at the diff:

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install kio==0.6.5 kafka-python==3.0.12
    /tmp/golden/bin/python Tests/KafkaProtocolTests/make_golden.py

Martlet's schema says only which messages and versions there are. Fields, their order, their
types and the versions they are in come from Kafka's own JSON, which kafka-python carries; the
bytes are kio's, whose classes were made from another copy of that JSON, and kafka-python must
write the same ones, or nothing is written. The records of __consumer_offsets are in neither
package: COORDINATOR_RECORDS repeats their fields from Kafka's sources, for kafka-python alone.
RAFT_VOTERS repeats those of the messages about controllers, which kio has and kafka-python lacks.

Lines of golden.txt:

    field MESSAGE PATH VERSIONS [tagged]      the field is in these versions
    bytes MESSAGE KEY VERSION VARIANT HEX     header and body; a record has no header, and key -

A value is a function of its path and of the variant, and GoldenValues.swift repeats it:
`full` has two elements in each array and no nulls; `least` has nulls, nothing in arrays, zeros
and no tags; `edge` has the least and the greatest numbers, empty and long text, and arrays of
none, one, three or 130.
"""
import dataclasses
import importlib
import io
import pathlib
import re
import uuid
from fractions import Fraction

from kafka.protocol.schemas import load_json
from kafka.protocol.schemas.fields.base import BaseField
from kafka.protocol.schemas.fields.struct import StructField
from kio.schema.index import api_key_map
from kio.serial import entity_writer
from kio.serial._introspect import EntityField, EntityTupleField, classify_field

HERE = pathlib.Path(__file__).resolve().parent
SCHEMA = HERE.parent.parent / "Modules/KafkaProtocol/Schemas/messages.schema"
BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
MASK = (1 << 64) - 1


def record(name, versions, flexible, *fields):
    """Builds the JSON of a record: a field is 'name type versions', a `?` makes it nullable."""
    def parse(text):
        if isinstance(text, tuple):
            return {**parse(text[0]), "fields": [parse(each) for each in text[1:]]}
        name, kind, versions = text.split()
        field = {"name": name, "type": kind.rstrip("?"), "versions": versions}
        if kind.endswith("?"):
            field["nullableVersions"] = versions
        return field
    return {"type": "data", "name": name, "validVersions": versions,
            "flexibleVersions": flexible, "fields": [parse(each) for each in fields]}


# Apache Kafka, group-coordinator/src/main/resources/common/message. The versions of a key are
# kinds of key: 0 and 1 are offsets, 2 is a group. `protocolName` is `protocol` there.
COORDINATOR_RECORDS = [
    record("OffsetCommitKey", "0-1", "none",
           "group string 0+", "topic string 0+", "partition int32 0+"),
    record("OffsetCommitValue", "0-4", "4+",
           "offset int64 0+", "leaderEpoch int32 3+", "metadata string 0+",
           "commitTimestamp int64 0+", "expireTimestamp int64 1"),
    record("GroupMetadataKey", "2", "none", "group string 2+"),
    record("GroupMetadataValue", "0-4", "4+",
           "protocolType string 0+", "generation int32 0+", "protocolName string? 0+",
           "leader string? 0+", "currentStateTimestamp int64 2+",
           ("members []MemberMetadata 0+",
            "memberId string 0+", "groupInstanceId string? 3+", "clientId string 0+",
            "clientHost string 0+", "rebalanceTimeout int32 1+", "sessionTimeout int32 0+",
            "subscription bytes 0+", "assignment bytes 0+")),
]

# Apache Kafka, clients/src/main/resources/common/message.
RAFT_VOTERS = [
    record("AddRaftVoterRequest", "0", "0+",
           "ClusterId string? 0+", "TimeoutMs int32 0+", "VoterId int32 0+",
           "VoterDirectoryId uuid 0+",
           ("Listeners []Listener 0+", "Name string 0+", "Host string 0+", "Port uint16 0+")),
    record("RemoveRaftVoterRequest", "0", "0+",
           "ClusterId string? 0+", "VoterId int32 0+", "VoterDirectoryId uuid 0+"),
] + [
    record(name, "0", "0+",
           "ThrottleTimeMs int32 0+", "ErrorCode int16 0+", "ErrorMessage string? 0+")
    for name in ("AddRaftVoterResponse", "RemoveRaftVoterResponse")
]


# What a field holds.

def fnv(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value


def is_first(path):
    """Whether something long may stand here: once in an array is enough."""
    return not re.search(r"\[[^0]", path)


def scalar(kind, path, variant):
    seed = fnv(path)
    choice = seed >> 40
    if kind in BITS:
        low, high = -(1 << BITS[kind] - 1), (1 << BITS[kind] - 1) - 1
        if variant == "edge":
            return low if choice % 2 else high
        return 0 if variant == "least" else (seed - low) % (1 << BITS[kind]) + low
    if kind == "uint16":
        if variant == "edge":
            return 0 if choice % 2 else 0xFFFF
        return 0 if variant == "least" else seed % 0x10000
    if kind == "bool":
        return variant != "least" and choice % 2 == 1
    if kind == "uuid":
        if variant == "edge":
            return uuid.UUID(int=(1 << 128) - 1)
        return uuid.UUID(int=0 if variant == "least" else seed << 64 | fnv(path + "'"))
    if kind == "string":
        if variant == "edge":
            return ["", "\U0001F426", "", "猫" * (43 if is_first(path) else 2)][choice % 4]
        return "" if variant == "least" else "é%08x" % (seed & 0xFFFFFFFF)
    if kind in ("bytes", "records"):
        if variant == "edge":
            return [b"", b"\xff" * 127, b"\x7f", b"\x80" * 128][choice % 4]
        return b"" if variant == "least" else seed.to_bytes(8, "big")
    raise ValueError(kind)


def is_null(path, variant):
    return variant == "least" or variant == "edge" and (fnv(path) >> 48) % 3 == 0


def element_count(path, variant, is_structure):
    if variant != "edge":
        return 2 if variant == "full" else 0
    if not is_structure:
        return [0, 1, 3, 130 if is_first(path) else 2][(fnv(path) >> 44) % 4]
    return [1, 3][fnv(path) % 2] if "." not in path else [0, 1, 3][(fnv(path) >> 44) % 3]


# Kafka's JSON.

def in_versions(text, version):
    versions = BaseField.parse_versions(text)
    return versions is not None and versions[0] <= version <= versions[1]


def lower(name):
    return name[0].lower() + name[1:]


def structure(fields, path, version, variant):
    """Fills a structure: a dictionary from the names in the JSON."""
    values = {}
    for field in fields:
        if not in_versions(field["versions"], version):
            continue
        if in_versions(field.get("taggedVersions"), version) and variant == "least":
            continue
        inner = path + lower(field["name"])
        nullable = in_versions(field.get("nullableVersions"), version)
        values[field["name"]] = value(field, inner, version, variant, nullable)
    return values


def value(field, path, version, variant, nullable):
    if nullable and is_null(path, variant):
        return None
    kind, fields = field["type"], field.get("fields")
    if not kind.startswith("[]"):
        return structure(fields, path + ".", version, variant) if fields else scalar(
            kind, path, variant)
    count = element_count(path, variant, fields is not None)
    paths = [f"{path}[{index}]" for index in range(count)]
    if fields:
        return [structure(fields, each + ".", version, variant) for each in paths]
    return [scalar(kind[2:], each, variant) for each in paths]


def field_lines(message, fields, low, high, path="", tagged=False):
    lines = []
    for field in fields:
        first, last = BaseField.parse_versions(field["versions"])
        first, last = max(first, low), min(last, high)
        if first > last:
            continue
        inner = path + lower(field["name"])
        has_tag = tagged or "tag" in field
        lines.append(f"field {message} {inner} {first}-{last}" + (" tagged" if has_tag else ""))
        lines += field_lines(message, field.get("fields", []), first, last, inner + ".", has_tag)
    return lines


# kafka-python: as its messages do it, but from our values.

def kafka_python_names(item):
    if isinstance(item, dict):
        return {BaseField.underscore_name(k): kafka_python_names(v) for k, v in item.items()}
    return [kafka_python_names(each) for each in item] if isinstance(item, list) else item


def kafka_python_bytes(json, version, values, compact=None):
    flexible = in_versions(json["flexibleVersions"], version)
    return StructField(json).encode(
        kafka_python_names(values), version=version,
        compact=flexible if compact is None else compact, tagged=flexible)


# kio: its classes want times and error codes as such; what it writes of them is all it gets.

class Number:
    """A time or an error code that may be any number; kio asks for its seconds or its value."""

    def __init__(self, number):
        self.value = number

    def total_seconds(self):
        return Fraction(self.value, 1000)

    timestamp = total_seconds


def kio_value(item, field_class, kafka_type):
    if item is None:
        return None
    if isinstance(item, list):
        if isinstance(field_class, EntityTupleField):
            return tuple(kio_entity(field_class.type_, each) for each in item)
        return tuple(kio_value(each, None, kafka_type) for each in item)
    if isinstance(field_class, EntityField):
        return kio_entity(field_class.type_, item)
    is_number = kafka_type.startswith(("timedelta", "datetime", "error_code"))
    return Number(item) if is_number else item


def kio_name(name):
    """Reduces `ThrottleTimeMs`, `throttle_time` and the like to one form."""
    return re.sub("ms$", "", name.replace("_", "").lower())


def kio_entity(entity, values):
    rest = {kio_name(name): item for name, item in values.items()}
    arguments = {}
    for field in dataclasses.fields(entity):
        name = kio_name(field.name)
        if name in rest:
            arguments[field.name] = kio_value(
                rest.pop(name), classify_field(field), field.metadata.get("kafka_type", ""))
    assert not rest, (entity, rest)
    return entity(**arguments)


def kio_bytes(entity, values):
    out = io.BytesIO()
    entity_writer(entity)(out, kio_entity(entity, values))
    return out.getvalue()


def kio_class(name, key, version):
    if key is None:
        folder = re.sub("(?<!^)(?=[A-Z])", "_", name).lower()
        module = importlib.import_module(f"kio.schema.{folder}.v{version}.data")
    else:
        kind = "request" if name.endswith("Request") else "response"
        module = importlib.import_module(f"kio.schema.{api_key_map[key]}.v{version}.{kind}")
    return getattr(module, name)


# Both together.

def agreed(name, ours, theirs):
    assert ours == theirs, f"{name}:\n{ours.hex()}\n{theirs.hex()}"
    return ours


def header_bytes(name, entity, version, variant):
    header = entity.__header_schema__
    values = {"CorrelationId": scalar("int32", "correlationId", variant)}
    if name.endswith("Request"):
        values |= {"RequestApiKey": entity.__api_key__, "RequestApiVersion": version}
        is_nil = is_null("clientId", variant)
        values["ClientId"] = None if is_nil else scalar("string", "clientId", variant)
    json = load_json(header.__name__)
    other = kafka_python_bytes(json, header.__version__, values, compact=False)
    return agreed(f"header of {name} {version}", kio_bytes(header, values), other)


def message_bytes(json, key, version, variant):
    name = json["name"]
    values = structure(json["fields"], "", version, variant)
    other = kafka_python_bytes(json, version, values)
    if json in COORDINATOR_RECORDS:
        return other
    entity = kio_class(name, key, version)
    body = agreed(f"{name} {version} {variant}", kio_bytes(entity, values), other)
    return body if key is None else header_bytes(name, entity, version, variant) + body


def main():
    records = {json["name"]: json for json in COORDINATOR_RECORDS + RAFT_VOTERS}
    lines = ["# Written by make_golden.py; do not edit."]
    pattern = r"^message (\w+) (?:key=(\d+) )?versions=(\d+)(?:-(\d+))? "
    for name, key, low, high in re.findall(pattern, SCHEMA.read_text(), re.MULTILINE):
        json = records.get(name) or load_json(name)
        key, low, high = int(key) if key else None, int(low), int(high or low)
        lines += field_lines(name, json["fields"], low, high)
        for version in range(low, high + 1):
            for variant in ("full", "least", "edge"):
                data = message_bytes(json, key, version, variant)
                label = "-" if key is None else key
                lines.append(f"bytes {name} {label} {version} {variant} {data.hex()}")
    (HERE / "golden.txt").write_text("\n".join(lines) + "\n")


main()
