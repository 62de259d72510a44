#!/usr/bin/env python3
"""Makes datasets/text/testdata: four small tokenizers and the ids that the Python package
"tokenizers" gives for a list of awkward strings.

    python3 scripts/golden_tokenizers.py
"""
import json
import pathlib
import struct

import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

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
    "<|startoftext|> a <|EndOfText|> <|endoftext|>",
    "e\u0301e\u0323\u0301 A\u030a \u1100\u1161\u11a8 q\u0323\u0307 \u0915\u093c",
    "\ufb01ne \u2460\u2461 \uff21\uff22\u3000\uff43 A\u0300A\u0300\u0301 \r\nB\u0300",
    "unknown \u65e5\u672c and \U0001f600 a\u65e5b <extra_id_0><extra_id_1> </s>",
    "\u2460\u0301 \u2460a\u0301 \u2461\u0301\u0301",
    "\u2581already\u2581marked \u2581",
    "a\u0301\u0323" * 15,
    "new letters \U00010d6f \U000105c9 \ua7dc, new marks \U00010d6d\u0897",
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


def clip():
    """CLIP's pipeline; some bytes are no token at the end of a word, so that there are unknown ones."""
    t = Tokenizer(models.BPE(unk_token="<|endoftext|>", continuing_subword_prefix="", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    pattern = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(TEXTS[:20] * 3, trainers.BpeTrainer(
        vocab_size=480, special_tokens=["<|startoftext|>", "<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>", show_progress=False))
    t.post_processor = processors.RobertaProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0), trim_offsets=False, add_prefix_space=False)
    return t


def charsmap(table):
    """Lays a table out as SentencePiece's precompiled charsmap: a double array, then the texts."""
    blob, units, used = b"", [0] * 4096, {0}
    tree = {}
    for key, text in table.items():
        node = tree
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[None] = len(blob)
        blob += text.encode() + b"\0"

    def place(node, at):
        labels = [0 if byte is None else byte for byte in node]
        offset = next(o for o in range(1, len(units) - 256) if not any(((at ^ o) ^ byte) in used for byte in labels))
        units[at] |= offset << 10 | (1 << 8 if None in node else 0)
        base = at ^ offset
        used.update(base ^ byte for byte in labels)
        for byte, child in node.items():
            if byte is None:
                units[base] = 1 << 31 | child
            else:
                units[base ^ byte] = byte
                place(child, base ^ byte)

    place(tree, 0)
    size = max(used) // 256 * 256 + 256  # a wrong byte never leads out of it
    return struct.pack("<I", 4 * size) + struct.pack(f"<{size}I", *units[:size]) + blob


def t5():
    table = {"\r": " ", "\n": " ", "\t": " ", "\u3000": " ", "\u00a0": " ", "\u200b": "", "\x07": "", "\ufb01": "fi", "\u2460": "1", "\u2461": "2",
             "A\u0300": "\u00c0", "A\u030a": "\u00c5", "e\u0301": "\u00e9", "\u212b": "\u00c5", "\u2581": " ", "\u2026": "...", "\u2460\u0301": "one"}
    table.update({chr(0xFF21 + i): chr(0x41 + i) for i in range(26)} | {chr(0xFF41 + i): chr(0x61 + i) for i in range(26)})
    words = "▁a ▁photo ▁of ▁the ▁cat ▁red ▁cube ▁left ▁large ▁blue ▁how ▁many ▁green ▁are ▁there ▁three ▁don ' t s ing ed ▁s le ep ab abab z zz . ,"
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(w, -3.0 - i / 8) for i, w in enumerate(words.split())]
    seen = {p for p, _ in pieces}
    pieces += [(c, -9.0 - i / 16) for i, c in enumerate("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMÀÅé0123456789!?-:é日") if c not in seen]
    pieces += [(f"<extra_id_{i}>", 0.0) for i in range(4, -1, -1)]
    t = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    t.normalizer = normalizers.Precompiled(charsmap(table))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t.decoder = decoders.Metaspace()
    t.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    t.add_special_tokens([special(s) for s in ("<pad>", "</s>", "<unk>", *(f"<extra_id_{i}>" for i in range(4, -1, -1)), "<image>")])
    return t


def main():
    for name, t in (("bert", bert()), ("opt", opt()), ("clip", clip()), ("t5", t5())):
        (OUT / name).mkdir(parents=True, exist_ok=True)
        (OUT / name / "tokenizer.json").write_text(t.to_str(), encoding="utf-8")
        cases = []
        for text in TEXTS:
            ids = t.encode(text).ids
            decoded = [t.decode(ids, skip_special_tokens=skip) for skip in (False, True)]
            if name == "clip":  # what transformers does behind the decoder
                decoded = [d.replace("</w>", " ").strip() for d in decoded]
            cases.append({
                "text": text, "ids": ids, "ids_no_special": t.encode(text, add_special_tokens=False).ids,
                "decoded": decoded[0], "decoded_skip_special": decoded[1],
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
