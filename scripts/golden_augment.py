#!/usr/bin/env python3
"""Writes datasets/image/augment/testdata/golden.json: what Pillow, torchvision and OpenCV make of a
picture, operation by operation, as checksums.

The warps are OpenCV's classic ones (5 changes them), as BLIP and LAVIS ran them. Needs Pillow 13,
torchvision and opencv-python-headless 4.10:
    python3 scripts/golden_augment.py
"""
import json
import pathlib
import zlib

import cv2
import numpy as np
import PIL
import torchvision
from PIL import Image, ImageOps
from torchvision.transforms import functional as F

ROOT = pathlib.Path(__file__).parent.parent / "datasets/image"
GREY = (128, 128, 128)
pictures = {name: Image.open(ROOT / "testdata" / name).convert("RGB") for name in ("rgb.png", "photo420.jpg")}
pictures["grown"] = pictures["rgb.png"].resize((90, 71), Image.BICUBIC)
pictures["flat"] = Image.new("RGB", (20, 30), (90, 120, 130))


def warp(img, m):
    return cv2.warpAffine(img, np.float32(m), (img.shape[1], img.shape[0]), flags=cv2.INTER_LINEAR, borderValue=GREY)


def rotate(img, degrees):
    h, w = img.shape[:2]
    m = cv2.getRotationMatrix2D((w / 2, h / 2), degrees, 1)
    return cv2.warpAffine(img, m, (w, h), borderValue=GREY)


def sharpness(img, factor):
    kernel = np.ones((3, 3), np.float32)
    kernel[1, 1] = 5
    smooth = cv2.filter2D(img, -1, kernel / 13).astype(np.float32)
    out = img.astype(np.float32)
    inner = np.s_[1:-1, 1:-1]
    out[inner] = smooth[inner] + np.float32(factor) * (out[inner] - smooth[inner])
    return out.astype(np.int64).astype(np.uint8)


def brightness(img, factor):
    table = (np.arange(256, dtype=np.float32) * np.float32(factor)).clip(0, 255).astype(np.uint8)
    return table[img]


OPS = {
    "Identity": lambda img, _: img,
    "AutoContrast": lambda img, _: np.asarray(ImageOps.autocontrast(Image.fromarray(img))),
    "Equalize": lambda img, _: np.asarray(ImageOps.equalize(Image.fromarray(img))),
    "Brightness": brightness,
    "Sharpness": sharpness,
    "ShearX": lambda img, a: warp(img, [[1, a, 0], [0, 1, 0]]),
    "ShearY": lambda img, a: warp(img, [[1, 0, 0], [a, 1, 0]]),
    "TranslateX": lambda img, a: warp(img, [[1, 0, -a], [0, 1, 0]]),
    "TranslateY": lambda img, a: warp(img, [[1, 0, 0], [0, 1, -a]]),
    "Rotate": rotate,
}
AMOUNTS = {"Brightness": [0.1, 0.82, 1, 1.9], "Sharpness": [0.1, 1, 1.36, 1.9], "ShearX": [0.15, -0.15, 0.3], "ShearY": [0.15, -0.15, 0.07],
           "TranslateX": [5, -5, 2.5], "TranslateY": [5, -5, 10], "Rotate": [15, -15, 7.3, 30]}


def crc(img):
    return zlib.crc32(np.ascontiguousarray(img).tobytes())


ops = [{"picture": name, "op": op, "amount": amount, "crc": crc(apply(np.asarray(img), amount))}
       for name, img in pictures.items() for op, apply in OPS.items() for amount in AMOUNTS.get(op, [0])]
crops = []
for name, img in pictures.items():
    for k, (top, left, height, width) in enumerate([(0, 0, img.height, img.width), (3, 5, 9, 11), (1, 0, 17, 8), (0, 2, 20, 15)]):
        for size in (16, 31):
            out = F.resized_crop(img, top, left, height, width, [size, size], interpolation=F.InterpolationMode.BICUBIC)
            out = np.asarray(F.hflip(out) if k % 2 else out)
            chosen = [("ShearX", 0.15), ("Equalize", 0), ("Rotate", -15)][:k]
            for op, amount in chosen:
                out = OPS[op](out, amount)
            crops.append({"picture": name, "crop": [top, left, height, width], "size": size, "flip": k % 2 == 1,
                          "ops": [{"op": op, "amount": amount} for op, amount in chosen], "crc": crc(out)})
made_by = f"scripts/golden_augment.py with Pillow {PIL.__version__}, torchvision {torchvision.__version__}, OpenCV {cv2.__version__}"
(ROOT / "augment/testdata").mkdir(exist_ok=True)
(ROOT / "augment/testdata/golden.json").write_text(json.dumps({"made_by": made_by, "ops": ops, "crops": crops}, indent=0) + "\n")
