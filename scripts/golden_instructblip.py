#!/usr/bin/env python3
"""Makes internal/golden/testdata/instructblip and instructblip-opt with transformers: a tiny InstructBLIP
over a T5 whose config has what the published ones have (dense_act_fn beside feed_forward_proj, an untied
head), and one over an OPT, with instructions of several lengths.

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


T5 = dict(model_type="t5", vocab_size=61, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_decoder_layers=2, num_heads=3,
          relative_attention_num_buckets=8, relative_attention_max_distance=12, dropout_rate=0.0,
          feed_forward_proj="gated-gelu", dense_act_fn="gelu", is_gated_act=True, tie_word_embeddings=False,
          decoder_start_token_id=0)
OPT = dict(model_type="opt", vocab_size=61, hidden_size=16, word_embed_proj_dim=16, ffn_dim=24, num_hidden_layers=2, num_attention_heads=2,
           max_position_embeddings=64, dropout=0.0, bos_token_id=2, eos_token_id=4, pad_token_id=1)


def build(llm):
    config = InstructBlipConfig(
        vision_config=dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, image_size=18, patch_size=6),
        qformer_config=dict(vocab_size=50, hidden_size=20, num_hidden_layers=3, num_attention_heads=4, intermediate_size=28,
                            max_position_embeddings=16, cross_attention_frequency=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0),
        text_config=llm, num_query_tokens=QUERIES, image_token_index=IMAGE, architectures=["InstructBlipForConditionalGeneration"],
    )
    model = InstructBlipForConditionalGeneration(config).eval()
    fill(model, 31)
    return model


def over_t5():
    model = build(T5)
    with torch.no_grad():  # the head is a tensor of its own, whatever the class thinks
        torch.manual_seed(22)
        model.language_model.lm_head.weight = torch.nn.Parameter(torch.randn(61, 16))
        model.language_model.lm_head.weight[1] *= 1.5
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


def over_opt():
    model = build(OPT)
    torch.manual_seed(24)
    pixels = torch.randn(3, 3, 18, 18)
    instructions = torch.randint(1, 50, (3, 9))
    instruction_mask = torch.ones_like(instructions)
    instruction_mask[1, 4:] = 0
    instructions[instruction_mask == 0] = 0

    def texts(length, left):
        ids = torch.randint(5, 60, (3, length))
        ids[:, 0] = 2
        mask = torch.ones_like(ids)
        for row, padding in enumerate((0, 3, 1)):
            if padding and left:
                mask[row, :padding] = 0
                ids[row, padding] = 2
            elif padding:
                mask[row, -padding:] = 0
        ids[mask == 0] = 1
        return torch.cat([torch.full((3, QUERIES), IMAGE), ids], 1), torch.cat([torch.ones(3, QUERIES, dtype=mask.dtype), mask], 1)

    images = {"pixel_values": pixels, "qformer_input_ids": instructions, "qformer_attention_mask": instruction_mask}
    prompt, prompt_mask = texts(7, left=True)
    train, train_mask = texts(9, left=False)
    labels = train.clone()
    labels[train_mask == 0] = -100
    labels[:, :QUERIES + 2] = -100  # the image, </s> and a word of prompt
    prompted = model(**images, input_ids=prompt, attention_mask=prompt_mask)
    trained = model(**images, input_ids=train, attention_mask=train_mask, labels=labels)
    expected = {
        "vision.last_hidden_state": prompted.vision_outputs.last_hidden_state,
        "qformer.last_hidden_state": prompted.qformer_outputs.last_hidden_state,
        "language_projection": model.language_projection(prompted.qformer_outputs.last_hidden_state[:, :QUERIES]),
        "prompt.logits": prompted.logits * prompt_mask[..., None],
        "train.logits": trained.logits,
        "train.loss": trained.loss,
    }
    expected.update(generate(model, GENERATION, **images, input_ids=prompt, attention_mask=prompt_mask))
    inputs = {**images, "prompt_input_ids": prompt, "prompt_attention_mask": prompt_mask,
              "train_input_ids": train, "train_attention_mask": train_mask, "train_labels": labels}
    save_case("instructblip-opt", {"class_": "InstructBlipForConditionalGeneration", "generation": GENERATION}, inputs, expected, model)


def main():
    over_t5()
    over_opt()


if __name__ == "__main__":
    main()
