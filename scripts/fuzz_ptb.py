#!/usr/bin/env python3
"""Compares goblip's caption tokens with the reference tokeniser's on generated hard lines.

    python3 scripts/fuzz_ptb.py --jar stanford-corenlp-3.4.1.jar [--lines 20000] [--seed 1] [--write FILE]

The jar comes with pycocoevalcap (pip install pycocoevalcap==1.2), folder tokenizer/. Needs Java and Go. --write saves the
lines with the reference's tokens as eval/ptb/testdata/generated.json.gz was made (--lines 4000 --seed 77).
"""

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PUNCTUATION = {"''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"}
LETTERS = list("aabcdeinotsTAUSI05129") + list(" '.-,/:;!?\"()[]{}<>&$#%@*+=_~^|\\`’“”‘½–—…éÜß€°²")


def line(draw, fragments):
    kind = draw.random()
    if kind < 0.4:
        return "".join(draw.choice(LETTERS) for _ in range(draw.randint(1, 12)))
    if kind < 0.7:
        return "".join(draw.choice(fragments) for _ in range(draw.randint(1, 3)))
    if kind < 0.9:
        return " ".join(draw.choice(fragments) for _ in range(draw.randint(1, 3)))
    return "".join(draw.choice(fragments) + draw.choice(LETTERS) for _ in range(draw.randint(1, 3)))


def reference(jar, lines):
    command = ["java", "-Dfile.encoding=UTF-8", "-cp", jar, "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    out = subprocess.run(command, input="\n".join(lines).encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    return [" ".join(t for t in l.rstrip().split(" ") if t not in PUNCTUATION) for l in out.decode().split("\n")][: len(lines)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jar", required=True)
    parser.add_argument("--lines", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write")
    args = parser.parse_args()
    with gzip.open(os.path.join(ROOT, "eval/ptb/testdata/ptb_stress.json.gz"), "rt", encoding="utf-8") as f:
        fragments = [c["raw"] for c in json.load(f)][:135]  # single words, the others are sentences of them
    draw = random.Random(args.seed)
    lines = [line(draw, fragments).replace("\n", " ") for _ in range(args.lines)]
    cases = [{"raw": l, "tok": t} for l, t in zip(lines, reference(args.jar, lines))]
    path = args.write or os.path.join(tempfile.mkdtemp(), "cases.json.gz")
    with gzip.GzipFile(path, "wb", mtime=0) as f:
        f.write(json.dumps(cases, ensure_ascii=False).encode())
    env = {**os.environ, "GOBLIP_PTB_CASES": os.path.abspath(path)}
    sys.exit(subprocess.run(["go", "test", "-count=1", "-run", "TestCases", "-v", "./eval/ptb/"], cwd=ROOT, env=env).returncode)


if __name__ == "__main__":
    main()
