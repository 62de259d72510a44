#!/usr/bin/env python3
"""Runs "goblip forward" over case folders and compares with their expected.safetensors.

    python3 scripts/check_forward.py --goblip bin/goblip [--model CASE=DIR] CASES_DIR_OR_CASE...

Needs numpy and safetensors. Prints one line a case: the number of tensors, the largest difference
and the tensor it is in, and the share of the tolerance that it takes; exits with 1 if one is out of
tolerance. Integers must be equal. Gradients may differ by 1e-4 of the tensor's largest entry + 1e-6;
gradients and moments of key biases, whose true gradient is 0, are left out.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import load_file


def compare(name, got, want, tolerance):
    """Returns (largest difference, largest share of what is allowed)."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return float("inf"), float("inf")
    if got.size == 0:
        return 0.0, 0.0
    if not np.issubdtype(want.dtype, np.floating):
        wrong = int((got != want).sum())
        return float(wrong), float("inf") if wrong else 0.0
    difference = np.abs(got.astype(np.float64) - want.astype(np.float64))
    if name.startswith(("grad.", "gradfull.")):
        allowed = np.full(want.shape, 1e-4 * np.abs(want).max() + 1e-6)
    else:
        allowed = tolerance.get("abs", 1e-4) + tolerance.get("rel", 1e-4) * np.abs(want)
    share = difference / allowed
    share = np.where(np.isnan(share), np.inf, share)
    return float(np.nanmax(difference)), float(share.max())


def run(goblip, case, model, only):
    with tempfile.TemporaryDirectory() as scratch:
        out = os.path.join(scratch, "out.safetensors")
        command = [goblip, "forward", "--case", case, "--output", out]
        if model:
            command += ["--model", model]
        if only:
            command += ["--only", only]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            return None, (done.stderr or done.stdout).strip()
        return load_file(out), done.stderr.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goblip", default="bin/goblip")
    parser.add_argument("--model", action="append", default=[], metavar="CASE=DIR", help="checkpoint of a case that has none")
    parser.add_argument("--only", default="")
    parser.add_argument("--verbose", action="store_true", help="every tensor out of tolerance")
    parser.add_argument("paths", nargs="+")
    args = parser.parse_args()
    models = dict(m.split("=", 1) for m in args.model)

    cases = []
    for path in args.paths:
        inner = [path] if os.path.exists(os.path.join(path, "case.json")) else sorted(os.path.join(path, d) for d in os.listdir(path))
        cases += [c for c in inner if os.path.exists(os.path.join(c, "inputs.safetensors")) and os.path.exists(os.path.join(c, "expected.safetensors"))]
    failed = False
    print(f"{'case':24}{'tensors':>8}{'bad':>5}{'largest difference':>20}{'of allowed':>12}  in")
    for case in cases:
        name = os.path.basename(os.path.normpath(case))
        with open(os.path.join(case, "case.json")) as f:
            about = json.load(f)
        if "expected" not in about:
            continue
        tolerance = about.get("tolerance", {})
        want = load_file(os.path.join(case, "expected.safetensors"))
        got, message = run(args.goblip, case, models.get(name, ""), args.only)
        if got is None:
            print(f"{name:24} {message}")
            failed = True
            continue
        if message:
            print(f"{name:24} {message}")
        worst, bad, compared = (0.0, 0.0, ""), [], 0
        for tensor in sorted(want):
            if tensor.endswith("key.bias") and (tensor.startswith("grad") or ".final" in tensor):
                continue
            if tensor not in got:
                if not args.only:
                    bad.append((tensor, "missing"))
                continue
            compared += 1
            difference, share = compare(tensor, got[tensor], want[tensor], tolerance)
            worst = max(worst, (share, difference, tensor))
            if not share <= 1:
                bad.append((tensor, f"differs by {difference:.3g}"))
        failed = failed or bool(bad)
        print(f"{name:24}{compared:8}{len(bad):5}{worst[1]:20.3g}{worst[0]:12.3f}  {worst[2]}")
        for tensor, why in bad if args.verbose else bad[:5]:
            print(f"    {tensor}: {why}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
