#!/usr/bin/env python3
"""Makes datasets/text/testdata: two small tokenizers and the ids that the Python package
"tokenizers" gives for a list of awkward strings.

    python3 scripts/golden_tokenizers.py
"""
import json
import pathlib

import tokenizers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUT = pathlib.Path(__file__).resolve().parent.parent / "datasets" / "text" / "testdata"

TEXTS = [
    "",
    " ",
    "a photo of a cat",
    "A Photo Of Two CATS, sleeping.",
    " leading and trailing  ",
    "two  spaces   three\tand a tab\nand a line\r\n",
    "don't can't we've I'll they'd he's I'm you're DON'T 'tis",
    "'''' '' 's 'll '",
    "café cafe\u0301 naïve Ångström résumé İstanbul Straße ΣΑΣ",
    "[DEC] a picture [SEP] [dec] [MASK][PAD]",
    "<s> a </s> b <pad> <unk> <image><image>c </s",
    "日本語 中文字符测试。mixed日本and",
    "한국어 हिन्दी ไทย العربية עברית",
    "😀😃 👨\u200d👩\u200d👧 🇫🇷 ❤️",
    "12:30 PM 2024-01-31 3.14159 1,000 1e-5 ½ ² Ⅻ",
    "a+b=c; x*y/z^2 % 3 != 4 && !b || c ~`@#$\\|{}[]<>",
    "bell\x07 null\x00 esc\x1b del\x7f bom\ufeff soft\u00adhyphen zero\u200bwidth",
    "nbsp\u00a0here\u2003em\u3000wide line\u2028sep\u0085next\u000bvt",
    "em—dash en–dash “curly” «guillemets» ¿Qué? …",
    "replacement\ufffdchar private\ue000use",
    "\u0300combining first",
    "Ġ Ċ ▁ </w> ##ing ##s",
    "supercalifragilisticexpialidocious",
    "z" * 100,
    "z" * 101,
    "ab" * 200,
    "the red cube is left of the large blue sphere",
    "how many green cylinders are there? three",
    "  \n\n  x   \u2003 y",
]


def special(token, **flags):
    return tokenizers.AddedToken(token, special=True, normalized=False, **flags)


def bert():
    words = "photo of two cat cats sleeping the red cube is left large blue sphere how many green are there three"
    pieces = "a##b a z ##z ##a ##b c ##c cafe ##s ##ing nai ##ve é 日 中 ##語 e ##e i ##i o ##o d t ##t ' , . ? 1 ##2 2 ! # ~ – “"
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]"] + words.split() + pieces.split()[1:]
    vocab = {token: i for i, token in enumerate(dict.fromkeys(vocab))}
    t = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.add_special_tokens([special(s) for s in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]")])
    t.add_tokens([tokenizers.AddedToken("Straße", normalized=True), tokenizers.AddedToken("<image>", lstrip=True, rstrip=True, normalized=False)])
    t.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(s, t.token_to_id(s)) for s in ("[CLS]", "[SEP]")],
    )
    return t


def opt():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )
    t.train_from_iterator(TEXTS[:20] * 3, trainer)
    t.add_special_tokens([special("<image>")])
    t.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 2)])
    return t


def main():
    for name, t in (("bert", bert()), ("opt", opt())):
        (OUT / name).mkdir(parents=True, exist_ok=True)
        (OUT / name / "tokenizer.json").write_text(t.to_str(), encoding="utf-8")
        cases = []
        for text in TEXTS:
            ids = t.encode(text).ids
            cases.append({
                "text": text, "ids": ids, "ids_no_special": t.encode(text, add_special_tokens=False).ids,
                "decoded": t.decode(ids, skip_special_tokens=False), "decoded_skip_special": t.decode(ids),
            })
        if name == "opt":  # bytes that are no UTF-8: a cut emoji, lone continuations
            table = {b: c for c, b in zip(*alphabet())}
            for raw in (b"\xf0\x9f\x98", b"a\xe2\x82b", b"\x80\xbf", b"\xed\xa0\x80", b"\xff\xc3\x28", b"\xf0\x80\x80\x80"):
                ids = [t.token_to_id(table[b]) for b in raw]
                cases.append({"ids_only": ids, "decoded": t.decode(ids, skip_special_tokens=False)})
        out = {"made_by": f"scripts/golden_tokenizers.py, tokenizers {tokenizers.__version__}", "cases": cases}
        (OUT / f"{name}.json").write_text(json.dumps(out, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def alphabet():
    """Returns the characters that stand for bytes, and those bytes."""
    keep = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in keep]
    return [chr(b) for b in keep] + [chr(256 + i) for i in range(len(rest))], keep + rest


if __name__ == "__main__":
    main()
