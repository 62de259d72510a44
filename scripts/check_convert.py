#!/usr/bin/env python3
"""Converts model folders with goblip and opens the results in torch and transformers.

    python3 scripts/check_convert.py [--goblip bin/goblip] [--work DIR] FOLDER...

Each FOLDER is a model folder of transformers. It goes folder -> folder, folder -> .pth -> folder,
folder -> shards and folder -> .bin; transformers must open each folder without a missing or
unexpected tensor and give the same logits, bit for bit, and torch.load(weights_only=True) must open
the files. Without a FOLDER, small models of every class are made. Needs torch and transformers.
Exit status 1 if anything differs.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

import torch
import transformers as hf

failed = False


def complain(wrong, text):
    global failed
    failed |= bool(wrong)
    print(f"    {text}{'   WRONG' if wrong else ''}")


def make_models(work):
    """Small models with random weights, in the sizes of scripts/golden_layout.py."""
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    import golden_layout

    torch.manual_seed(1)
    for i, (name, config) in enumerate(golden_layout.small()):
        model = getattr(hf, name)(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0, 0.2)
            for key, parameter in model.named_parameters():
                if key.endswith("qkv.bias"):  # EVA-CLIP's keys have none
                    third = len(parameter) // 3
                    parameter[third : 2 * third] = 0
        folder = work / f"{i:02d}-{name}"
        model.save_pretrained(folder)
        yield folder


def open_model(folder):
    config = hf.AutoConfig.from_pretrained(folder)
    cls = getattr(hf, config.architectures[0])
    model, info = cls.from_pretrained(folder, output_loading_info=True)
    wrong = {kind: names for kind, names in info.items() if names}
    return model.eval(), wrong


def inputs(model):
    """Something that the model can be run on."""
    torch.manual_seed(2)
    config = model.config
    text = getattr(config, "text_config", config)
    image_token = getattr(config, "image_token_index", None)
    words = torch.randint(4, min(text.vocab_size, 40), (2, 7))
    given = {"input_ids": words, "attention_mask": torch.ones_like(words)}
    vision = getattr(config, "vision_config", None)
    if vision is not None:
        given["pixel_values"] = torch.randn(2, 3, vision.image_size, vision.image_size)
    name = type(model).__name__
    if name == "InstructBlipForConditionalGeneration":
        given |= {"qformer_input_ids": words, "qformer_attention_mask": torch.ones_like(words)}
    if image_token is not None and "Retrieval" not in name:
        image = torch.full((2, config.num_query_tokens), image_token)
        given["input_ids"] = torch.cat([image, words], 1)
        given["attention_mask"] = torch.ones_like(given["input_ids"])
    if getattr(text, "is_encoder_decoder", False):
        given["decoder_input_ids"] = words[:, :3]
    if name == "BlipForQuestionAnswering":
        given["decoder_input_ids"], given["labels"] = words[:, :3], words[:, :3]
    if name == "Blip2ForImageTextRetrieval":
        given["use_image_text_matching_head"] = True
    return given


def tensors(output, prefix=""):
    """All tensors of an output, by where they are."""
    if torch.is_tensor(output):
        yield prefix, output
    elif isinstance(output, dict):
        for key, value in output.items():
            yield from tensors(value, f"{prefix}.{key}")
    elif isinstance(output, (list, tuple)):
        for i, value in enumerate(output):
            yield from tensors(value, f"{prefix}.{i}")


def run(model):
    with torch.no_grad():
        return dict(tensors(dict(model(**inputs(model)))))


def same_logits(source, folder):
    model, wrong = open_model(source)
    converted, wrong_too = open_model(folder)
    complain(wrong or wrong_too, f"{folder.name}: {type(converted).__name__}, {'every tensor fits' if not (wrong or wrong_too) else (wrong, wrong_too)}")
    want, got = run(model), run(converted)
    largest = max((got[k].double() - want[k].double()).abs().max().item() for k in want)
    complain(largest != 0 or got.keys() != want.keys(), f"{folder.name}: {len(want)} outputs, largest difference {largest:g}")


def check_file(path, source):
    saved = torch.load(path, weights_only=True)
    state = saved.get("model", saved)
    kinds = {type(v).__name__ for v in state.values()}
    complain(kinds != {"Tensor"}, f"{path.name}: torch.load with weights_only: {len(state)} tensors" + (f", files {sorted(saved['files'])}" if "files" in saved else ""))
    mapped = torch.load(path, weights_only=True, mmap=True)
    mapped = mapped.get("model", mapped)
    complain(any(not torch.equal(mapped[k], state[k]) for k in state), f"{path.name}: the same with mmap")
    if path.suffix == ".bin":
        want = {k: v for k, v in open_model(source)[0].state_dict().items()}
        complain(any(not torch.equal(want[k], v) for k, v in state.items() if k in want), f"{path.name}: equals the model's state dict")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goblip", default="bin/goblip")
    parser.add_argument("--work", type=pathlib.Path, help="where converted models stay")
    parser.add_argument("folders", nargs="*", type=pathlib.Path)
    args = parser.parse_args()
    hf.logging.set_verbosity_error()
    hf.logging.disable_progress_bar()
    work = args.work or pathlib.Path(tempfile.mkdtemp(prefix="check-convert-"))
    work.mkdir(parents=True, exist_ok=True)

    def convert(source, destination, *flags):
        done = subprocess.run([args.goblip, "convert", source, destination, *flags], capture_output=True, text=True)
        lines = (done.stdout + done.stderr).strip().splitlines()
        complain(done.returncode, f"convert: {lines[-1] if lines else done.returncode}")
        return done.returncode == 0

    for source in args.folders or make_models(work):
        print(source)
        out = work / f"converted-{source.parent.name if source.name == 'model' else source.name}"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        if convert(source, out / "folder"):
            same_logits(source, out / "folder")
        if convert(source, out / "original.pth"):
            check_file(out / "original.pth", source)
            if convert(out / "original.pth", out / "back"):
                same_logits(source, out / "back")
        if convert(source, out / "shards", "--shard-size", "20KB"):
            same_logits(source, out / "shards")
        if convert(source, out / "pytorch_model.bin"):
            check_file(out / "pytorch_model.bin", source)
            (out / "old").mkdir()
            shutil.copy(out / "pytorch_model.bin", out / "old")
            shutil.copy(source / "config.json", out / "old")
            if convert(out / "old", out / "renewed"):
                same_logits(source, out / "renewed")
    if not args.work:
        shutil.rmtree(work)
    sys.exit(failed)


if __name__ == "__main__":
    main()
