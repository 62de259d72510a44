"""Generated texts for fuzz_tokenizers.py: words, scripts, signs and white space, mixed at random."""

WORDS = """a photo of two cats sleeping on the red sofa picture there is an old man riding his bicycle down street
question answer how many what color left right large small sphere cube naïve café Ångström straße İstanbul ΣΊΣΥΦΟΣ
don't can't it's we'll they've I'd you're DON'T o'clock 's 't 're rock'n'roll do not 1,000 3.14 2024-01-31 12:30 50%
Привет мир 日本語 中文 한국어 ひらがな カタカナ שלום مرحبا नमस्ते क्षत्रिय ไทย e.g. i.e. U.S.A. http://a.b/c?d=e&f=g me@x.org""".split()

# First and last code points of blocks that go different ways.
BLOCKS = [
    (0x00, 0x20), (0x21, 0x7E), (0x7F, 0xA0), (0xA1, 0xFF), (0x100, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x3FF),
    (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0x980, 0x9FF), (0xC00, 0xD7F), (0xE00, 0xE7F), (0xF00, 0xFFF),
    (0x1100, 0x11FF), (0x1680, 0x1680), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x209F),
    (0x20D0, 0x20FF), (0x2100, 0x218F), (0x2200, 0x22FF), (0x2460, 0x24FF), (0x2580, 0x25FF), (0x2600, 0x27BF), (0x3000, 0x30FF),
    (0x3130, 0x318F), (0x3200, 0x33FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA640, 0xA69F), (0xA840, 0xA8FF), (0xAC00, 0xD7A3),
    (0xE000, 0xE0FF), (0xF900, 0xFAFF), (0xFB00, 0xFB4F), (0xFB50, 0xFDFF), (0xFE00, 0xFE2F), (0xFE50, 0xFEFF), (0xFF00, 0xFFFF),
    (0x10000, 0x104FF), (0x10D00, 0x10EFF), (0x11000, 0x11FFF), (0x16100, 0x16FFF), (0x1BCA0, 0x1BCAF), (0x1D100, 0x1D1FF),
    (0x1D400, 0x1D7FF), (0x1E000, 0x1E95F), (0x1F000, 0x1F2FF), (0x1F300, 0x1F6FF), (0x1F900, 0x1FAFF), (0x1F1E6, 0x1F1FF),
    (0x20000, 0x2A6DF), (0x2B740, 0x2CEAF), (0x2F800, 0x2FA1F), (0x30000, 0x33479), (0xE0000, 0xE01EF), (0xF0000, 0x10FFFF),
]
SPACES = " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u2000\u2003\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
JOINERS = "\u200d\ufe0f\u0301\u0323\u0308\u0345\u05b0\u064b\u094d\u20dd\u0e33\u1160\u11a8\U0001f3fb"


def character(rng):
    if rng.random() < 0.03:
        code = rng.randrange(0x110000)
    else:
        first, last = rng.choice(BLOCKS)
        code = rng.randint(first, last)
    return chr(code) if not 0xD800 <= code < 0xE000 else "x"


def piece(rng, added):
    kind = rng.randrange(12)
    if kind < 4:
        word = rng.choice(WORDS)
        return rng.choice([word, word, word.upper(), word.title(), word[: rng.randint(1, len(word))]])
    if kind == 4:
        return "".join(character(rng) for _ in range(rng.randint(1, 6)))
    if kind == 5:  # one script for a while
        first, last = rng.choice(BLOCKS)
        return "".join(chr(rng.randint(first, last)) for _ in range(rng.randint(1, 8)))
    if kind == 6:
        return "".join(rng.choice(SPACES[: rng.choice([1, 4, len(SPACES)])]) for _ in range(rng.randint(1, 5)))
    if kind == 7 and added:
        token = rng.choice(added)
        changed = rng.choice([token, token, token, token.upper(), token.lower(), token[1:], token[:-1], token + token])
        return rng.choice(["", "", " ", "  ", "\u3000", "_", "a"]) + changed + rng.choice(["", "", " ", "\n ", "'", "1", "é"])
    if kind == 8:
        return "".join(rng.choice("!?.,;:'\"-_()[]{}<>|/\\#$%&*+=@^~`’“…—") for _ in range(rng.randint(1, 4)))
    if kind == 9:  # letters with what clings to them
        return "".join(rng.choice([rng.choice("aeiouAÅé©क日"), character(rng)]) + "".join(rng.choice(JOINERS) for _ in range(rng.randint(0, 3)))
                       for _ in range(rng.randint(1, 4)))
    if kind == 10 and rng.random() < 0.15:  # long words, and marks without end
        unit = rng.choice(["a", "ab", "é", "日", "\u0301", "#", "1", "z\u0323", "😀", "'s", "▁"])
        return unit * rng.randint(20, 260)
    return str(rng.randrange(100000))


def texts(rng, count, added):
    """Returns texts in which the added tokens of a tokenizer turn up."""
    out = ["", " ", "\n", "\x00", "a", "\u0301"]
    while len(out) < count:
        glue = rng.choice(["", " ", " ", " ", "  "])
        out.append(glue.join(piece(rng, added) for _ in range(rng.randint(1, 9))))
    return out[:count]
