#!/usr/bin/env python3
"""Makes internal/golden/testdata/instructblip with transformers: a tiny InstructBLIP over a T5 whose
config has what the published ones have (dense_act_fn beside feed_forward_proj, an untied head), with
instructions of several lengths.

    python3 scripts/golden_instructblip.py
"""
import torch
from transformers import InstructBlipConfig, InstructBlipForConditionalGeneration

from golden_t5 import fill, generate, save_case

QUERIES, IMAGE = 3, 60
GENERATION = {
    "greedy": {"max_new_tokens": 12},
    "beam5": {"num_beams": 5, "max_new_tokens": 10, "length_penalty": -1.0, "min_length": 1},
    "beam3_rep": {"num_beams": 3, "max_new_tokens": 9, "repetition_penalty": 1.5},
}


def build():
    config = InstructBlipConfig(
        vision_config=dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, image_size=18, patch_size=6),
        qformer_config=dict(vocab_size=50, hidden_size=20, num_hidden_layers=3, num_attention_heads=4, intermediate_size=28,
                            max_position_embeddings=16, cross_attention_frequency=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0),
        text_config=dict(model_type="t5", vocab_size=61, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_decoder_layers=2, num_heads=3,
                         relative_attention_num_buckets=8, relative_attention_max_distance=12, dropout_rate=0.0,
                         feed_forward_proj="gated-gelu", dense_act_fn="gelu", is_gated_act=True, tie_word_embeddings=False,
                         decoder_start_token_id=0),
        num_query_tokens=QUERIES, image_token_index=IMAGE, architectures=["InstructBlipForConditionalGeneration"],
    )
    model = InstructBlipForConditionalGeneration(config).eval()
    fill(model, 31)
    with torch.no_grad():  # the head is a tensor of its own, whatever the class thinks
        torch.manual_seed(22)
        model.language_model.lm_head.weight = torch.nn.Parameter(torch.randn(61, 16))
        model.language_model.lm_head.weight[1] *= 1.5
    return model


def main():
    model = build()
    torch.manual_seed(23)
    pixels = torch.randn(3, 3, 18, 18)
    instructions = torch.randint(1, 50, (3, 9))
    instruction_mask = torch.ones_like(instructions)
    instruction_mask[0, 5:] = 0
    instruction_mask[2, 2:] = 0
    instructions[instruction_mask == 0] = 0
    ids = torch.cat([torch.full((3, QUERIES), IMAGE), torch.randint(2, 60, (3, 11))], 1)
    mask = torch.ones_like(ids)
    mask[0, QUERIES + 6:] = 0
    mask[2, QUERIES + 3:] = 0
    ids[mask == 0] = 0
    labels = torch.randint(1, 60, (3, 7))
    labels[1, 4:] = -100
    inputs = {"pixel_values": pixels, "qformer_input_ids": instructions, "qformer_attention_mask": instruction_mask,
              "input_ids": ids, "attention_mask": mask}
    out = model(**inputs, labels=labels)
    expected = {
        "vision.last_hidden_state": out.vision_outputs.last_hidden_state,
        "qformer.last_hidden_state": out.qformer_outputs.last_hidden_state,  # the instruction's states too
        "language_projection": model.language_projection(out.qformer_outputs.last_hidden_state[:, :QUERIES]),
        "t5.encoder_last_hidden_state": out.language_model_outputs.encoder_last_hidden_state,
        "logits": out.logits,
        "loss": out.loss,
    }
    expected.update(generate(model, GENERATION, **inputs))
    save_case("instructblip", {"class_": "InstructBlipForConditionalGeneration", "generation": GENERATION},
              {**inputs, "labels": labels}, expected, model)


if __name__ == "__main__":
    main()
