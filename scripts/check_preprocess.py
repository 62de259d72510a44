#!/usr/bin/env python3
"""Compares goblip's pictures with Pillow's and transformers', over generated files of all kinds.

    python3 scripts/check_preprocess.py [--seed N] [--keep FOLDER] [--files PICTURE...]

Decoding: every file, transparency dropped and laid on white, EXIF orientation left alone and
followed. Resizing: random sizes, bicubic and bilinear. Processors: BLIP's and CLIP's of transformers.
Prints a table a format; needs Pillow 13, numpy and, for the processors, transformers.
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
from PIL import Image, ImageOps

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from pictures_preprocess import variety  # noqa: E402

GO = r"""
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"goblip/datasets/image"
)

func main() {
	in, out := json.NewDecoder(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		var job struct {
			Path, Filter        string
			White, Upright      bool
			Width, Height       int
			Size, Crop          int
		}
		if err := in.Decode(&job); err == io.EOF {
			break
		} else if err != nil {
			panic(err)
		}
		alpha, filter := image.AlphaDrop, image.Bicubic
		if job.White {
			alpha = image.AlphaWhite
		}
		if job.Filter == "bilinear" {
			filter = image.Bilinear
		}
		img, err := image.Open(job.Path, image.Options{Alpha: alpha, Upright: job.Upright})
		if err == nil && job.Width > 0 {
			img = image.Resize(img, job.Width, job.Height, filter)
		}
		if err == nil && job.Size > 0 {
			p := image.Processor{Size: job.Size, Crop: job.Crop, Filter: filter}
			img = image.RGB{Pix: p.Apply(img), Width: p.Side(), Height: p.Side()}
		}
		message := ""
		if err != nil {
			message, img = err.Error(), image.RGB{}
		}
		head, _ := json.Marshal(map[string]any{"error": message, "width": img.Width, "height": img.Height})
		fmt.Fprintf(out, "%s\n", head)
		out.Write(img.Pix)
	}
	if err := out.Flush(); err != nil {
		panic(err)
	}
}
"""


def on_white(image):
    """As transformers 5's convert_to_rgb."""
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    return image.convert("RGB")


def pillow(job):
    image = Image.open(job["path"])
    if job.get("upright"):
        image = ImageOps.exif_transpose(image)
    if job.get("size"):
        return processed(image, job)
    image = on_white(image) if job.get("white") else image.convert("RGB")
    if job.get("width"):
        image = image.resize((job["width"], job["height"]), {"bilinear": Image.BILINEAR}.get(job.get("filter"), Image.BICUBIC))
    return np.asarray(image)


def processed(image, job):
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    if job.get("crop"):
        p = CLIPImageProcessorPil(size={"shortest_edge": job["size"]}, crop_size={"height": job["crop"], "width": job["crop"]})
    else:
        p = BlipImageProcessorPil(size={"height": job["size"], "width": job["size"]})
    out = p(image, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
    return np.asarray(out).transpose(1, 2, 0)


def goblip(jobs, tmp):
    main = tmp / "main.go"
    main.write_text(GO)
    done = subprocess.run(["go", "run", str(main)], cwd=ROOT, input="\n".join(map(json.dumps, jobs)).encode(), capture_output=True, check=False)
    if done.returncode:
        sys.exit(done.stderr.decode())
    data, at = done.stdout, 0
    for _ in jobs:
        end = data.index(b"\n", at)
        head = json.loads(data[at:end])
        size = 3 * head["width"] * head["height"]
        pixels = np.frombuffer(data, np.uint8, size, end + 1).reshape(head["height"], head["width"], 3)
        at = end + 1 + size
        yield head["error"], pixels


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="folder for the generated files")
    parser.add_argument("--files", nargs="*", help="these files instead of generated ones")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    rng = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        paths = args.files or variety(args.keep or str(tmp / "pictures"), args.seed)
        jobs = []
        for path in paths:
            kind = os.path.splitext(path)[1][1:].lower()
            for white, upright in ((False, False), (True, False), (False, True)):
                jobs.append({"what": f"{kind} " + ("on white" if white else "turned" if upright else "decoded"), "path": path, "white": white, "upright": upright})
            side = lambda: int(rng.choice([1, 2, 3, 7, 16, 24, 33, 64, 100, 224]))
            name = str(rng.choice(["bicubic", "bilinear"]))
            jobs.append({"what": f"resized {name}", "path": path, "width": side(), "height": side(), "filter": name})
            if rng.integers(4) == 0:
                jobs.append({"what": "BLIP", "path": path, "white": True, "size": side()})
                try:
                    with Image.open(path) as image:
                        ratio = max(image.size) / min(image.size)
                except OSError:  # a damaged file
                    continue
                if ratio < 50:  # transformers makes all of the strip
                    jobs.append({"what": "CLIP", "path": path, "white": True, "size": side(), "crop": side()})
        table = collections.defaultdict(lambda: [0, 0, 0.0, 0, []])
        for job, (error, got) in zip(jobs, goblip(jobs, tmp)):
            row = table[job["what"]]
            row[0] += 1
            try:
                want = pillow(job)
            except Exception as e:  # both may refuse
                want = e
            if isinstance(want, Exception) or error:
                if not (isinstance(want, Exception) and error):
                    row[4].append(f"{job}: goblip {error or 'decodes'}, Pillow {want if isinstance(want, Exception) else 'decodes'}")
                else:
                    row[3] += 1
            elif want.shape != got.shape:
                row[4].append(f"{job}: shape {got.shape}, Pillow {want.shape}")
            else:
                difference = np.abs(want.astype(int) - got)
                row[1], row[2] = max(row[1], int(difference.max())), max(row[2], float(difference.mean()))
                if difference.max():
                    row[4].append(f"{job}: differs by up to {difference.max()}, {difference.mean():.4f} on average")
    print(f"{'':20}{'files':>8}{'refused by both':>18}{'largest difference':>20}{'worst mean':>12}")
    bad = 0
    for what, (n, most, mean, refused, wrong) in sorted(table.items()):
        print(f"{what:20}{n:8}{refused:18}{most:20}{mean:12.4f}")
        bad += len(wrong)
    for what, row in sorted(table.items()):
        for line in row[4][:5]:
            print(f"{what}: {line}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
