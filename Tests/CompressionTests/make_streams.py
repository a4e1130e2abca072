#!/usr/bin/env python3
"""Writes ForeignStreams.swift: the same text, compressed by other programs than ours.

Needs cramjam, lz4 and python-snappy from PyPI. Run it in this folder.
"""
import gzip
import struct
import zlib

import cramjam
import lz4.frame

TEXT = b"".join(b"line %d of a martlet that never lands\n" % i for i in range(200))


def raw_snappy(data):
    return bytes(cramjam.snappy.compress_raw(data))


def xerial(data, block):
    out = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
    for start in range(0, len(data), block):
        piece = raw_snappy(data[start:start + block])
        out += struct.pack(">i", len(piece)) + piece
    return out


STREAMS = [
    ("gzip", "gzip, python", gzip.compress(TEXT, mtime=0)),
    ("gzip", "gzip in two members", gzip.compress(TEXT[:99], mtime=0) + gzip.compress(TEXT[99:], mtime=0)),
    ("gzip", "zlib", zlib.compress(TEXT)),
    ("snappy", "bare snappy", raw_snappy(TEXT)),
    ("snappy", "snappy in small framed blocks", xerial(TEXT, 1000)),
    ("lz4", "lz4, blocks that depend on each other",
     lz4.frame.compress(TEXT, block_linked=True, content_checksum=True)),
    ("lz4", "lz4 with its size", lz4.frame.compress(TEXT, store_size=True)),
    ("lz4", "lz4 in two frames", lz4.frame.compress(TEXT[:99]) + lz4.frame.compress(TEXT[99:])),
    ("zstd", "zstd, rust", bytes(cramjam.zstd.compress(TEXT, level=3))),
]

with open("ForeignStreams.swift", "w") as out:
    out.write("// Written by make_streams.py; do not edit.\n\nimport Testing\n\n")
    out.write("/// A stream that another program made, in hexadecimal digits.\n")
    out.write("struct ForeignStream: CustomTestStringConvertible, Sendable {\n")
    out.write("    let codec: String\n    let title: String\n    let hex: String\n\n")
    out.write("    var testDescription: String { title }\n\n")
    out.write("    static let all: [ForeignStream] = [\n")
    for codec, title, data in STREAMS:
        out.write(f'        ForeignStream(\n            codec: "{codec}",\n            title: "{title}",\n')
        out.write('            hex: """\n')
        digits = data.hex()
        for start in range(0, len(digits), 76):
            out.write(f"                {digits[start:start + 76]}\n")
        out.write('                """\n        ),\n')
    out.write("    ]\n}\n")
