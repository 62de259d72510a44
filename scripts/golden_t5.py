#!/usr/bin/env python3
"""Makes the reference cases of T5 with transformers:

    internal/golden/testdata/t5-relu-tied    T5ForConditionalGeneration: relu, tied and scaled head, heads
                                             wider than the model, texts beyond the last bucket
    internal/golden/testdata/blip2-t5-stage2 loss and gradients of stage 2 with the model of blip2-t5
    models/t5/testdata/buckets.json          buckets of distances, for many settings

    python3 scripts/golden_t5.py
"""
import json
import pathlib

import torch
import transformers
from safetensors.torch import save_file
from transformers import Blip2ForConditionalGeneration, T5Config, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5Attention

ROOT = pathlib.Path(__file__).resolve().parent.parent
CASES = ROOT / "internal" / "golden" / "testdata"


def fill(model, seed):
    """Random weights, large enough that every tensor matters."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape)
            if name.endswith("norm.weight") or name.endswith("LayerNorm.weight"):
                p.copy_(1 + 0.2 * noise)
            elif p.dim() == 1:
                p.copy_(0.1 * noise)
            elif "shared" in name or "relative_attention_bias" in name or "embedding" in name or name == "query_tokens":
                p.copy_(noise)
            else:  # T5's scores are not scaled: its queries must be small
                p.copy_((1.0 if name.endswith(".q.weight") else 1.5) * noise / p[0].numel() ** 0.5)


def save_case(name, about, inputs, expected, model=None):
    out = CASES / name
    out.mkdir(parents=True, exist_ok=True)
    about = {
        **about,
        "made_by": f"scripts/golden_{'instructblip' if 'instruct' in name else 't5'}.py",
        "made_with": {"torch": torch.__version__, "transformers": transformers.__version__},
        "tolerance": {"abs": 1e-4, "rel": 1e-4},
        "expected": {k: {"shape": list(v.shape), "dtype": str(v.dtype).removeprefix("torch.")} for k, v in expected.items()},
    }
    (out / "case.json").write_text(json.dumps(about, indent=1) + "\n")
    contiguous = lambda t: {k: v.detach().clone().contiguous() for k, v in t.items()}
    save_file(contiguous(inputs), out / "inputs.safetensors")
    save_file(contiguous(expected), out / "expected.safetensors")
    if model is not None:
        model.save_pretrained(out / "model")
        for extra in (out / "model").iterdir():
            if extra.name not in ("config.json", "model.safetensors"):
                extra.unlink()


def generate(model, settings, **inputs):
    """What each setting generates, and the scores of beams."""
    out = {}
    for name, s in settings.items():
        got = model.generate(**inputs, do_sample=False, output_scores=True, return_dict_in_generate=True, **s)
        out[f"gen.{name}.ids"] = got.sequences
        if s.get("num_beams", 1) > 1:
            out[f"gen.{name}.sequences_scores"] = got.sequences_scores
    return out


GENERATION = {
    "greedy": {"max_new_tokens": 20},
    "greedy_rules": {"max_new_tokens": 14, "repetition_penalty": 1.7, "no_repeat_ngram_size": 2, "min_length": 6},
    "beam4": {"num_beams": 4, "max_new_tokens": 12},
    "beam4_short": {"num_beams": 4, "max_new_tokens": 12, "length_penalty": -2.0},
    "beam3_long": {"num_beams": 3, "max_new_tokens": 13, "length_penalty": 2.0, "min_new_tokens": 5},
    "beam3_rules": {"num_beams": 3, "max_new_tokens": 11, "repetition_penalty": 1.4, "no_repeat_ngram_size": 3, "min_length": 4},
}


def relu_tied():
    config = T5Config(
        vocab_size=61, d_model=20, d_kv=6, d_ff=28, num_layers=3, num_decoder_layers=2, num_heads=5,
        relative_attention_num_buckets=9, relative_attention_max_distance=11, dropout_rate=0.1,
        layer_norm_epsilon=1e-5, feed_forward_proj="relu", decoder_start_token_id=3, pad_token_id=0, eos_token_id=1,
    )
    model = T5ForConditionalGeneration(config).eval()
    fill(model, 30)
    with torch.no_grad():
        model.shared.weight[1] *= 2.2  # so that texts end
        for name, p in model.decoder.named_parameters():
            if name.endswith(("o.weight", "wo.weight")):
                p *= 4  # so that a tied head does not only repeat its input
    torch.manual_seed(8)
    ids = torch.randint(4, 61, (3, 40))
    mask = torch.ones_like(ids)
    mask[1, 23:] = 0  # right padding
    mask[2, :9] = 0  # left padding
    ids[mask == 0] = 0
    labels = torch.randint(4, 61, (3, 31))
    labels[1, 12:] = -100
    labels[2, 5] = -100
    label_mask = torch.ones_like(labels)
    label_mask[1, 12:] = 0
    label_mask[2, 7:9] = 0
    plain = model(input_ids=ids, attention_mask=mask, labels=labels, output_hidden_states=True)
    plain.loss.backward()
    masked = model(input_ids=ids, attention_mask=mask, labels=labels, decoder_attention_mask=label_mask)
    expected = {"loss": plain.loss, "logits": plain.logits, "with_decoder_mask.loss": masked.loss, "with_decoder_mask.logits": masked.logits}
    expected["encoder_last_hidden_state"] = plain.encoder_last_hidden_state
    expected.update({f"grad.{n}": p.grad for n, p in model.named_parameters()})
    expected.update(generate(model, GENERATION, input_ids=ids, attention_mask=mask))
    save_case("t5-relu-tied", {"class_": "T5ForConditionalGeneration", "generation": GENERATION},
              {"input_ids": ids, "attention_mask": mask, "labels": labels, "decoder_attention_mask": label_mask}, expected, model)


def stage2():
    model = Blip2ForConditionalGeneration.from_pretrained(CASES / "blip2-t5" / "model", dtype=torch.float32).eval()
    queries, image = model.config.num_query_tokens, model.config.image_token_id
    torch.manual_seed(9)
    prefixes, suffixes = [[12, 40, 1], [77, 1], [5, 6, 7, 8, 1]], [[9, 13, 55, 1], [101, 44, 3, 9, 31, 200, 1], [2, 1]]
    pad = lambda rows, filler: torch.tensor([r + [filler] * (max(map(len, rows)) - len(r)) for r in rows])
    pixels, ids, labels = torch.randn(3, 3, 28, 28), pad(prefixes, 0), pad(suffixes, 0)
    mask, targets = (ids != 0).long(), (labels != 0).long()
    soft = lambda value: torch.full((3, queries), value)
    inputs = {"pixel_values": pixels, "input_ids": torch.cat([soft(image), ids], 1), "attention_mask": torch.cat([soft(1), mask], 1),
              "labels": labels.masked_fill(targets == 0, -100), "decoder_attention_mask": targets}
    trained = [(n, p) for n, p in model.named_parameters()
               if not n.startswith("language_model.") and (not n.startswith("vision_model.") or "post_layernorm" in n)]
    loss = model(**inputs).loss
    grads = torch.autograd.grad(loss, [p for _, p in trained])
    save_case("blip2-t5-stage2", {"class_": "Blip2ForConditionalGeneration", "model": "../blip2-t5/model"}, inputs,
              {"loss": loss, **{f"grad.{n}": g for (n, _), g in zip(trained, grads)}})


def buckets():
    cases = []
    distances = list(range(-300, 301))
    for count, farthest in [(32, 128), (8, 16), (9, 11), (4, 3), (16, 20), (64, 50), (10, 1000), (5, 7), (32, 17), (12, 100)]:
        for both in (True, False):
            got = T5Attention._relative_position_bucket(torch.tensor(distances), both, count, farthest)
            cases.append({"buckets": count, "max_distance": farthest, "bidirectional": both, "of": got.tolist()})
    out = ROOT / "models" / "t5" / "testdata"
    out.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    (out / "buckets.json").write_text(f'{{"first":{distances[0]},"cases":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    relu_tied()
    stage2()
    buckets()
