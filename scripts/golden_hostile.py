#!/usr/bin/env python3
"""Writes checkpoints/testdata/hostile: small files that a reader of checkpoints must refuse at once.

Needs nothing but Python's standard library. The test that reads them knows what each should be
refused for.
"""

import io
import json
import pathlib
import pickle
import struct
import zipfile

OUT = pathlib.Path(__file__).resolve().parent.parent / "checkpoints" / "testdata" / "hostile"


def safetensors(name, header, data=b"", length=None):
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    size = len(header) if length is None else length
    (OUT / f"{name}.safetensors").write_bytes(struct.pack("<Q", size) + header + data)


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def write_safetensors():
    safetensors("header_2_63", b"{}", length=2**63)
    safetensors("header_2_64", b"{}", length=2**64 - 1)
    safetensors("header_of_zeros", b"\0" * 1000)
    safetensors("overlapping", {"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12))
    safetensors("same_bytes", {"a": entry([2], 0, 8), "b": entry([2], 0, 8)}, bytes(8))
    safetensors("hole", {"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, bytes(12))
    safetensors("tail", {"a": entry([1], 0, 4)}, bytes(12))
    safetensors("truncated", {"a": entry([1000], 0, 4000)}, bytes(40))
    safetensors("huge_dims", {"a": entry([2**31 - 1] * 4, 0, 4)}, bytes(4))
    safetensors("overflowing_dims", {"a": entry([2**33, 2**33], 0, 4)}, bytes(4))
    safetensors("negative_offset", {"a": entry([1], -4, 0)}, bytes(4))
    safetensors("negative_dim", {"a": entry([-1, -1], 0, 4)}, bytes(4))
    safetensors("many_dims", {"a": entry([1] * 1000, 0, 4)}, bytes(4))
    safetensors("twice", b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"\0")
    safetensors("deep_json", b'{"a":' + b"[" * 12000)


class Reduce:
    """An object whose pickle calls a function, as an attacker writes it."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def archive(name, data, storages=None, compress=(), extra=()):
    """An archive as torch.save writes it, around the pickle data."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        records = [("data.pkl", data), ("byteorder", b"little")]
        records += [(f"data/{k}", v) for k, v in (storages or {"0": bytes(16)}).items()]
        records += [("version", b"3\n"), *extra]
        for record, content in records:
            method = zipfile.ZIP_DEFLATED if record in compress else zipfile.ZIP_STORED
            z.writestr(zipfile.ZipInfo("archive/" + record), content, method, 9)
    (OUT / f"{name}.pth").write_bytes(out.getvalue())


def text(s):
    return b"X" + struct.pack("<I", len(s)) + s.encode()


def long(n):
    return b"\x8a\x08" + struct.pack("<q", n)


def view(size, stride, offset=0, key="0", elements=4, storage=b"ctorch\nFloatStorage\n"):
    """_rebuild_tensor_v2 of a storage of four floats."""
    reference = b"(" + text("storage") + storage + text(key) + text("cpu") + long(elements) + b"tQ"
    numbers = lambda all: b"(" + b"".join(map(long, all)) + b"t"
    return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + reference + long(offset) + numbers(size) + numbers(stride)
            + b"\x89ccollections\nOrderedDict\n)RtR")


def state(value):
    """A pickle of {"w": value}."""
    return b"\x80\x02}" + text("w") + value + b"s."


def legacy(main):
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"protocol_version": 1001, "little_endian": True}, 2)
    return head + main + pickle.dumps([], 2)


def write_torch():
    import os
    import subprocess

    for protocol in (0, 2, 4):
        archive(f"os_system_{protocol}", pickle.dumps({"w": Reduce(os.system, "touch HACKED")}, protocol))
    (OUT / "os_system_legacy.pth").write_bytes(legacy(pickle.dumps(Reduce(os.system, "touch HACKED"), 2)))
    archive("eval", pickle.dumps(Reduce(eval, "open('HACKED', 'w')"), 2))
    archive("getattr", pickle.dumps(Reduce(getattr, "a", "upper"), 2))
    archive("popen", pickle.dumps(Reduce(subprocess.Popen, ["touch", "HACKED"]), 2))
    archive("instance", b"(S'touch HACKED'\nios\nsystem\n.")
    archive("object", b"(cos\nsystem\nS'touch HACKED'\no.")
    archive("extension", b"\x80\x02\x82\x01.")

    archive("huge_dims", state(view([2**31 - 1] * 4, [1] * 4)))
    archive("expanded_bomb", state(view([10**6, 10**6], [0, 0])))
    archive("overflowing_stride", state(view([2**31 - 1, 2], [2**62, 1])))
    archive("outside", state(view([4], [1], offset=1)))
    archive("negative_offset", state(view([4], [1], offset=-1)))
    archive("negative_stride", state(view([4], [-1], offset=3)))
    archive("many_dims", state(view([1] * 1000, [1] * 1000)))
    archive("small_storage", state(view([4], [1], elements=5)))
    archive("huge_storage", state(view([4], [1], elements=2**62)))
    archive("missing_storage", state(view([4], [1], key="7")))
    archive("climbing_storage", state(view([4], [1], key="../../etc/passwd")))
    archive("quantized", state(view([4], [1], storage=b"ctorch\nQInt8Storage\n")))
    archive("no_tensors", pickle.dumps({"epoch": 5, "lr": [0.1]}, 2))
    archive("a_list", pickle.dumps([1, 2, 3], 2))

    laughs = b"\x80\x02](" + b"]" + b"q\x00"
    for i in range(100):  # every list holds the one before twice: 2**100 leaves
        laughs += b"](" + b"h" + bytes([i]) + b"h" + bytes([i]) + b"e" + b"q" + bytes([i + 1])
    archive("billion_laughs", laughs + b"e.")
    archive("contains_itself", b"\x80\x02}q\x00" + text("model") + b"h\x00s.")
    archive("deep_nesting", b"\x80\x02" + b"]" * 10000 + b"a" * 9999 + b".")
    archive("deep_tuples", b"\x80\x02)" + b"\x85" * 10000 + b".")
    archive("unfinished_marks", b"\x80\x02" + b"(" * 10000 + b".")
    archive("long_string", b"\x80\x02\x8d" + struct.pack("<Q", 2**62) + b"abc.")
    archive("long_bytes", b"\x80\x02B" + struct.pack("<I", 2**32 - 1) + b"abc.")
    archive("long_integer", b"\x80\x02\x8b" + struct.pack("<I", 2**31 - 1) + b"abc.")
    archive("long_digits", b"\x80\x02L" + b"9" * 5000 + b"L\n.")
    archive("memo_index", b"\x80\x02Nr\xff\xff\xff\xff0h\x01.")
    archive("empty_stack", b"\x80\x02.")
    archive("truncated_pickle", state(view([4], [1]))[:-20])
    archive("protocol_9", b"\x80\x09}.")

    bomb = b"\x80\x02X" + struct.pack("<I", 8 << 20) + bytes(8 << 20) + b"."
    archive("zip_bomb", bomb, compress=["data.pkl"])
    archive("zip_bomb_storage", state(view([1 << 20], [1], elements=1 << 20)), {"0": bytes(4 << 20)}, compress=["data/0"])
    archive("two_indexes", state(view([4], [1])), extra=[("data.pkl", b"}.")])
    archive("big_endian", state(view([4], [1])))
    data = (OUT / "big_endian.pth").read_bytes().replace(b"little", b"\0\0\0big")
    (OUT / "big_endian.pth").write_bytes(data)
    whole = (OUT / "huge_dims.pth").read_bytes()
    (OUT / "truncated.pth").write_bytes(whole[: len(whole) // 2])
    (OUT / "no_archive.pth").write_bytes(b"PK\x03\x04" + bytes(100))
    (OUT / "empty.pth").write_bytes(b"")
    (OUT / "legacy_short.pth").write_bytes(legacy(state(view([4], [1])))[:60])
    (OUT / "legacy_without_storage.pth").write_bytes(legacy(state(view([4], [1]))))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    import warnings

    warnings.simplefilter("ignore")  # zipfile says that a name is there twice
    write_safetensors()
    write_torch()


if __name__ == "__main__":
    main()
