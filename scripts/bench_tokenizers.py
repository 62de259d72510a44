#!/usr/bin/env python3
"""Measures how fast goblip's tokenizers are beside the Python package "tokenizers" (which is Rust),
both on one thread, in turns, and prints their ratio: above 1, goblip is the faster one.

    python3 scripts/bench_tokenizers.py [--rounds N] FOLDER...

Three kinds of text: captions, whose words were nearly all seen before; the mixture that
fuzz_tokenizers.py compares; and captions of random letters, no word of which comes again. Each round
has its own texts. The package runs encode_batch_fast, which leaves out the offsets.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from fuzz_texts import WORDS, texts  # noqa: E402

GO = r"""
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"time"

	"goblip/datasets/text"
)

func main() {
	runtime.GOMAXPROCS(1)
	t, err := text.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	in := json.NewDecoder(os.Stdin)
	for {
		var batch []string
		if in.Decode(&batch) != nil {
			return
		}
		start := time.Now()
		n := 0
		for _, s := range batch {
			n += len(t.Encode(s))
		}
		fmt.Println(time.Since(start).Seconds(), n)
	}
}
"""


def captions(rng, count):
    words = [w for w in WORDS if w.isascii()]
    return [" ".join(rng.choice(words) for _ in range(rng.randint(6, 16))) + "." for _ in range(count)]


def strangers(rng, count):
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    return [" ".join("".join(rng.choice(letters) for _ in range(rng.randint(2, 10))) for _ in range(rng.randint(6, 16))) for _ in range(count)]


def main():
    from tokenizers import Tokenizer
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=4000)
    args = parser.parse_args()
    slower = False
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".bench-tokenizers-") as tmp:
        source, program = pathlib.Path(tmp) / "main.go", pathlib.Path(tmp) / "bench"
        source.write_text(GO)
        subprocess.run(["go", "build", "-o", program, source], cwd=ROOT, check=True)
        for folder in args.folders:
            rust = Tokenizer.from_file(str(folder / "tokenizer.json"))
            rust.no_padding()
            rust.no_truncation()
            for kind, make in (("captions", captions), ("mixed", lambda rng, n: texts(rng, n, [])), ("strangers", strangers)):
                ratios, speeds = [], []
                with subprocess.Popen([program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as go:
                    for round_ in range(args.rounds + 1):
                        batch = make(random.Random(round_), args.count)
                        start = time.perf_counter()
                        n = sum(len(e.ids) for e in rust.encode_batch_fast(batch)) if round_ % 2 else 0
                        theirs = time.perf_counter() - start
                        go.stdin.write(json.dumps(batch) + "\n")
                        go.stdin.flush()
                        seconds, count = go.stdout.readline().split()
                        if not round_ % 2:  # the other one begins
                            start = time.perf_counter()
                            n = sum(len(e.ids) for e in rust.encode_batch_fast(batch))
                            theirs = time.perf_counter() - start
                        assert n == int(count), (folder, kind, n, count)
                        if round_ > 0:  # the first one warms up
                            ratios.append(theirs / float(seconds))
                            speeds.append(sum(map(len, batch)) / float(seconds) / 1e6)
                    go.stdin.close()
                ratio = statistics.median(ratios)
                slower |= ratio < 1
                print(f"{folder.name:12} {kind:10} {ratio:6.1f} x ({min(ratios):.1f} to {max(ratios):.1f}), {statistics.median(speeds):.1f} M characters/s", flush=True)
    sys.exit(slower)


if __name__ == "__main__":
    main()
