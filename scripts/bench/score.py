#!/usr/bin/env python3
"""How much faster `goblip score caption` is than the Python scorer, and whether both say the same.

    python3 scripts/bench/score.py CAPTIONS [--images 5000] [--goblip bin/goblip]

CAPTIONS is a text file of captions, one a line, gzipped or not: each image is given five of them as references and
another as its caption. Needs pycocoevalcap (pip install pycocoevalcap==1.2) and Java. Both sides tokenise and compute
BLEU-1..4, ROUGE-L and CIDEr-D, from the same files; the Python side leaves METEOR and SPICE out, as goblip does.
"""

import argparse
import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time

import shared

PYTHON_SIDE = """
import json, sys
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.cider.cider import Cider
refs, hyps, out = sys.argv[1:]
gts = {}
for a in json.load(open(refs))["annotations"]:
    gts.setdefault(a["image_id"], []).append({"caption": a["caption"]})
res = {r["image_id"]: [{"caption": r["caption"]}] for r in json.load(open(hyps))}
tokenizer = PTBTokenizer()
gts, res = tokenizer.tokenize(gts), tokenizer.tokenize(res)
bleu, _ = Bleu(4).compute_score(gts, res, verbose=0)
rouge, _ = Rouge().compute_score(gts, res)
cider, _ = Cider().compute_score(gts, res)
scores = {f"Bleu_{n + 1}": b for n, b in enumerate(bleu)}
json.dump({**scores, "ROUGE_L": float(rouge), "CIDEr": float(cider)}, open(out, "w"))
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("captions")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--goblip", default="bin/goblip")
    shared.arguments(parser, rounds=3)
    args = parser.parse_args()
    shared.begin(parser, args)
    opener = gzip.open if args.captions.endswith(".gz") else open
    with opener(args.captions, "rt", encoding="utf-8") as f:
        lines = [line.strip() for line in f if line.strip()]
    draw = random.Random(1)
    annotations, results = [], []
    for image in range(args.images):
        for _ in range(5):
            annotations.append({"image_id": image, "id": len(annotations), "caption": draw.choice(lines)})
        words = draw.choice(annotations[-5:])["caption"].split()
        cut = draw.randrange(1, len(words) + 1)
        results.append({"image_id": image, "caption": " ".join(words[:cut] + draw.choice(lines).split()[cut:])})
    with tempfile.TemporaryDirectory() as folder:
        refs, hyps, out = (os.path.join(folder, n) for n in ("refs.json", "hyps.json", "out.json"))
        with open(refs, "w") as f:
            json.dump({"images": [{"id": i} for i in range(args.images)], "annotations": annotations}, f)
        with open(hyps, "w") as f:
            json.dump(results, f)

        def seconds(command):
            start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
            wall, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
            return wall, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, printed

        results = shared.turns({"Python": lambda: seconds([sys.executable, "-c", PYTHON_SIDE, refs, hyps, out]),
                                "goblip": lambda: seconds([args.goblip, "score", "caption", "--refs", refs, "--hyps", hyps, "--json"])},
                               args.rounds, args.time, lambda r: f"{r[0]:.2f} s")
        got, want = json.loads(results["goblip"][-1][2])["overall"], json.load(open(out))
    worst = max(abs(got[k] - v) for k, v in want.items())
    rows, summary = [["", *results, "Python / goblip"]], {"images": args.images, "largest_difference": worst}
    for i, kind in enumerate(("seconds", "processor seconds")):
        both = {name: [r[i] for r in rs] for name, rs in results.items()}
        ratios = shared.ratios(both["Python"], both["goblip"])
        rows.append([kind, *(shared.spread(values) for values in both.values()), shared.spread(ratios)])
        summary[kind] = shared.middle(ratios)
    about = (f"{args.images} images, {len(annotations)} references; the largest difference of a score is {worst:.1e}. "
             f"Median (range) of {len(results['goblip'])} alternating rounds on {args.threads} processors.")
    shared.show(args, "Scoring captions", about, rows, summary)
    if worst > 1e-9:
        sys.exit("the scores differ")


if __name__ == "__main__":
    main()
