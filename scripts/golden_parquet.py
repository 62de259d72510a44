#!/usr/bin/env python3
"""Writes datasets/testdata/parquet: one small table in the ways that pyarrow writes tables.

Needs pyarrow 26 or later:
    python3 scripts/golden_parquet.py
"""
import pathlib
import struct
import zlib

import pyarrow as pa
import pyarrow.parquet as pq

OUT = pathlib.Path(__file__).parent.parent / "datasets/testdata/parquet"


def png(level):
    """A grey picture of 3 x 2 pixels."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes([level] * 3) for _ in range(2))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


OUT.mkdir(parents=True, exist_ok=True)
rows = [{
    "id": 100 + i,
    "image": {"bytes": png(i), "path": f"{i}.png"},
    "caption": None if i % 5 == 4 else f"number {i}",
    "captions": [f"text {j} of {i}" for j in range(i % 4)],
    "question": "how many" if i % 2 else None,
    "answers": [str(i)] if i % 2 else None,
} for i in range(40)]
table = pa.Table.from_pylist(rows)
for name, options in {
    "snappy": dict(row_group_size=16),
    "zstd-v2": dict(row_group_size=16, compression="zstd", data_page_version="2.0", use_dictionary=False),
    "lz4": dict(compression="lz4", data_page_size=200, write_batch_size=7),
    "gzip": dict(row_group_size=7, compression="gzip"),
    "none-v2": dict(compression="none", data_page_version="2.0", data_page_size=150, write_batch_size=3),
}.items():
    pq.write_table(table, OUT / f"{name}.parquet", **options)
pq.write_table(pa.table({"image": ["a.png", "b.png"], "text": ["one", "two"]}), OUT / "paths.parquet")
pq.write_table(pa.table({"picture": [png(7), png(8)], "text": ["one", "two"]}), OUT / "bytes.parquet")
pq.write_table(pa.table({"image": ["a.png"], "caption": ["x" * 50]}), OUT / "brotli.parquet", compression="brotli")
pq.write_table(pa.table({"image": ["a.png", "b.png"], "caption": ["one", "two"]}), OUT / "delta.parquet",
               use_dictionary=False, column_encoding={"image": "PLAIN", "caption": "DELTA_BYTE_ARRAY"})
