"""Makes a great variety of picture files, for check_preprocess.py.

variety(folder, seed) writes them and returns their paths. Pillow writes what it can; PNG and BMP
are also written by hand, in the depths, filters, interlacing and layouts that Pillow cannot write,
and JPEG headers are patched to sampling factors that it does not offer.
"""
import io
import os
import struct
import zlib

import numpy as np
from PIL import Image

SIZES = [(1, 1), (1, 2), (2, 1), (1, 37), (37, 1), (2, 2), (3, 3), (4, 5), (5, 4), (7, 9), (8, 8), (16, 16), (17, 15),
         (33, 70), (100, 67), (227, 149), (9, 300), (300, 2), (3, 300), (640, 11)]


def picture(rng, width, height):
    """One of: smooth waves with edges, noise, flat colours with text-like strokes."""
    y, x = np.mgrid[:height, :width]
    kind = rng.integers(3)
    if kind == 0:
        a = rng.uniform(2, 30, 6)
        planes = [127 + 120 * np.sin(x / a[2 * i] + y / a[2 * i + 1]) for i in range(3)]
        pixels = np.stack(planes, -1)
        pixels[(x // 7 + y // 5) % 4 == 0] = 255 - pixels[(x // 7 + y // 5) % 4 == 0]
    elif kind == 1:
        pixels = rng.integers(0, 256, (height, width, 3))
    else:
        pixels = np.zeros((height, width, 3)) + rng.integers(0, 256, 3)
        for _ in range(10):
            x0, y0 = rng.integers(width), rng.integers(height)
            pixels[y0:y0 + rng.integers(1, 9), x0:x0 + rng.integers(1, 40)] = rng.integers(0, 256, 3)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def exif(orientation, big=False):
    e = Image.Exif()
    e.endian = ">" if big else "<"
    e[0x0112] = orientation
    e[0x010F] = "A maker"
    return e


class Files:
    def __init__(self, folder, seed):
        self.folder, self.rng, self.paths = folder, np.random.default_rng(seed), []
        os.makedirs(folder, exist_ok=True)

    def pick(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def add(self, name, data):
        path = os.path.join(self.folder, f"{len(self.paths):04d}-{name}")
        with open(path, "wb") as f:
            f.write(data)
        self.paths.append(path)

    def save(self, image, name, kind, **options):
        data = io.BytesIO()
        image.save(data, kind, **options)
        self.add(name, data.getvalue())
        return data.getvalue()


def jpegs(f, image):
    r = f.rng
    options = lambda: dict(quality=int(r.integers(1, 101)), progressive=bool(r.integers(2)), optimize=bool(r.integers(2)),
                           restart_marker_blocks=f.pick(0, 0, 1, 5))
    for subsampling in range(3):
        f.save(image, f"s{subsampling}.jpg", "JPEG", subsampling=subsampling, exif=exif(int(r.integers(0, 10)), bool(r.integers(2))), **options())
    f.save(image.convert("L"), "grey.jpg", "JPEG", **options())
    f.save(image, "rgb.jpg", "JPEG", keep_rgb=True, **options())
    data = f.save(image.convert("CMYK"), "cmyk.jpg", "JPEG", subsampling=f.pick(0, 1, 2), **options())
    at = data.index(b"Adobe")
    f.add("ycck.jpg", data[:at + 11] + b"\x02" + data[at + 12:])
    f.add("cmyk-plain.jpg", data[:at - 4] + data[at + 12:])


def patched_jpegs(f):
    """Sampling factors beyond Pillow's: the blocks of an MCU take another place in the picture."""
    def patch(data, factors, size):
        data, at = bytearray(data), 2
        while data[at + 1] not in (0xC0, 0xC2):
            at += 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
        data[at + 5:at + 9] = struct.pack(">HH", size[1], size[0])
        for i, factor in enumerate(factors):
            data[at + 11 + 3 * i] = factor
        return bytes(data)

    for width, height in ((64, 32), (96, 64), (160, 96), (32, 32)):
        for name, subsampling, factors, size in (
            ("440", 1, (0x12, 0x11, 0x11), (height, width)), ("440-odd", 1, (0x12, 0x11, 0x11), (height - 3, width - 7)),
            ("411", 2, (0x41, 0x11, 0x11), (2 * width, height // 2)), ("411-odd", 2, (0x41, 0x11, 0x11), (2 * width - 5, height // 2 - 1)),
            ("14", 2, (0x14, 0x11, 0x11), (width // 2, 2 * height)), ("420-odd", 2, (0x22, 0x11, 0x11), (width - 15, height - 9)),
            ("mixed", 2, (0x21, 0x12, 0x11), (width, height)), ("cb", 2, (0x12, 0x12, 0x11), (height, width)),
        ):
            blocks = sum((x >> 4) * (x & 15) for x in factors)
            if blocks != {1: 4, 2: 6}[subsampling]:
                continue
            data = io.BytesIO()
            picture(f.rng, width, height).save(data, "JPEG", subsampling=subsampling, quality=int(f.rng.integers(30, 96)),
                                               progressive=name == "440" and bool(f.rng.integers(2)))
            f.add(f"{name}.jpg", patch(data.getvalue(), factors, size))


def assembled_jpegs(f, sizes=((1, 1), (5, 3), (16, 16), (23, 50), (101, 67))):
    """Files whose every component has scans of its own, at any sampling factors: put together from grey ones."""
    for factors in ((0x11, 0x11, 0x11), (0x22, 0x11, 0x11), (0x21, 0x11, 0x11), (0x12, 0x11, 0x11), (0x41, 0x11, 0x11), (0x42, 0x11, 0x11),
                    (0x44, 0x11, 0x22), (0x31, 0x11, 0x11), (0x11, 0x22, 0x12), (0x33, 0x11, 0x31), (0x22, 0x21, 0x12), (0x22, 0x22, 0x22),
                    (0x22, 0x11, 0x11, 0x22), (0x32, 0x21, 0x11)):
        for width, height in sizes:
            progressive = bool(f.rng.integers(2))
            most = max(x >> 4 for x in factors), max(x & 15 for x in factors)
            frame = struct.pack(">BHHB", 8, height, width, len(factors))
            tables, body = b"", b""
            for i, factor in enumerate(factors):
                size = -(-width * (factor >> 4) // most[0]), -(-height * (factor & 15) // most[1])
                data = io.BytesIO()
                picture(f.rng, *size).convert("L").save(data, "JPEG", quality=int(f.rng.integers(20, 96)), progressive=progressive)
                data, at = data.getvalue(), 2
                frame += bytes([i + 1, factor, i])
                while at < len(data) - 2:
                    marker, end = data[at + 1], at + 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
                    segment = bytearray(data[at:end])
                    at = end
                    if marker == 0xDB:
                        segment[4] = i
                        tables += segment
                    elif marker == 0xC4:
                        body += segment
                    elif marker == 0xDA:
                        segment[5] = i + 1
                        while not (data[end] == 0xFF and data[end + 1] != 0):
                            end += 1
                        body += segment + data[at:end]
                        at = end
            head = b"\xff\xd8" + tables + b"\xff" + (b"\xc2" if progressive else b"\xc0") + struct.pack(">H", len(frame) + 2) + frame
            f.add("assembled.jpg", head + body + b"\xff\xd9")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(f, samples, depth, colour, extra=b"", interlaced=False):
    """samples: [height, width, channels] integers of depth bits; every row gets a random filter."""
    height, width, channels = samples.shape
    bpp = max(1, channels * depth // 8)
    raw = bytearray()
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    for x0, y0, dx, dy in passes:
        part = samples[y0::dy, x0::dx]
        if part.size == 0:
            continue
        if depth == 16:
            rows = part.astype(">u2").reshape(part.shape[0], -1).view(np.uint8)
        elif depth == 8:
            rows = part.astype(np.uint8).reshape(part.shape[0], -1)
        else:
            bits = ((part[..., None] >> np.arange(depth - 1, -1, -1)) & 1).reshape(part.shape[0], -1)
            rows = np.packbits(bits.astype(np.uint8), axis=1)
        before = np.zeros(rows.shape[1], int)
        for row in rows.astype(int):
            left = np.concatenate([np.zeros(bpp, int), row])[:len(row)]
            corner = np.concatenate([np.zeros(bpp, int), before])[:len(row)]
            kind = int(f.rng.integers(5))
            p = left + before - corner
            paeth = np.where((abs(p - left) <= abs(p - before)) & (abs(p - left) <= abs(p - corner)), left,
                             np.where(abs(p - before) <= abs(p - corner), before, corner))
            guess = [0, left, before, (left + before) // 2, paeth][kind]
            raw += bytes([kind]) + ((row - guess) & 255).astype(np.uint8).tobytes()
            before = row
    squeeze = zlib.compressobj(f.pick(0, 1, 6, 9), zlib.DEFLATED, 15, 8, f.pick(0, 1, 2, 3, 4))
    data = squeeze.compress(bytes(raw)) + squeeze.flush()
    cut = f.pick(len(data), 100, 8192)
    idat = b"".join(chunk(b"IDAT", data[i:i + cut]) for i in range(0, len(data), cut))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced)))
    return b"\x89PNG\r\n\x1a\n" + header + extra + idat + chunk(b"IEND", b"")


def pngs(f, image):
    r = f.rng
    width, height = image.size
    alpha = Image.fromarray(r.integers(0, 256, (height, width), dtype=np.uint8))
    transparent = image.copy()
    transparent.putalpha(alpha)
    for mode in ("1", "L", "P", "RGB", "I;16"):
        f.save(image.convert(mode) if mode != "I;16" else Image.fromarray(r.integers(0, 65536, (height, width)).astype(np.uint16)),
               f"{mode.replace(';', '')}.png", "PNG", exif=exif(int(r.integers(1, 9))), optimize=bool(r.integers(2)))
    f.save(transparent, "rgba.png", "PNG")
    f.save(transparent.convert("LA"), "la.png", "PNG")
    few = image.quantize(int(r.integers(2, 257)))
    f.save(few, "p-one.png", "PNG", transparency=int(r.integers(0, 4)))
    f.save(few, "p-many.png", "PNG", transparency=bytes(r.integers(0, 256, int(r.integers(1, 257))).astype(np.uint8)))
    f.save(image.convert("L"), "l-key.png", "PNG", transparency=int(r.integers(0, 256)))
    f.save(image, "rgb-key.png", "PNG", transparency=image.getpixel((0, 0)))
    for depth, colour, channels in ((1, 0, 1), (2, 0, 1), (4, 0, 1), (8, 0, 1), (16, 0, 1), (8, 2, 3), (16, 2, 3), (1, 3, 1), (2, 3, 1),
                                    (4, 3, 1), (8, 3, 1), (8, 4, 2), (16, 4, 2), (8, 6, 4), (16, 6, 4)):
        samples = r.integers(0, 1 << depth, (height, width, channels))
        if r.integers(2):
            samples //= 16  # many small ones: matches, and 16-bit grey below 256
        extra = b""
        if colour == 3:
            extra = chunk(b"PLTE", bytes(r.integers(0, 256, 3 * int(r.integers(1, (1 << depth) + 1))).astype(np.uint8)))
            if r.integers(2):
                extra += chunk(b"tRNS", bytes(r.integers(0, 256, int(r.integers(1, 9))).astype(np.uint8)))
        elif colour in (0, 2) and r.integers(2):
            extra = chunk(b"tRNS", samples[0, 0].astype(">u2").tobytes())
        f.add(f"d{depth}c{colour}.png", png(f, samples, depth, colour, extra, bool(r.integers(2))))


def webps(f, image):
    r = f.rng
    transparent = image.copy()
    transparent.putalpha(Image.fromarray(r.integers(0, 256, image.size[::-1], dtype=np.uint8)) if r.integers(2) else image.convert("L"))
    q = lambda: int(r.integers(0, 101))
    f.save(image, "lossy.webp", "WEBP", quality=q(), method=int(r.integers(7)))
    f.save(image, "lossless.webp", "WEBP", lossless=True, quality=q(), method=int(r.integers(7)))
    f.save(image, "turned.webp", "WEBP", quality=q(), exif=exif(int(r.integers(1, 9))))
    f.save(transparent, "alpha.webp", "WEBP", quality=q(), alpha_quality=q(), method=int(r.integers(7)), exact=bool(r.integers(2)))
    f.save(transparent, "alpha-lossless.webp", "WEBP", lossless=True, exact=bool(r.integers(2)), quality=q())
    f.save(image.quantize(int(r.integers(2, 257))), "palette.webp", "WEBP", lossless=True)
    other = transparent.transpose(Image.Transpose.ROTATE_180)
    f.save(f.pick(image, transparent), "moving.webp", "WEBP", save_all=True, append_images=[other], quality=q(),
           lossless=bool(r.integers(2)), allow_mixed=bool(r.integers(2)))


def gifs(f, image):
    r = f.rng
    few = image.quantize(int(r.integers(2, 257)))
    f.save(few, "plain.gif", "GIF", interlace=int(r.integers(2)))
    f.save(image.convert("L"), "grey.gif", "GIF")
    f.save(image.convert("1"), "two.gif", "GIF")
    f.save(few, "key.gif", "GIF", transparency=int(r.integers(0, 3)))
    f.save(few, "moving.gif", "GIF", save_all=True, append_images=[few.transpose(Image.Transpose.ROTATE_180)])
    # The same frame on a larger screen, and on one that is too small.
    data = bytearray(open(f.paths[-5], "rb").read())
    for name, screen in (("inset", (image.width + 9, image.height + 5)), ("over", (max(1, image.width - 2), image.height))):
        data[6:10] = struct.pack("<HH", *screen)
        f.add(f"{name}.gif", bytes(data))
    keyed = bytearray(open(f.paths[-4], "rb").read())
    keyed[6:10] = struct.pack("<HH", image.width + 3, image.height + 4)
    f.add("inset-key.gif", bytes(keyed))


def bmp(width, height, bits, rows, palette=b"", compression=0, masks=b"", flip=False, size=40, colours=0):
    info = struct.pack("<IiiHHIIiiII", size, width, -height if flip else height, 1, bits, compression, len(rows), 2835, 2835, colours, 0)
    info = (info + masks).ljust(size, b"\0") if size > 40 else info + masks
    offset = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + info + palette + rows


def bmps(f, image):
    r = f.rng
    width, height = image.size
    for mode in ("1", "L", "P", "RGB"):
        f.save(image.convert(mode), f"{mode}.bmp", "BMP")
    transparent = image.copy()
    transparent.putalpha(128)
    f.save(transparent, "rgba.bmp", "BMP")
    pad = lambda a: np.pad(a, ((0, 0), (0, -a.shape[1] % 4))).tobytes()
    colours = lambda n: bytes(r.integers(0, 256, 4 * n).astype(np.uint8))
    for bits in (1, 4, 8):
        indices = r.integers(0, 1 << bits, (height, width))
        packed = np.packbits(((indices[..., None] >> np.arange(bits - 1, -1, -1)) & 1).reshape(height, -1).astype(np.uint8), axis=1)
        f.add(f"b{bits}.bmp", bmp(width, height, bits, pad(packed), colours(1 << bits), flip=bool(r.integers(2))))
        core = b"BM" + struct.pack("<IHHI", 0, 0, 0, 26 + 3 * (1 << bits)) + struct.pack("<IHHHH", 12, width, height, 1, bits)
        f.add(f"os2-{bits}.bmp", core + colours(1 << bits)[:3 * (1 << bits)] + pad(packed))
    words = r.integers(0, 65536, (height, width)).astype("<u2").view(np.uint8)
    f.add("555.bmp", bmp(width, height, 16, pad(words)))
    f.add("565.bmp", bmp(width, height, 16, pad(words), compression=3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)))
    f.add("555-masks.bmp", bmp(width, height, 16, pad(words), compression=3, masks=struct.pack("<III", 0x7C00, 0x3E0, 0x1F)))
    quads = r.integers(0, 256, (height, 4 * width)).astype(np.uint8)
    f.add("32.bmp", bmp(width, height, 32, pad(quads), flip=bool(r.integers(2))))
    for masks in ((0xFF0000, 0xFF00, 0xFF, 0), (0xFF000000, 0xFF0000, 0xFF00, 0), (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
                  (0xFF, 0xFF00, 0xFF0000, 0xFF000000), (0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0, 0, 0, 0)):
        f.add("32-masks.bmp", bmp(width, height, 32, pad(quads), compression=3, masks=struct.pack("<IIII", *masks), size=124))
    rows = bytearray()
    for _ in range(height):
        left = width
        while left:
            n = int(r.integers(1, min(left, 255) + 1))
            if n > 2 and r.integers(2):
                rows += bytes([0, n]) + bytes(r.integers(0, 256, n).astype(np.uint8)) + b"\0" * (n % 2)
            else:
                rows += bytes([n, int(r.integers(256))])
            left -= n
        rows += b"\0\0"
    f.add("rle8.bmp", bmp(width, height, 8, bytes(rows) + b"\0\1", colours(256), compression=1))
    rows = bytearray()
    for _ in range(height):
        left = width
        while left:
            n = min(left, int(r.integers(1, 255)))
            rows += bytes([n, int(r.integers(256))])
            left -= n
        rows += b"\0\0"
    f.add("rle4.bmp", bmp(width, height, 4, bytes(rows) + b"\0\1", colours(16), compression=2))


def variety(folder, seed):
    f = Files(folder, seed)
    for width, height in SIZES:
        image = picture(f.rng, width, height)
        for make in (jpegs, pngs, webps, gifs, bmps):
            make(f, image)
    patched_jpegs(f)
    assembled_jpegs(f)
    return f.paths
