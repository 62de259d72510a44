#!/usr/bin/env python3
"""Trains blip2/stage1 on the same pictures from a folder, JSONL, CSV, tar shards and Parquet, and compares the losses.

    python3 scripts/check_formats.py data/emoji/twitter.jsonl [--pictures 300] [--steps 12] [--keep FOLDER]

Takes every n-th record of a JSONL with picture files, writes them in each format (shards by goblip data pack), and
trains a small image tower and stage 1 on each, from nothing, by one seed, with random crops. Every loss of every
step must be the same number, and the two models the same bytes. Needs goblip on the path or in bin/, and pyarrow.
"""
import argparse
import csv
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLOCK = ("step_seconds", "data_wait_seconds", "data_wait_share")  # what differs between any two runs
SMALL = ["clip.hidden_size=64", "clip.num_hidden_layers=2", "clip.num_attention_heads=2", "clip.intermediate_size=128", "clip.image_size=32",
         "clip.batch=32", "hidden_size=32", "num_hidden_layers=2", "num_attention_heads=2", "intermediate_size=64",
         "num_query_tokens=4", "augment=crop"]


def program():
    own = ROOT / "bin" / "goblip"
    return shutil.which("goblip") or (str(own) if own.exists() else sys.exit("check_formats: build goblip first (make build)"))


def write(records, out):
    """Writes the records in every format; returns the name of each source."""
    folder = out / "folder"
    folder.mkdir()
    for i, r in enumerate(records):
        name = f"{i:05d}{pathlib.Path(r['picture']).suffix}"
        shutil.copyfile(r["picture"], folder / name)
        (folder / name).with_suffix(".txt").write_text("\n".join(r["captions"]) + "\n", encoding="utf-8")
        r["image"] = f"folder/{name}"
    with open(out / "set.jsonl", "w", encoding="utf-8") as f:
        for r in records:
            f.write(json.dumps({"id": r["id"], "image": r["image"], "captions": r["captions"]}, ensure_ascii=False) + "\n")
    with open(out / "set.csv", "w", encoding="utf-8", newline="") as f:
        w = csv.writer(f)
        w.writerow(["id", "image", "captions"])
        w.writerows([r["id"], r["image"], json.dumps(r["captions"], ensure_ascii=False)] for r in records)
    table = pa.Table.from_pylist([{
        "id": r["id"], "image": {"bytes": pathlib.Path(r["picture"]).read_bytes(), "path": r["image"]}, "captions": r["captions"],
    } for r in records])
    pq.write_table(table, out / "set.parquet", row_group_size=100)
    subprocess.run([program(), "data", "pack", out / "set.jsonl", "--out", out / "packed", "--shards", "3"], check=True, stdout=subprocess.DEVNULL)
    return {"folder": folder, "jsonl": out / "set.jsonl", "csv": out / "set.csv", "tar": f"{out}/packed/shard-{{000..002}}.tar", "parquet": out / "set.parquet"}


def train(source, run, steps):
    command = [program(), "train", "blip2/stage1", "--json", "--data", str(source), "--out", str(run), "--steps", str(steps), "--batch", "16",
               "--log-every", "1", "--set", f"clip.steps={steps}"]
    for setting in SMALL:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"check_formats: {source}: {done.stderr}")
    losses = []
    for folder in (run / "vision", run):
        for line in open(folder / "metrics.jsonl", encoding="utf-8"):
            step = json.loads(line)
            losses.append({k: v for k, v in step.items() if k not in CLOCK})
    models = [hashlib.sha256((folder / "final" / "model.safetensors").read_bytes()).hexdigest()[:16] for folder in (run / "vision", run)]
    return losses, models


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--keep", type=pathlib.Path, help="folder for what is written; else it is removed")
    args = parser.parse_args()
    records = [json.loads(line) for line in open(args.source, encoding="utf-8") if line.strip()]
    records = records[:: max(1, len(records) // args.pictures)][: args.pictures]
    for r in records:
        r["picture"] = args.source.parent / r["image"]
    out = args.keep or pathlib.Path(tempfile.mkdtemp(prefix="check_formats"))
    out.mkdir(parents=True, exist_ok=True)
    try:
        results = {}
        for name, source in write(records, out).items():
            results[name] = train(source, out / f"run-{name}", args.steps)
            losses, models = results[name]
            print(f"{name:8s} {len(losses)} steps, last {losses[-1]}, models {' '.join(models)}", flush=True)
        first, *others = results
        different = [name for name in others if results[name] != results[first]]
        for name in different:
            for i, (a, b) in enumerate(zip(results[first][0], results[name][0])):
                if a != b:
                    print(f"{name}: line {i + 1}: {b}\n{first}: {a}")
                    break
        if different:
            sys.exit(f"check_formats: other losses or models than from the {first}: {', '.join(different)}")
        print(f"{len(records)} pictures, {len(results)} formats: equal losses and equal models")
    finally:
        if not args.keep:
            shutil.rmtree(out)


if __name__ == "__main__":
    main()
