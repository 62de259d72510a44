"""Tokenizers for fuzz_tokenizers.py: small ones of all kinds, in the arrangements that files of
different age have."""
import json
import random
import shutil

from fuzz_texts import WORDS, texts

VALUES = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
CLIP_SPECIALS = r"<\|startoftext\|>|<\|endoftext\|>|"
CLIP_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def added(content, **flags):
    from tokenizers import AddedToken
    return AddedToken(content, **{**VALUES, **flags})


ODD = [  # added tokens with every flag
    added("<image>"), added("<left>", lstrip=True), added("<right>", rstrip=True, special=False), added("<both>", lstrip=True, rstrip=True),
    added("Whole", single_word=True, special=False), added("two words", normalized=True, special=False), added("Ängström", normalized=True),
    added("<low>", normalized=True, lstrip=True, single_word=True), added("[X]", normalized=True, rstrip=True), added("[X]Y"),
]


def corpus(rng):
    lines = texts(rng, 600, []) + [" ".join(rng.choice(WORDS) for _ in range(8)) for _ in range(600)]
    return [line for line in lines if line.strip()]


def bert(lines, **normalizer):
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer(**normalizer)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=900, limit_alphabet=200, special_tokens=names, show_progress=False))
    t.add_special_tokens(["[DEC]", "[ENC]"])
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return t


def opt(lines, prefix=False):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=900, special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
                                                     initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 2)])
    return t


def clip(lines, pattern):
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    t = Tokenizer(models.BPE(unk_token="<|endoftext|>", continuing_subword_prefix="", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=1200, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False))
    data = json.loads(t.to_str())
    vocab = data["model"]["vocab"]
    for c in sorted(alphabet):  # the trainer only knows the ends of words that it saw
        vocab.setdefault(c + "</w>", len(vocab))
    for name in ("<|startoftext|>", "<|endoftext|>"):
        vocab.setdefault(name, len(vocab))
    t = Tokenizer.from_str(json.dumps(data))
    bos, eos = vocab["<|startoftext|>"], vocab["<|endoftext|>"]
    t.add_special_tokens([added("<|startoftext|>", normalized=pattern == CLIP_PATTERN), added("<|endoftext|>")])
    t.post_processor = processors.RobertaProcessing(("<|endoftext|>", eos), ("<|startoftext|>", bos), trim_offsets=False, add_prefix_space=False)
    return t


def spiece(lines, folder, rng):
    """Trains a SentencePiece model; returns its pieces with their scores and its charsmap."""
    import sentencepiece
    from transformers.convert_slow_tokenizer import import_protobuf
    (folder / "text").write_text("\n".join(line.replace("\n", " ").replace("\0", "") for line in lines), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.Train(
        input=str(folder / "text"), model_prefix=str(folder / "spiece"), vocab_size=1600, character_coverage=0.98, pad_id=0, eos_id=1, unk_id=2,
        bos_id=-1, hard_vocab_limit=False, minloglevel=2, num_threads=1, normalization_rule_name=rng.choice(["nmt_nfkc", "nmt_nfkc_cf", "nfkc"]),
        user_defined_symbols=["<user>"])
    model = import_protobuf().ModelProto()
    model.ParseFromString((folder / "spiece.model").read_bytes())
    return [(p.piece, p.score) for p in model.pieces], model.normalizer_spec.precompiled_charsmap


def t5(pieces, normalizer, words, metaspace, byte_fallback=False, decoder=None):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    pieces = pieces + [(f"<extra_id_{i}>", 0.0) for i in range(9, -1, -1)]
    if byte_fallback:
        pieces = pieces + [(f"<0x{b:02X}>", -50.0) for b in range(256)]
    t = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=byte_fallback))
    t.normalizer = normalizer
    marks = pre_tokenizers.Metaspace(**metaspace)
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), marks]) if words else marks
    t.decoder = decoder or decoders.Metaspace(**{k: v for k, v in metaspace.items() if k != "split"})
    t.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    t.add_special_tokens(["<pad>", "</s>", "<unk>"] + [f"<extra_id_{i}>" for i in range(10)])
    return t


