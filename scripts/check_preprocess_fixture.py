#!/usr/bin/env python3
"""Runs goblip preprocess on a folder of reference pictures and compares every tensor made by Pillow.

    python3 scripts/check_preprocess_fixture.py FOLDER [--goblip bin/goblip]

FOLDER has case.json (which picture is which row), images/, decoded/ and expected.safetensors; the
names of its tensors say kind, size and crop: blip.224.pil.u8, clip.74.64.pil.u8. Rows of blip.* and
clip.* are laid on white, those of lavis_eval.* are not. Needs numpy and safetensors.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import load_file

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder")
parser.add_argument("--goblip", default="bin/goblip")
args = parser.parse_args()

with open(os.path.join(args.folder, "case.json")) as f:
    case = json.load(f)
expected = load_file(os.path.join(args.folder, "expected.safetensors"))
rows = {image["name"]: image for image in case["images"]}


def run(names, key, *flags):
    """What goblip makes of these rows, from the original files or from the decoded ones."""
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, "out.safetensors")
        files = [os.path.join(args.folder, rows[name][key]) for name in names]
        subprocess.run([args.goblip, "preprocess", "--output", out, *flags, *files], check=True, stdout=subprocess.DEVNULL)
        return load_file(out)


def both(key, *flags):
    """All rows; @transposed ones are the same file, turned."""
    turned = [name.endswith("@transposed") for name in case["names"]]
    parts = {t: [n for n, at in zip(case["names"], turned) if at == t] for t in (False, True)}
    done = {t: run(parts[t], key, *flags, *(["--exif"] if t and key == "file" else [])) for t in parts if parts[t]}
    place = {n: (t, i) for t in parts for i, n in enumerate(parts[t])}
    return {k: np.stack([done[place[n][0]][k][place[n][1]] for n in case["names"]]) for k in ("u8", "pixel_values")}


bad = 0
print(f"{'tensor':28}{'from':10}{'largest difference':>20}{'mean of worst row':>20}")
for name in sorted(expected):
    match = re.fullmatch(r"(blip|clip|lavis_eval)\.(\d+)(?:\.(\d+))?(?:\.pil)?\.(u8|pixel_values)", name)
    if not match:
        continue
    kind, size, crop, what = match.groups()
    flags = ["--size", size, "--kind", "clip" if kind == "clip" else "blip"]
    flags += ["--crop", crop] if crop else []
    flags += ["--alpha", "drop" if kind == "lavis_eval" else "white"]
    want = expected[name].astype(np.float64)
    for key in ("file", "decoded_hf" if kind != "lavis_eval" else "decoded"):
        got = both(key, *flags)[what].astype(np.float64)
        if what == "u8":
            got = got.transpose(0, 3, 1, 2)
        if got.shape != want.shape:
            sys.exit(f"{name}: shape {got.shape}, want {want.shape}")
        difference = np.abs(got - want)
        limit = 0 if what == "u8" else 1e-5
        verdict = "" if difference.max() <= limit else "  DIFFERS: " + ", ".join(
            n for n, row in zip(case["names"], difference) if row.max() > limit)
        bad += verdict != ""
        print(f"{name:28}{key:10}{difference.max():20.3g}{difference.reshape(len(want), -1).mean(1).max():20.3g}{verdict}")
sys.exit(1 if bad else 0)
