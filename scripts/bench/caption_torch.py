#!/usr/bin/env python3
"""Captioning in transformers, to time beside "goblip bench caption", and the folders to do it with.

    python3 scripts/bench/caption_torch.py make blip base FOLDER     (blip or blip2; tiny or base)
    python3 scripts/bench/caption_torch.py time FOLDER --batch 16 --tokens 20 --repeats 5

"make" writes a model of random weights as transformers saves it, with a tokenizer and pictures; "time"
captions the pictures greedily, the same number of tokens each, and prints a line of JSON: seconds a
call, from 8-bit pixels to ids, peak memory, and the ids. Needs torch, transformers and Pillow.
"""
import argparse
import json
import pathlib
import resource
import statistics
import sys
import time

import numpy as np
import torch
from PIL import Image

PICTURES = 16
# The standard deviation of random weights: large enough for different words behind different pictures.
RANGE = 0.05


def sizes(size):
    """image_size, patch_size, hidden_size, layers, heads, vocabulary"""
    return {"tiny": (48, 16, 64, 3, 4, 1000), "base": (224, 16, 768, 12, 12, 30524)}[size]


def wordpiece(folder, words):
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(words - 7)]
    (folder / "vocab.txt").write_text("\n".join(names) + "\n")
    from transformers import BertTokenizer
    tokenizer = BertTokenizer(str(folder / "vocab.txt"))
    tokenizer.add_special_tokens({"bos_token": "[DEC]", "additional_special_tokens": ["[ENC]"]})
    tokenizer.save_pretrained(folder)


def bytelevel(folder, words):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<s>", "<pad>", "</s>", "<unk>"] + letters
    merges = []
    for a in letters:
        for b in letters:
            if len(names) + len(merges) < words - 1:
                merges.append((a, b))
    names += [a + b for a, b in merges] + ["<image>"]
    tokenizer = Tokenizer(models.BPE(vocab={n: i for i, n in enumerate(names)}, merges=merges))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 2)])
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<image>"])
    tokenizer.save(str(folder / "tokenizer.json"))


def blip(folder, size):
    from transformers import BlipConfig, BlipForConditionalGeneration
    side, patch, width, layers, heads, words = sizes(size)
    tower = dict(hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=heads, initializer_range=RANGE)
    text = dict(tower, vocab_size=words, encoder_hidden_size=width, bos_token_id=words - 2, pad_token_id=0, sep_token_id=3,
                max_position_embeddings=128 if size == "tiny" else 512)
    model = BlipForConditionalGeneration(BlipConfig(vision_config=dict(tower, image_size=side, patch_size=patch), text_config=text))
    wordpiece(folder, words)
    return model, side


def blip2(folder, size):
    from transformers import Blip2Config, Blip2ForConditionalGeneration
    side, patch, width, layers, heads, words = sizes(size)
    tower = dict(hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=heads, initializer_range=RANGE)
    text = dict(tower, model_type="opt", ffn_dim=4 * width, word_embed_proj_dim=width, vocab_size=words, max_position_embeddings=256,
                bos_token_id=2, eos_token_id=5, pad_token_id=1, init_std=RANGE)
    qformer = dict(tower, encoder_hidden_size=width, vocab_size=words, num_hidden_layers=max(layers // 2, 2))
    config = Blip2Config(vision_config=dict(tower, image_size=side, patch_size=patch), qformer_config=qformer, text_config=text,
                         num_query_tokens=32, image_token_index=words - 1)
    model = Blip2ForConditionalGeneration(config)
    torch.nn.init.normal_(model.query_tokens, std=RANGE)
    bytelevel(folder, words)
    return model, side


def make(kind, size, folder):
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    model, side = {"blip": blip, "blip2": blip2}[kind](folder, size)
    with torch.no_grad():
        for name, value in model.named_parameters():  # transformers has constants of its own for some
            if value.dim() > 1:
                torch.nn.init.normal_(value, std=RANGE)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "BlipImageProcessor", "size": {"height": side, "width": side}}))
    (folder / "pictures").mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    for i in range(PICTURES):
        small = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(small).resize((side, side), Image.BILINEAR).save(folder / "pictures" / f"{i:02}.png")


def timed(folder, batch, tokens, repeats):
    import transformers
    config = json.loads((folder / "config.json").read_text())
    model = getattr(transformers, config["architectures"][0]).from_pretrained(folder).eval()
    names = sorted((folder / "pictures").iterdir())[:batch]
    pixels = torch.from_numpy(np.stack([np.asarray(Image.open(n).convert("RGB")) for n in names]))
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)

    def caption():
        values = (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std
        options = dict(do_sample=False, num_beams=1, min_new_tokens=tokens, max_new_tokens=tokens)
        if config["model_type"] == "blip":
            return model.generate(pixel_values=values, **options)[:, 1:]
        ids = torch.full((batch, config["num_query_tokens"] + 1), config["image_token_index"])
        ids[:, -1] = 2  # </s>, which the tokenizer puts before nothing
        return model.generate(pixel_values=values, input_ids=ids, attention_mask=torch.ones_like(ids), **options)[:, ids.shape[1]:]

    seconds = []
    with torch.inference_mode():
        ids = caption()
        for _ in range(repeats):
            began = time.perf_counter()
            ids = caption()
            seconds.append(time.perf_counter() - began)
    print(json.dumps({"seconds_median": statistics.median(seconds), "seconds_min": min(seconds), "images_per_second": batch / statistics.median(seconds),
                      "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
                      "ids": ids.tolist()}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    p = commands.add_parser("make")
    p.add_argument("kind", choices=("blip", "blip2"))
    p.add_argument("size", choices=("tiny", "base"))
    p.add_argument("folder", type=pathlib.Path)
    p = commands.add_parser("time")
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--tokens", type=int, default=20)
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    if args.command == "make":
        make(args.kind, args.size, args.folder)
        return
    if args.threads:
        torch.set_num_threads(args.threads)
    if not 1 <= args.batch <= PICTURES:
        sys.exit(f"--batch {args.batch}: the folder has {PICTURES} pictures")
    timed(args.folder, args.batch, args.tokens, args.repeats)


if __name__ == "__main__":
    main()
