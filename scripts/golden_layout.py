#!/usr/bin/env python3
"""Writes checkpoints/layout/testdata/layouts.json: for each class of transformers, configurations and
the names and shapes that the class gives its tensors. Needs torch and transformers; no weights are made.

Small models have all names; large ones, of the sizes that are published, a digest of them.
"""

import hashlib
import json
import pathlib

import torch
import transformers as hf

OUT = pathlib.Path(__file__).resolve().parent.parent / "checkpoints" / "layout" / "testdata" / "layouts.json"

VISION = dict(hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14)
BERT = dict(vocab_size=50, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24, max_position_embeddings=30)
OPT = dict(vocab_size=60, hidden_size=16, num_hidden_layers=2, ffn_dim=32, num_attention_heads=2, max_position_embeddings=40, word_embed_proj_dim=16)
T5 = dict(vocab_size=60, d_model=16, d_kv=6, d_ff=24, num_layers=2, num_decoder_layers=3, num_heads=2)
TEXT = dict(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, max_position_embeddings=30)


def small():
    blip = dict(text_config=BERT | {"projection_dim": 8, "bos_token_id": 48, "sep_token_id": 3}, image_text_hidden_size=10, projection_dim=8)
    for name in ("BlipForConditionalGeneration", "BlipForImageTextRetrieval", "BlipForQuestionAnswering"):
        # VQA's decoder looks at the question's states as if they were the picture's.
        width = BERT["hidden_size"] if "Question" in name else VISION["hidden_size"]
        yield name, hf.BlipConfig(vision_config=VISION | {"hidden_size": width}, **blip)
    blip2 = dict(vision_config=VISION, num_query_tokens=5, image_text_hidden_size=10)
    qformer = BERT | {"encoder_hidden_size": 12, "cross_attention_frequency": 2}
    yield "Blip2ForConditionalGeneration", hf.Blip2Config(text_config=OPT | {"model_type": "opt"}, qformer_config=qformer, image_token_index=59, **blip2)
    yield "Blip2ForConditionalGeneration", hf.Blip2Config(text_config=T5 | {"model_type": "t5", "feed_forward_proj": "gated-gelu"}, qformer_config=qformer, image_token_index=59, **blip2)
    yield "Blip2ForImageTextRetrieval", hf.Blip2Config(text_config=OPT | {"model_type": "opt"}, qformer_config=qformer | {"use_qformer_text_input": True}, **blip2)
    instruct = dict(vision_config=VISION | {"qkv_bias": False}, qformer_config=qformer, num_query_tokens=5, image_token_index=59)
    yield "InstructBlipForConditionalGeneration", hf.InstructBlipConfig(text_config=T5 | {"model_type": "t5"}, **instruct)
    for layout in ({}, {"do_layer_norm_before": False, "word_embed_proj_dim": 8}):
        yield "OPTForCausalLM", hf.OPTConfig(**OPT | layout)
    for layout in ({}, {"feed_forward_proj": "gated-gelu"}):
        yield "T5ForConditionalGeneration", hf.T5Config(**T5 | layout)
    yield "BertModel", hf.BertConfig(**BERT)
    yield "CLIPModel", hf.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=8)


def large():
    for name in ("BlipForConditionalGeneration", "BlipForImageTextRetrieval", "BlipForQuestionAnswering"):
        yield name, hf.BlipConfig()
        if "Conditional" in name:
            yield name, hf.BlipConfig(vision_config=dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16), text_config=dict(encoder_hidden_size=1024))
    opt = dict(hidden_size=2560, ffn_dim=10240, num_hidden_layers=32, num_attention_heads=32, word_embed_proj_dim=2560, model_type="opt", vocab_size=50304)
    flan = dict(model_type="t5", d_model=2048, d_ff=5120, num_layers=24, num_heads=32, feed_forward_proj="gated-gelu", vocab_size=32128)
    yield "Blip2ForConditionalGeneration", hf.Blip2Config(text_config=opt)
    yield "Blip2ForConditionalGeneration", hf.Blip2Config(text_config=flan, vision_config=dict(image_size=364))
    yield "Blip2ForImageTextRetrieval", hf.Blip2Config(qformer_config=dict(use_qformer_text_input=True, vocab_size=30523))
    yield "InstructBlipForConditionalGeneration", hf.InstructBlipConfig(text_config=flan)
    yield "OPTForCausalLM", hf.OPTConfig(**opt)
    yield "T5ForConditionalGeneration", hf.T5Config(**flan)
    yield "BertModel", hf.BertConfig()
    yield "CLIPModel", hf.CLIPConfig()
    yield "CLIPModel", hf.CLIPConfig(projection_dim=768, text_config=dict(hidden_size=768, intermediate_size=3072, num_attention_heads=12),
                                     vision_config=dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, patch_size=14))


def shapes(name, config):
    """Names and shapes of the file that save_pretrained writes, and those of tied copies."""
    with torch.device("meta"):
        model = getattr(hf, name)(config)
    state = {k: list(v.shape) for k, v in model.state_dict().items()}
    tied = set(model.all_tied_weights_keys)
    return {k: v for k, v in state.items() if k not in tied}, {k: v for k, v in state.items() if k in tied}


def digest(tensors):
    lines = "".join(f"{name} {json.dumps(shape, separators=(',', ':'))}\n" for name, shape in sorted(tensors.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def main():
    cases = []
    for size, models in (("small", small()), ("large", large())):
        for name, config in models:
            config.architectures = [name]
            # As files of the old libraries and the new ones: with all keys, and with those that differ from the defaults.
            own, tied = shapes(name, config)
            for diff in (False, True):
                text = config.to_json_string(use_diff=diff)
                case = {"class": name, "config": json.loads(text), "tensors": len(own), "digest": digest(own)}
                if size == "small" and diff:
                    case |= {"own": own, "tied": tied}
                cases.append(case)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    made_by = f"scripts/golden_layout.py, transformers {hf.__version__}"
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    OUT.write_text(f'{{"made_by": "{made_by}", "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
