#!/usr/bin/env python3
"""Writes datasets/image/testdata: small pictures and what Pillow makes of them.

Needs Pillow 13 or later (its resize orders the two passes by size):
    python3 scripts/golden_image.py
"""
import base64
import json
import math
import pathlib
import shutil
import sys
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from check_preprocess import on_white  # noqa: E402
import pictures_preprocess as pictures  # noqa: E402

OUT = pathlib.Path(__file__).parent.parent / "datasets/image/testdata"


def picture(width, height, alpha=False):
    """Smooth waves with a few hard edges: both show in a resampling."""
    img = Image.new("RGBA" if alpha else "RGB", (width, height))
    for y in range(height):
        for x in range(width):
            wave = [int(127 + 120 * math.sin(x / a + y / b)) for a, b in ((3, 7), (5, 2), (9, 4))]
            if (x // 7 + y // 5) % 4 == 0:
                wave = [255 - wave[0], wave[1] // 3, wave[2]]
            img.putpixel((x, y), tuple(wave + [(x * 9 + y * 5) % 256] if alpha else wave))
    return img


def b64(img):
    return base64.b64encode(img.tobytes()).decode()


OUT.mkdir(exist_ok=True)
base = picture(37, 29)
base.save(OUT / "rgb.png")
picture(30, 41, alpha=True).save(OUT / "alpha.png")
base.quantize(16).save(OUT / "palette.png")
base.quantize(16).save(OUT / "palette.gif")
base.save(OUT / "bitmap.bmp")
base.convert("L").save(OUT / "grey.jpg", quality=85)
base.convert("CMYK").save(OUT / "cmyk.jpg", quality=85)
for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
    base.save(OUT / f"photo{name}.jpg", quality=85, subsampling=sampling)
base.save(OUT / "progressive.jpg", quality=85, progressive=True)
base.save(OUT / "lossy.webp", quality=80)
base.save(OUT / "lossless.webp", lossless=True)

decoded = {}
for path in sorted(OUT.iterdir()):
    if path.suffix in (".png", ".gif", ".bmp", ".jpg", ".webp"):
        img = Image.open(path).convert("RGB")
        decoded[path.name] = {"width": img.width, "height": img.height, "rgb": b64(img)}

white = {}
for name in ("alpha.png", "rgb.png"):
    img = Image.open(OUT / name).convert("RGBA")
    white[name] = {"rgb": b64(Image.alpha_composite(Image.new("RGBA", img.size, "white"), img).convert("RGB"))}

resized = []
filters = {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR, "nearest": Image.NEAREST, "lanczos": Image.LANCZOS,
           "box": Image.BOX, "hamming": Image.HAMMING}
for name, size in (
    ("rgb.png", (16, 16)), ("rgb.png", (48, 48)), ("rgb.png", (37, 12)), ("rgb.png", (20, 29)),
    ("rgb.png", (61, 9)), ("rgb.png", (5, 50)), ("rgb.png", (1, 1)), ("alpha.png", (24, 24)),
):
    for label, kind in filters.items():
        img = Image.open(OUT / name).convert("RGB").resize(size, kind)
        resized.append({"file": name, "filter": label, "width": size[0], "height": size[1], "rgb": b64(img)})

# Files of every mode, layout and filter; of their pixels, checksums will do.
shutil.rmtree(OUT / "variety", ignore_errors=True)
files = pictures.Files(str(OUT / "variety"), 7)
for size in ((19, 13), (1, 1)):
    image = pictures.picture(files.rng, *size)
    for make in (pictures.jpegs, pictures.pngs, pictures.webps, pictures.gifs, pictures.bmps):
        make(files, image)
pictures.assembled_jpegs(files, [(19, 13)])
variety = {}
for path in map(pathlib.Path, files.paths):
    try:
        img = Image.open(path)
        made = {"dropped": img.convert("RGB"), "white": on_white(img), "upright": ImageOps.exif_transpose(img).convert("RGB")}
    except OSError as error:
        print(f"{path.name}: Pillow refuses it: {error}")
        path.unlink()
        continue
    variety[path.name] = {"width": img.width, "height": img.height} | {k: zlib.crc32(np.asarray(v).tobytes()) for k, v in made.items()}

golden = {"made_by": f"scripts/golden_image.py with Pillow {PIL.__version__}", "decoded": decoded, "white": white, "resized": resized, "variety": variety}
(OUT / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
