#!/usr/bin/env python3
"""Compares "goblip tokenize" with the Python packages on generated texts.

    go build -o /tmp/goblip ./cmd/goblip
    python3 scripts/fuzz_tokenizers.py --goblip /tmp/goblip [--count N] [--seed S] [FOLDER...]

Each folder is opened by transformers' AutoTokenizer, or with --raw its tokenizer.json by the package
tokenizers alone, and for every text these must agree: ids with and without special tokens, ids and
mask cut and padded, and both ways of decoding. Without folders, tokenizers of all four kinds in
several arrangements are trained on generated words first. Exit status 1 if anything differs.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from fuzz_texts import texts  # noqa: E402


class Raw:
    """A tokenizer.json by the package tokenizers alone."""

    def __init__(self, folder):
        from tokenizers import Tokenizer
        self.t = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.t.no_padding()
        self.t.no_truncation()
        self.added = [a.content for a in self.t.get_added_tokens_decoder().values()]

    def encode(self, batch, special):
        return [e.ids for e in self.t.encode_batch(batch, add_special_tokens=special)]

    def padded(self, batch, length):
        return None

    def decode(self, batch, skip):
        out = self.t.decode_batch(batch, skip_special_tokens=skip)
        if getattr(self.t.model, "end_of_word_suffix", None):  # what transformers does to CLIP's texts
            out = [text.replace("</w>", " ").strip() for text in out]
        return out


class Auto:
    """A folder by transformers."""

    def __init__(self, folder):
        from transformers import AutoTokenizer
        self.t = AutoTokenizer.from_pretrained(folder)
        self.added = [a.content for a in self.t.added_tokens_decoder.values()]

    def encode(self, batch, special):
        return self.t(batch, add_special_tokens=special)["input_ids"]

    def padded(self, batch, length):
        if self.t.pad_token is None:
            return None
        out = self.t(batch, truncation=True, max_length=length, padding="max_length")
        return list(zip(out["input_ids"], out["attention_mask"]))

    def decode(self, batch, skip):
        return [self.t.decode(ids, skip_special_tokens=skip) for ids in batch]


def goblip(program, folder, lines, *flags):
    result = subprocess.run([program, "tokenize", "--tokenizer", str(folder), *flags],
                            input="".join(json.dumps(line) + "\n" for line in lines), capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{folder}: goblip: {result.stderr}")
    return [json.loads(line) for line in result.stdout.split("\n") if line]


def compare(program, folder, reference, count, seed, length):
    rng = random.Random(seed)
    batch = texts(rng, count, reference.added)
    bad = 0

    def check(what, ours, theirs, given):
        nonlocal bad
        assert len(ours) == len(theirs) == len(given), (what, len(ours), len(theirs))
        for a, b, g in zip(ours, theirs, given):
            if a != b:
                bad += 1
                if bad <= 8:
                    print(f"  {what} of {g!r}\n    goblip    {a}\n    reference {b}")

    ids = reference.encode(batch, True)
    check("ids", [r["ids"] for r in goblip(program, folder, batch)], ids, batch)
    check("ids without special", [r["ids"] for r in goblip(program, folder, batch, "--no-special")], reference.encode(batch, False), batch)
    padded = reference.padded(batch, length)
    if padded is not None:
        ours = goblip(program, folder, batch, "--pad", "--max-length", str(length))
        check("padded", [(r["ids"], r["attention_mask"]) for r in ours], padded, batch)
    # Also ids that no text has, in any order.
    every = sorted({i for row in ids for i in row})
    ids = ids + [[rng.choice(every) for _ in range(rng.randint(0, 12))] for _ in range(count // 4)]
    check("text", goblip(program, folder, ids, "--decode"), reference.decode(ids, False), ids)
    check("text without special", goblip(program, folder, ids, "--decode", "--skip-special"), reference.decode(ids, True), ids)
    name = "/".join(folder.resolve().parts[-2:]) if folder.name == "model" else folder.name
    print(f"{name:28} {type(reference).__name__:4} {count} texts, {sum(map(len, ids))} ids: {bad} differences", flush=True)
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="*", type=pathlib.Path)
    parser.add_argument("--goblip", required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--length", type=int, default=24)
    parser.add_argument("--raw", action="store_true")
    args = parser.parse_args()
    bad = 0
    if args.folders:
        for folder in args.folders:
            bad += compare(args.goblip, folder, (Raw if args.raw else Auto)(folder), args.count, args.seed, args.length)
    else:
        from make_tokenizers import make
        with tempfile.TemporaryDirectory() as tmp:
            for folder, auto in make(pathlib.Path(tmp), args.seed):
                bad += compare(args.goblip, folder, (Auto if auto else Raw)(folder), args.count, args.seed, args.length)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
