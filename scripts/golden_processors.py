#!/usr/bin/env python3
"""Writes infer/testdata/processors: processor files as transformers and old hands write them, and what
transformers' own processors (Pillow backend) make of pictures.

    python3 scripts/golden_processors.py            (needs transformers 5, Pillow, torch, safetensors)

With --check it writes nothing: it makes many more files and pictures and compares "goblip preprocess
--processor" with transformers (needs bin/goblip).
"""
import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIDE = 24
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]

# Each: the file's name, its fields (transformers makes a processor of the same).
CASES = {
    "blip-new": ("processor_config.json", BlipImageProcessorPil(size={"height": SIDE, "width": SIDE}).to_dict()),
    "blip-old": ("preprocessor_config.json", {"image_processor_type": "BlipImageProcessor", "do_normalize": True, "do_pad": True,
                 "do_rescale": True, "do_resize": True, "image_mean": CLIP_MEAN, "image_std": CLIP_STD, "processor_class": "BlipProcessor",
                 "resample": 3, "rescale_factor": 1 / 255, "size": {"height": SIDE, "width": SIDE}, "size_divisor": 32}),
    "blip-int": ("preprocessor_config.json", {"image_processor_type": "BlipImageProcessor", "size": SIDE, "resample": 2}),
    "clip-old": ("preprocessor_config.json", {"feature_extractor_type": "CLIPFeatureExtractor", "crop_size": SIDE, "do_center_crop": True,
                 "do_normalize": True, "do_resize": True, "image_mean": CLIP_MEAN, "image_std": CLIP_STD, "resample": 3, "size": SIDE}),
    "clip-new": ("processor_config.json", CLIPImageProcessorPil(size={"shortest_edge": SIDE + 6}, crop_size={"height": SIDE, "width": SIDE}).to_dict()),
    "clip-square": ("preprocessor_config.json", {"image_processor_type": "CLIPImageProcessorFast", "size": {"height": 30, "width": 30},
                    "crop_size": {"height": SIDE, "width": SIDE}, "resample": 1}),
    "crop-only": ("preprocessor_config.json", {"image_processor_type": "CLIPImageProcessor", "do_resize": False, "crop_size": [SIDE, SIDE]}),
    "imagenet": ("preprocessor_config.json", {"image_processor_type": "BlipImageProcessor", "size": [SIDE, SIDE], "resample": 0,
                 "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}),
    "half": ("preprocessor_config.json", {"image_processor_type": "BlipImageProcessor", "size": SIDE, "image_mean": 0.5, "image_std": 0.25, "resample": 4}),
    "factor": ("preprocessor_config.json", {"image_processor_type": "BlipImageProcessor", "size": SIDE, "rescale_factor": 1 / 127.5, "resample": 5}),
    "bytes": ("preprocessor_config.json", {"image_processor_type": "BlipImageProcessor", "size": SIDE, "do_rescale": False, "do_normalize": False}),
    "zero-one": ("preprocessor_config.json", {"image_processor_type": "BlipImageProcessor", "size": SIDE, "do_normalize": False}),
}


def processor(fields):
    kind = fields.get("image_processor_type", fields.get("feature_extractor_type", ""))
    return (CLIPImageProcessorPil if kind.startswith("CLIP") else BlipImageProcessorPil)(**fields)


def write_model(folder, name, fields):
    folder.mkdir(parents=True)
    config = {"model_type": "clip", "architectures": ["CLIPModel"], "vision_config": {"image_size": SIDE, "patch_size": 8}}
    (folder / "config.json").write_text(json.dumps(config))
    nested = {"processor_class": "BlipProcessor", "image_processor": fields} if name == "processor_config.json" else fields
    (folder / name).write_text(json.dumps(nested, indent=1))


def pixels(fields, image):
    return np.asarray(processor(fields)(image, return_tensors="np")["pixel_values"][0], np.float32)


def picture(rng, width, height):
    small = rng.integers(0, 256, (max(height // 4, 2), max(width // 4, 2), 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.BILINEAR)


def golden():
    out = ROOT / "infer" / "testdata" / "processors"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    rng = np.random.default_rng(5)
    pictures = {"wide.png": picture(rng, 61, 33), "tall.png": picture(rng, 20, 47)}
    for name, image in pictures.items():
        image.save(out / name)
    expected = {}
    for case, (name, fields) in CASES.items():
        write_model(out / case, name, fields)
        for picture_name, image in pictures.items():
            expected[f"{case}.{picture_name}"] = pixels(fields, image)
    save_file(expected, out / "expected.safetensors", {"made_by": "scripts/golden_processors.py"})


def random_fields(r):
    clip = r.random() < 0.5
    fields = {"image_processor_type": "CLIPImageProcessor" if clip else "BlipImageProcessor", "resample": r.randrange(6)}
    side = r.choice([SIDE, {"height": SIDE, "width": SIDE}, [SIDE, SIDE]])
    if clip:
        fields["crop_size"] = side
        n = r.randrange(8, 60)
        fields["size"] = r.choice([n, {"shortest_edge": n}, {"height": n, "width": n}])
    else:
        fields["size"] = side
    for key, value in (("do_rescale", r.random() < 0.5), ("do_normalize", r.random() < 0.5), ("rescale_factor", r.choice([1 / 255, 0.01, 2.0])),
                       ("image_mean", r.choice([0.5, [0.1, 0.2, 0.3]])), ("image_std", r.choice([2.0, [0.3, 0.2, 0.1]]))):
        if r.random() < 0.5:
            fields[key] = value
    if clip and r.random() < 0.2:
        fields["do_resize"] = False
    return fields


def check(count, seed):
    r, rng, worst = random.Random(seed), np.random.default_rng(seed), 0.0
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        images = []
        for i in range(4):
            images.append(picture(rng, r.randrange(2, 90), r.randrange(2, 90)))
            images[i].save(tmp / f"{i}.png")
        cases = list(CASES.values()) + [(r.choice(["processor_config.json", "preprocessor_config.json"]), random_fields(r)) for _ in range(count)]
        for i, (name, fields) in enumerate(cases):
            write_model(tmp / f"model{i}", name, fields)
            subprocess.run([ROOT / "bin" / "goblip", "preprocess", "--processor", tmp / f"model{i}", *(tmp / f"{k}.png" for k in range(4)),
                            "--output", tmp / "out.safetensors"], check=True, stdout=subprocess.DEVNULL)
            got = load_file(tmp / "out.safetensors")["pixel_values"]
            for k, image in enumerate(images):
                want = pixels(fields, image)
                difference = float(np.abs(got[k] - want).max() / max(1, np.abs(want).max()))
                worst = max(worst, difference)
                if difference > 1e-6:
                    sys.exit(f"{name} {json.dumps(fields)}: picture {image.size} differs by {difference:g} of the largest number")
    print(f"{len(cases)} processor files, {4 * len(cases)} pictures: largest difference {worst:.2g} of the largest number")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--check", type=int, default=0, metavar="N", help="compare N random processor files with transformers")
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
check(args.check, args.seed) if args.check else golden()
