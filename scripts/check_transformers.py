#!/usr/bin/env python3
"""Opens the model folders of a quickstart in transformers and compares what both programs compute.

    python3 scripts/check_transformers.py runs/quickstart [--goblip bin/goblip] [--pictures 6]

lm, stage1 and stage2 must open as OPTForCausalLM, Blip2ForImageTextRetrieval and
Blip2ForConditionalGeneration without a missing or unexpected tensor, with processors and
tokenizers from the folders. On some test pictures, scores must agree within TOLERANCE and texts
exactly. (clip is goblip's own composition: transformers has no class for it.)
Needs torch, transformers and pillow. Exit status 1 if anything differs.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import torch
import transformers
from PIL import Image

TOLERANCE = 1e-4

WAYS = {  # of generating: goblip's flags and transformers' arguments
    "greedy": ([], {}),
    "3 beams": (["--num-beams", "3"], {"num_beams": 3}),
    "4 beams, short": (
        ["--num-beams", "4", "--length-penalty", "-1", "--max-new-tokens", "12"],
        {"num_beams": 4, "length_penalty": -1.0, "max_new_tokens": 12},
    ),
    "penalties": (
        ["--repetition-penalty", "1.3", "--no-repeat-ngram-size", "2", "--min-new-tokens", "10"],
        {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2, "min_new_tokens": 10},
    ),
    "beams, penalties": (
        ["--num-beams", "3", "--repetition-penalty", "1.3", "--no-repeat-ngram-size", "2"],
        {"num_beams": 3, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
    ),
}

failed = False


def report(name, difference, tolerance=TOLERANCE):
    global failed
    wrong = not difference <= tolerance  # NaN is wrong
    failed |= wrong
    print(f"{name:44} {difference:.2g}{'   TOO LARGE' if wrong else ''}")


def open_model(cls, folder):
    """from_pretrained, and a complaint about every tensor that does not fit."""
    global failed
    model, info = cls.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    wrong = {kind: names for kind, names in info.items() if names}
    failed |= bool(wrong)
    print(f"{folder}: {cls.__name__}: {wrong or 'every tensor fits'}")
    return model.eval()


def goblip(args, *command):
    """The JSON values that a command prints."""
    out = subprocess.run([args.goblip, *map(str, command), "--json"], check=True, stdout=subprocess.PIPE, text=True).stdout
    values, decoder = [], json.JSONDecoder()
    while out := out.lstrip():
        value, end = decoder.raw_decode(out)
        values.append(value)
        out = out[end:]
    return values


def check_lm(args):
    """The language model alone: transformers opens it, and stage 2 holds the same one."""
    folder = args.run / "lm" / "final"
    model = open_model(transformers.OPTForCausalLM, folder)
    words = transformers.AutoTokenizer.from_pretrained(folder)
    ids = words(args.texts, padding=True, return_tensors="pt")
    ids.pop("token_type_ids", None)
    return model(**ids).logits


def check_stage1(args):
    folder = args.run / "stage1" / "final"
    model = open_model(transformers.Blip2ForImageTextRetrieval, folder)
    processor = transformers.AutoProcessor.from_pretrained(folder)
    flags = [f for text in args.texts for f in ("--text", text)]
    pairs = goblip(args, "match", "--checkpoint", folder, *flags, *args.pictures)
    ours = {key: torch.tensor([p[key] for p in pairs]).view(len(args.pictures), -1) for key in ("itc", "itm")}
    texts = len(args.texts)
    itc, itm = [], []
    for image in args.images:
        inputs = processor(images=[image] * texts, text=args.texts, padding=True, return_tensors="pt")
        itm.append(model(**inputs, use_image_text_matching_head=True).logits_per_image.softmax(-1)[:, 1])
        itc.append(model(**inputs).logits_per_image[0])
    report("stage 1: ITC cosines", (torch.stack(itc) - ours["itc"]).abs().max().item())
    report("stage 1: ITM probabilities", (torch.stack(itm) - ours["itm"]).abs().max().item())


def check_stage2(args, lm_logits):
    global failed
    folder = args.run / "stage2" / "final"
    model = open_model(transformers.Blip2ForConditionalGeneration, folder)
    processor = transformers.AutoProcessor.from_pretrained(folder)
    ids = processor.tokenizer(args.texts, padding=True, return_tensors="pt")
    ids.pop("token_type_ids", None)
    report("stage 2: logits of its OPT, against lm", (model.language_model(**ids).logits - lm_logits).abs().max().item(), 0)
    question = "Question: what colour is the circle? Answer:"
    for name, (flags, options) in WAYS.items():
        options = {"max_new_tokens": 30, "do_sample": False} | options
        ours = goblip(args, "caption", "--checkpoint", folder, *flags, *args.pictures)
        ours += goblip(args, "caption", "--checkpoint", folder, "--prompt", question, *flags, *args.pictures)
        scores, logprobs, differ = 0.0, 0.0, 0
        for image, prompt, our in zip(args.images * 2, [""] * len(args.images) + [question] * len(args.images), ours):
            inputs = processor(images=image, text=prompt, return_tensors="pt")
            start = inputs["input_ids"].shape[1]
            out = model.generate(**inputs, **options, return_dict_in_generate=True, output_scores=True)
            new = out.sequences[0, start:]
            ends = (new == model.config.text_config.eos_token_id).nonzero()
            new = new[: ends[0] + 1] if len(ends) else new
            text = processor.tokenizer.decode(new, skip_special_tokens=True).strip()
            if text != our["text"]:
                differ += 1
                print(f"  transformers {text!r}\n  goblip       {our['text']!r}")
                continue
            # Log-probabilities of the same tokens, before any penalty: what OPT says behind the prompt.
            full = torch.cat([inputs["input_ids"][0], new])[None]
            logits = model(pixel_values=inputs["pixel_values"], input_ids=full, attention_mask=torch.ones_like(full)).logits
            theirs = logits[0, start - 1 : -1].log_softmax(-1).gather(1, new[:, None])[:, 0]
            logprobs = max(logprobs, (theirs - torch.tensor(our["token_logprobs"])).abs().max().item())
            if "num_beams" in options:
                scores = max(scores, abs(out.sequences_scores[0].item() - our["score"]))
        failed |= differ > 0
        print(f"{'stage 2, ' + name:44} {len(ours) - differ} of {len(ours)} texts equal")
        report("  log-probabilities of tokens", logprobs)
        if "num_beams" in options:
            report("  scores of beams", scores)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=pathlib.Path, help="folder of a quickstart")
    parser.add_argument("--goblip", default="bin/goblip")
    parser.add_argument("--pictures", type=int, default=6)
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    data = args.run / "data" / "test.jsonl"
    with open(data) as lines:
        records = [json.loads(next(lines)) for _ in range(args.pictures)]
    args.pictures = [data.parent / r["image"] for r in records]
    args.images = [Image.open(p).convert("RGB") for p in args.pictures]
    args.texts = [r["captions"][0] for r in records]
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    logits = check_lm(args)
    check_stage1(args)
    check_stage2(args, logits)
    sys.exit(failed)


if __name__ == "__main__":
    main()
