#!/usr/bin/env python3
"""Writes models/blip2/testdata/look.safetensors: the weights of the Q-Former's cross-attention in
transformers, for the model and the inputs of internal/golden/testdata/blip2-retrieval.

    alone.N   pictures alone, N-th cross-attention [pictures, heads, queries, patches]
    text.N    the same beside the texts, as ITM reads both

    python3 scripts/golden_look.py     needs torch, transformers and safetensors
"""
import pathlib

import torch
import transformers
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent
CASE = ROOT / "internal" / "golden" / "testdata" / "blip2-retrieval"

model = transformers.Blip2ForImageTextRetrieval.from_pretrained(CASE / "model", attn_implementation="eager").eval()
inputs = load_file(CASE / "inputs.safetensors")
expected = load_file(CASE / "expected.safetensors")

seen = []  # the weights of cross-attentions, in the order of the layers
for layer in model.qformer.encoder.layer:
    if layer.has_cross_attention:
        layer.crossattention.attention.register_forward_hook(lambda _, args, output: seen.append(output[1]))


def weights(run):
    seen.clear()
    with torch.no_grad():
        out = run()
    assert all(w is not None and w.dim() == 4 for w in seen), "this transformers does not return attention weights"
    return out, list(seen)


def alone():
    embeds = model.vision_model(inputs["pixel_values"]).last_hidden_state
    queries = model.query_tokens.expand(len(embeds), -1, -1)
    return model.qformer(query_embeds=queries, encoder_hidden_states=embeds,
                         encoder_attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long))


def text():
    return model(pixel_values=inputs["pixel_values"], input_ids=inputs["itm_input_ids"],
                 attention_mask=inputs["itm_attention_mask"], use_image_text_matching_head=True)


tensors = {}
for name, run in (("alone", alone), ("text", text)):
    out, looks = weights(run)
    if name == "text":
        assert torch.allclose(out.logits_per_image, expected["itm.logits"], atol=1e-5)
    tensors |= {f"{name}.{i}": w.contiguous() for i, w in enumerate(looks)}
path = ROOT / "models" / "blip2" / "testdata" / "look.safetensors"
path.parent.mkdir(exist_ok=True)
save_file(tensors, path, metadata={"made_by": "scripts/golden_look.py", "made_with": f"transformers {transformers.__version__}"})
print({k: list(v.shape) for k, v in tensors.items()})
