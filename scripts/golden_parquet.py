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


def png(width, height, kind, rows):
    """kind: 0 grey, 2 RGB; rows are bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def grey(level):
    return png(3, 2, 0, [bytes([level] * 3)] * 2)


def coloured(i):
    return png(12, 10, 2, [bytes(v for x in range(12) for v in (i * 19, x * 20, y * 25)) for y in range(10)])


OUT.mkdir(parents=True, exist_ok=True)
rows = [{
    "id": 100 + i,
    "image": {"bytes": grey(i), "path": f"{i}.png"},
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
pq.write_table(pa.table({"picture": [grey(7), grey(8)], "text": ["one", "two"]}), OUT / "bytes.parquet")
pq.write_table(pa.table({"image": ["a.png"], "caption": ["x" * 50]}), OUT / "brotli.parquet", compression="brotli")
pq.write_table(pa.table({"image": ["a.png", "b.png"], "caption": ["one", "two"]}), OUT / "delta.parquet",
               use_dictionary=False, column_encoding={"image": "PLAIN", "caption": "DELTA_BYTE_ARRAY"})
pq.write_table(pa.Table.from_pylist([{
    "image": {"bytes": coloured(i), "path": f"{i:02d}.png"},
    "captions": [f"picture {i}", f"a picture of {('red', 'green', 'blue')[i % 3]} number {i}"],
} for i in range(12)]), OUT / "pictures.parquet", row_group_size=5)

questions = pa.Table.from_pylist([{
    "image": {"bytes": grey(i), "path": f"{i}.png"},
    "question_id": 9000 + i,
    "question": f"what is {i}",
    "answers": [{"answer": f"a {j}", "answer_confidence": "yes"} for j in range(i % 3)],
    "answer_type": ("other", None)[i % 2],
    "choices": [f"choice {j}" for j in range(4)],
    "correct_choice_idx": None if i % 5 == 4 else i % 4,
    "difficult_direct_answer": None if i % 5 == 3 else i % 3 == 0,
} for i in range(20)])
pq.write_table(questions, OUT / "questions.parquet", row_group_size=9)
pq.write_table(questions, OUT / "questions-v2.parquet", data_page_version="2.0")
