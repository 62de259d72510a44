#!/usr/bin/env python3
"""Asks the Python package "tokenizers" what it holds of every code point, and writes
datasets/text/unicode.bin, from which the Go code knows it too.

    python3 scripts/golden_unicode.py [FILE]

The package is made of several libraries whose Unicode tables are of different age (8 to 16), so no
one version of Unicode's own files says what it does. Layout of the file, all numbers uvarints:
runs of code points with one class, as (length, class), until all 0x110000 are covered; then the
number of lower-case mappings, and for each the code point less the one before it, the number of
code points it becomes, and those.
"""
import pathlib
import struct
import sys

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

OUT = pathlib.Path(__file__).resolve().parent.parent / "datasets" / "text" / "unicode.bin"

# Bits of a class, as in datasets/text/unicode.go.
SPACE, LETTER, NUMBER, PUNCTUATION, CONTROL, MARK, WORD, INERT = (1 << i for i in range(8))
CONSONANT, LINKER, COMBINING = 1 << 12, 1 << 13, 1 << 14
# Grapheme classes, in bits 8 to 11.
(OTHER, CR, LF, BREAKS, EXTEND, ZWJ, SPACING, PREPEND, FLAG, L, V, T, LV, LVT, PICTURE) = range(15)


def probe_charsmap():
    """A charsmap that turns what begins with "a" into Y and what begins beyond ASCII into Z, so
    that the length of a result tells how many graphemes the package saw."""
    units = [0] * 768
    units[0] = 256 << 10
    for byte, value in [(0x61, 2)] + [(b, 0) for b in range(0x80, 0x100)]:
        units[256 + byte] = byte | 1 << 8 | 768 << 10
        units[512 + byte] = 1 << 31 | value
    return struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + b"Z\0Y\0"


def grapheme_class(c, graphemes):
    code = ord(c)
    if c == "\r":
        return CR
    if c == "\n":
        return LF
    if c == "\u200d":
        return ZWJ
    if code < 0x80:
        return BREAKS if code < 0x20 or code == 0x7F else OTHER
    for first, last, kind in (
        (0x1F1E6, 0x1F1FF, FLAG), (0x1100, 0x115F, L), (0xA960, 0xA97C, L), (0x1160, 0x11A7, V), (0xD7B0, 0xD7C6, V),
        (0x11A8, 0x11FF, T), (0xD7CB, 0xD7FB, T),
    ):
        if first <= code <= last:
            return kind
    if 0xAC00 <= code <= 0xD7A3:
        return LV if (code - 0xAC00) % 28 == 0 else LVT
    if graphemes("a" + c) == "Y":
        joined = graphemes("©" + c + "\u200d©\u0300")
        return EXTEND if len(joined) == 5 else SPACING
    if graphemes(c + "a") == "Z":
        return PREPEND
    if len(graphemes(c + "\u0300\u0301")) == 2:
        return BREAKS
    if len(graphemes("©\u200d" + c)) == 3:
        return PICTURE
    return OTHER


def main():
    graphemes = normalizers.Precompiled(probe_charsmap()).normalize_str
    white = pre_tokenizers.WhitespaceSplit().pre_tokenize_str
    word = pre_tokenizers.Whitespace().pre_tokenize_str
    punctuation = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    flags = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    clean = normalizers.BertNormalizer(**{**flags, "clean_text": True}).normalize_str
    strip = normalizers.BertNormalizer(**{**flags, "strip_accents": True}).normalize_str
    lower = normalizers.Lowercase().normalize_str
    accents = normalizers.StripAccents().normalize_str
    nfd, nfkd = normalizers.NFD().normalize_str, normalizers.NFKD().normalize_str
    matches = {bit: normalizers.Replace(Regex(pattern), "").normalize_str
               for bit, pattern in ((SPACE, r"\s"), (LETTER, r"\p{L}"), (NUMBER, r"\p{N}"))}

    def sampled(code):
        # Ten planes are empty: look at some of their code points and take the rest for the same.
        return code - code % 64 if 0x40000 <= code < 0xE0000 else code

    codes = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    parts = set()  # what some other code point decomposes into
    for code in codes:
        c = chr(code)
        for form in (nfd(c), nfkd(c)):
            if form != c:
                parts.update(form)
    classes, lowered = [0] * 0x110000, []
    for code in codes:
        if sampled(code) != code:
            classes[code] = classes[sampled(code)]
            continue
        c = chr(code)
        k = 0
        for bit, removed in matches.items():
            k |= bit if removed(c) == "" else 0
        white_space = len(white("a" + c + "a")) == 2
        assert white_space == bool(k & SPACE), hex(code)
        if len(punctuation("a" + c + "a")) == 3:
            k |= PUNCTUATION
        if clean(c) == "":
            k |= CONTROL
        if nfd(c) == c and strip(c) == "":
            k |= MARK
        if len(word("a" + c)) == 1 and not white_space:
            k |= WORD
        if nfd(c) == nfkd(c) == c and c not in parts and nfd("\u0345" + c) == "\u0345" + c:
            k |= INERT
        if accents(c) == "":
            k |= COMBINING
        kind = grapheme_class(c, graphemes)
        k |= kind << 8
        if kind in (EXTEND, ZWJ) and len(graphemes("क" + c + "क\u0300")) == 4:
            k |= LINKER
        if kind == OTHER and 0x800 <= code < 0x10000 and len(graphemes("क\u094d" + c + "\u0300")) == 4:
            k |= CONSONANT
        classes[code] = k
        if lower(c) != c:
            lowered.append((code, [ord(r) for r in lower(c)]))

    out = bytearray()

    def put(n):
        while n >= 0x80:
            out.append(n & 0x7F | 0x80)
            n >>= 7
        out.append(n)

    start = 0
    for code in range(1, 0x110001):
        if code == 0x110000 or classes[code] != classes[start]:
            put(code - start)
            put(classes[start])
            start = code
    put(len(lowered))
    before = 0
    for code, to in lowered:
        put(code - before)
        before = code
        put(len(to))
        for r in to:
            put(r)
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    path.write_bytes(out)
    counts = {name: sum(k & bit != 0 for k in classes) for name, bit in (
        ("space", SPACE), ("letter", LETTER), ("number", NUMBER), ("punctuation", PUNCTUATION), ("control", CONTROL),
        ("mark", MARK), ("word", WORD), ("inert", INERT), ("consonant", CONSONANT), ("linker", LINKER), ("combining", COMBINING))}
    kinds = [sum(k >> 8 & 15 == kind for k in classes) for kind in range(15)]
    print(f"tokenizers {tokenizers.__version__}: {len(out)} bytes, {len(lowered)} lower-case mappings, {counts}, graphemes {kinds}")


if __name__ == "__main__":
    main()