def save(t, folder, config=None, odd=True, edit=None, drop=False):
    """Writes a folder: tokenizer.json, unless drop, and tokenizer_config.json."""
    from tokenizers import Tokenizer
    if odd:
        t = Tokenizer.from_str(t.to_str())
        t.add_tokens(ODD)
    folder.mkdir(exist_ok=True)
    data = json.loads(t.to_str())
    if edit:
        edit(data)
    if not drop:
        (folder / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return data["model"]


def old_merges(data):
    """Before 2024, merges were strings and Metaspace said add_prefix_space; before 2022, a model had no type."""
    model = data["model"]
    del model["type"]
    if "merges" in model:
        model["merges"] = [" ".join(m) for m in model["merges"]]
    for part in (data["pre_tokenizer"], data["decoder"], *data["pre_tokenizer"].get("pretokenizers", [])):
        if part["type"] == "Metaspace":
            part["add_prefix_space"] = True
            part["str_rep"] = part["replacement"]
            del part["prepend_scheme"], part["split"]


def make(root, seed):
    """Yields folders, and whether transformers' AutoTokenizer is what to compare with."""
    from tokenizers import Regex, Tokenizer, decoders, normalizers
    rng = random.Random(seed)
    lines = corpus(rng)

    uncased = bert(lines, lowercase=True)
    save(uncased, root / "bert")
    yield root / "bert", False
    save(bert(lines, lowercase=False, clean_text=False, handle_chinese_chars=False), root / "bert-cased")
    yield root / "bert-cased", False
    save(bert(lines, lowercase=False, strip_accents=True), root / "bert-accents")
    yield root / "bert-accents", False
    config = {"tokenizer_class": "BertTokenizer", "clean_up_tokenization_spaces": True, "truncation_side": "left", "padding_side": "left",
              "bos_token": "[DEC]", "extra_special_tokens": ["[ENC]", "[NEW]"]}
    save(uncased, root / "bert-folder", config, odd=False)
    yield root / "bert-folder", True

    # A hole in the ids: the first added token gets the id that the last of the model has.
    data = json.loads(uncased.to_str())
    vocab = data["model"]["vocab"]
    vocab.pop(sorted(vocab, key=vocab.get)[-9])
    data["added_tokens"] = [a for a in data["added_tokens"] if a["id"] < 5]
    holey = Tokenizer.from_str(json.dumps(data))
    holey.add_special_tokens(["[DEC]", "[ENC]"])
    save(holey, root / "bert-hole", {"tokenizer_class": "BertTokenizer", "extra_special_tokens": ["[NEW]"]}, odd=False)
    yield root / "bert-hole", True

    def vocab_txt(folder, config, **more):
        model = save(uncased, folder, config, odd=False, drop=True)
        tokens = sorted(model["vocab"], key=model["vocab"].get)
        (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
        for name, value in more.items():
            (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")

    vocab_txt(root / "bert-vocab", {"tokenizer_class": "BertTokenizer", "do_lower_case": False, "tokenize_chinese_chars": False})
    yield root / "bert-vocab", True
    size = uncased.get_vocab_size(with_added_tokens=False)
    named = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": {"content": "[MASK]", **VALUES, "lstrip": True}}
    # (transformers 5 holds those of a special_tokens_map.json for ordinary tokens, unlike 4 and goblip)
    vocab_txt(root / "bert-old", {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "additional_special_tokens": ["[DEC]"]},
              special_tokens_map=named, added_tokens={"[DEC]": size, "[more]": size + 1})
    yield root / "bert-old", True
    decoder = {str(i): {"content": c, **VALUES} for i, c in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])}
    decoder[str(size)] = {"content": "Grün", **VALUES, "normalized": True, "special": False}
    vocab_txt(root / "bert-decoder", {"tokenizer_class": "BertTokenizer", "added_tokens_decoder": decoder, **{k: v for k, v in named.items() if k != "mask_token"}})
    yield root / "bert-decoder", True

    save(opt(lines), root / "opt")
    yield root / "opt", False
    save(opt(lines, prefix=True), root / "opt-prefix", edit=old_merges)
    yield root / "opt-prefix", False

    def lacking(data, fuse):  # some bytes have no token
        model = data["model"]
        for c in "ãäÃĠz":
            model["vocab"].pop(c, None)
        model["merges"] = [m for m in model["merges"] if all(p in model["vocab"] for p in (*m, "".join(m)))]
        model.update(unk_token="<unk>", fuse_unk=fuse)
        ids = {token: i for i, token in enumerate(sorted(model["vocab"], key=model["vocab"].get))}
        model["vocab"] = ids
        data["added_tokens"] = [a for a in data["added_tokens"] if a["id"] < 4]

    for fuse in (False, True):
        save(opt(lines), root / f"opt-unknown-{fuse}", odd=False, edit=lambda data, fuse=fuse: lacking(data, fuse))
        yield root / f"opt-unknown-{fuse}", False

    def vocab_json(t, folder, config):
        model = save(t, folder, config, odd=False, drop=True)
        (folder / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
        (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in model["merges"]), encoding="utf-8")

    flags = {"__type": "AddedToken", **VALUES, "normalized": True}
    del flags["special"]
    vocab_json(opt(lines), root / "opt-vocab", {
        "tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "add_prefix_space": False, "errors": "replace", "pad_token": "<pad>",
        **{name: {"content": "</s>", **flags} for name in ("bos_token", "eos_token", "unk_token")}})
    yield root / "opt-vocab", True

    save(clip(lines, CLIP_SPECIALS + CLIP_PATTERN), root / "clip")
    yield root / "clip", False
    older = clip(lines, CLIP_PATTERN)
    save(older, root / "clip-old", edit=old_merges)
    yield root / "clip-old", False
    names = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    config = {"tokenizer_class": "CLIPTokenizer", "do_lower_case": True, "errors": "replace", "model_max_length": 77, "clean_up_tokenization_spaces": True, **names}
    vocab_json(older, root / "clip-vocab", config)
    yield root / "clip-vocab", True
    vocab_json(older, root / "clip-clean", {**config, "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": True})
    yield root / "clip-clean", True

    work = root / "spiece"
    work.mkdir()
    pieces, charsmap = spiece(lines, work, rng)
    precompiled = normalizers.Precompiled(charsmap)
    always = {"replacement": "▁", "prepend_scheme": "always", "split": True}
    save(t5(pieces, precompiled, True, always), root / "t5")
    yield root / "t5", False
    save(t5(pieces, precompiled, True, always), root / "t5-old", edit=old_merges)
    yield root / "t5-old", False
    converted = normalizers.Sequence([precompiled, normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")])
    save(t5(pieces, converted, False, always), root / "t5-converted")
    yield root / "t5-converted", False
    for scheme in ("first", "never"):
        save(t5(pieces, normalizers.Sequence([precompiled, normalizers.Replace(Regex(" {2,}"), " ")]), False, {**always, "prepend_scheme": scheme}), root / f"t5-{scheme}")
        yield root / f"t5-{scheme}", False
    save(t5(pieces, precompiled, True, {**always, "prepend_scheme": "first"}), root / "t5-first-words")
    yield root / "t5-first-words", False
    replaced = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    fallback = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    save(t5(pieces, replaced, False, {**always, "split": False}, byte_fallback=True, decoder=fallback), root / "t5-bytes")
    yield root / "t5-bytes", False
    accents = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.NFKD(), normalizers.Lowercase(), normalizers.NFC()])
    save(t5(pieces, accents, True, always, byte_fallback=True), root / "t5-accents")
    yield root / "t5-accents", False
    for name, config in (("t5-spiece", {"extra_ids": 100}), ("t5-spiece-few", {
            "extra_ids": 3, "additional_special_tokens": [f"<extra_id_{i}>" for i in range(3)], "clean_up_tokenization_spaces": True, "truncation_side": "left"})):
        folder = root / name
        folder.mkdir()
        shutil.copy(work / "spiece.model", folder)
        named = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", **named, **config}), encoding="utf-8")
        yield folder, True
