#!/usr/bin/env python3
"""Measures how fast goblip's tokenizers are beside the Python package "tokenizers" (which is Rust),
both on one thread, in turns, and prints their ratio: above 1, goblip is the faster one.

    python3 scripts/bench_tokenizers.py [--rounds N] FOLDER...

Three kinds of text: captions, whose words were nearly all seen before; the mixture that
fuzz_tokenizers.py compares; and captions of random letters, no word of which comes again. Each round
has its own texts. Processor time is measured, so that other programs do not disturb it. The package runs
encode_batch_fast, which leaves out the offsets.
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
	"syscall"

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
		start := seconds()
		n := 0
		ids := make([][]int32, len(batch))
		for i, s := range batch {
			ids[i] = t.Encode(s)
			n += len(ids[i])
		}
		encoding := seconds() - start
		start = seconds()
		for _, row := range ids {
			t.Decode(row, true)
		}
		fmt.Println(encoding, n, seconds()-start)
	}
}

// seconds of processor time, those of collecting garbage included.
func seconds() float64 {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		panic(err)
	}
	return float64(use.Utime.Nano()+use.Stime.Nano()) / 1e9
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
                ratios, decoding, speeds = [], [], []
                with subprocess.Popen([program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as go:
                    for round_ in range(args.rounds + 1):
                        batch = make(random.Random(round_), args.count)

                        def ours():
                            go.stdin.write(json.dumps(batch) + "\n")
                            go.stdin.flush()
                            encoded, n, decoded = go.stdout.readline().split()
                            return float(encoded), int(n), float(decoded)

                        def theirs():
                            start = time.process_time()
                            ids = [e.ids for e in rust.encode_batch_fast(batch)]
                            encoded = time.process_time() - start
                            start = time.process_time()
                            rust.decode_batch(ids)
                            return encoded, sum(map(len, ids)), time.process_time() - start

                        if round_ % 2:
                            a, b = ours(), theirs()
                        else:  # the other one begins
                            b, a = theirs(), ours()
                        assert a[1] == b[1], (folder, kind, a, b)
                        if round_ > 0:  # the first one warms up
                            ratios.append(b[0] / a[0])
                            decoding.append(b[2] / a[2])
                            speeds.append(sum(map(len, batch)) / a[0] / 1e6)
                    go.stdin.close()
                ratio, back = statistics.median(ratios), statistics.median(decoding)
                slower |= min(ratio, back) < 1
                print(f"{folder.name:12} {kind:10} encoding {ratio:6.1f} x ({min(ratios):.1f} to {max(ratios):.1f}), "
                      f"{statistics.median(speeds):.1f} M characters/s; decoding {back:.1f} x", flush=True)
    sys.exit(slower)


if __name__ == "__main__":
    main()
