#!/usr/bin/env python3
"""Rewrites BLIP's training cases in internal/golden/testdata/train: blip-caption, blip-itm and blip-vqa. Each is a tiny BLIP of transformers with random weights, a batch,
and the loss that the BLIP source computes on it, with the gradient of every tensor:

    caption  [DEC] prompt caption [SEP], the prompt's labels masked, label smoothing 0.1
    itm      positives, negative pictures and negative texts, [ENC] in front, cross entropy
    vqa      weighted answers: sum(weight * summed smoothed cross entropy of an answer) / questions

The graphs are transformers' towers, the losses are written out here: transformers has no ITM loss
and another VQA loss. Needs torch, transformers and safetensors.
"""
import json
import pathlib
import shutil

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file

TESTDATA = pathlib.Path(__file__).resolve().parent.parent / "internal/golden/testdata/train"
VOCAB, DEC, ENC, SEP, CLS, PAD = 64, 62, 63, 4, 3, 0
SMOOTHING = 0.1


def config():
    text = dict(vocab_size=VOCAB, hidden_size=24, encoder_hidden_size=24, intermediate_size=40, projection_dim=12, num_hidden_layers=2,
                num_attention_heads=4, max_position_embeddings=16, hidden_act="gelu", layer_norm_eps=1e-12, hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0, bos_token_id=DEC, eos_token_id=SEP, pad_token_id=PAD, sep_token_id=SEP,
                label_smoothing=SMOOTHING)
    vision = dict(hidden_size=24, intermediate_size=40, projection_dim=12, num_hidden_layers=2, num_attention_heads=3, image_size=24,
                  patch_size=8, layer_norm_eps=1e-6)
    return transformers.BlipConfig(text_config=text, vision_config=vision, image_text_hidden_size=12)


def make(cls, seed):
    torch.manual_seed(seed)
    model = cls(config())
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn_like(p) * 0.2)
            if name.lower().endswith(("layernorm.weight", "layer_norm1.weight", "layer_norm2.weight")):
                p.add_(1)
    return model.eval()  # no dropout


def texts(generator, lengths, first):
    """Rows of words that end with [SEP], padded on the right."""
    width = max(lengths)
    ids = torch.full((len(lengths), width), PAD)
    for row, n in enumerate(lengths):
        ids[row, :n] = torch.randint(5, 60, (n,), generator=generator)
        ids[row, 0], ids[row, n - 1] = first, SEP
    return ids, (ids != PAD).long()


def word_losses(logits, ids, kept):
    """Smoothed cross entropy of each next word, 0 where it is not kept: [rows, text-1]."""
    labels = ids[:, 1:].masked_fill(kept[:, 1:] == 0, -100)
    flat = F.cross_entropy(logits[:, :-1].reshape(-1, VOCAB), labels.reshape(-1), reduction="none", label_smoothing=SMOOTHING)
    return flat.view(labels.shape)


def caption():
    model, g = make(transformers.BlipForConditionalGeneration, 1), torch.Generator().manual_seed(2)
    pixels = torch.randn(3, 3, 24, 24, generator=g)
    ids, mask = texts(g, [8, 6, 9], DEC)
    targets = mask.clone()
    targets[:, :4] = 0  # [DEC] and a prompt of three words
    image = model.vision_model(pixel_values=pixels).last_hidden_state
    labels = ids.masked_fill(targets == 0, -100)
    out = model.text_decoder(input_ids=ids, attention_mask=mask, encoder_hidden_states=image, labels=labels, reduction="mean")
    own = word_losses(out.logits, ids, targets).sum() / targets[:, 1:].sum()
    torch.testing.assert_close(own, out.loss)
    return model, {"pixel_values": pixels, "ids": ids, "mask": mask, "targets": targets}, {"logits": out.logits, "loss": out.loss}


def itm():
    model, g = make(transformers.BlipForImageTextRetrieval, 3), torch.Generator().manual_seed(4)
    pixels = torch.randn(4, 3, 24, 24, generator=g)
    ids, mask = texts(g, [7, 5, 8, 6], CLS)
    image_of_text, text_of_image = torch.tensor([2, 0, 3, 1]), torch.tensor([1, 3, 0, 2])
    image = model.vision_model(pixel_values=pixels).last_hidden_state
    encoder = ids.clone()
    encoder[:, 0] = ENC
    images = torch.cat([image, image[image_of_text], image])
    rows, seen = torch.cat([encoder, encoder, encoder[text_of_image]]), torch.cat([mask, mask, mask[text_of_image]])
    states = model.text_encoder(input_ids=rows, attention_mask=seen, encoder_hidden_states=images,
                                encoder_attention_mask=torch.ones(images.shape[:2], dtype=torch.long)).last_hidden_state
    logits = model.itm_head(states[:, 0])
    labels = torch.tensor([1] * 4 + [0] * 8)
    inputs = {"pixel_values": pixels, "ids": ids, "mask": mask, "image_of_text": image_of_text, "text_of_image": text_of_image}
    return model, inputs, {"logits": logits, "loss": F.cross_entropy(logits, labels)}


def vqa():
    model, g = make(transformers.BlipForQuestionAnswering, 5), torch.Generator().manual_seed(6)
    pixels = torch.randn(3, 3, 24, 24, generator=g)
    ids, mask = texts(g, [7, 5, 9], ENC)
    answers, seen = texts(g, [4, 3, 5, 4, 3, 6], DEC)  # two places a question
    weights = torch.tensor([0.7, 0.3, 1.0, 0.0, 0.4, 0.6])
    image = model.vision_model(pixel_values=pixels).last_hidden_state
    question = model.text_encoder(input_ids=ids, attention_mask=mask, encoder_hidden_states=image,
                                  encoder_attention_mask=torch.ones(image.shape[:2], dtype=torch.long)).last_hidden_state
    # One question a call: transformers' decoder does not pass the mask of what it looks at.
    logits = torch.cat([model.text_decoder(input_ids=answers[2 * i:2 * i + 2], attention_mask=seen[2 * i:2 * i + 2],
                                           encoder_hidden_states=question[i:i + 1, :mask[i].sum()].repeat(2, 1, 1)).logits for i in range(3)])
    losses = word_losses(logits, answers, seen).sum(1)
    inputs = {"pixel_values": pixels, "ids": ids, "mask": mask, "answers": answers, "seen": seen, "weights": weights}
    return model, inputs, {"losses": losses, "loss": (weights * losses).sum() / 3}


def write(name, make_case):
    model, inputs, expected = make_case()
    expected["loss"].backward()
    for parameter, p in model.named_parameters():
        if p.grad is not None:
            expected["grad." + parameter] = p.grad
    folder = TESTDATA / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder / "model")
    (folder / "model" / "generation_config.json").unlink(missing_ok=True)
    save_file({k: v.contiguous() for k, v in inputs.items()}, folder / "inputs.safetensors")
    save_file({k: v.detach().contiguous() for k, v in expected.items()}, folder / "expected.safetensors")
    (folder / "case.json").write_text(json.dumps({
        "case": name, "class_": type(model).__name__, "mode": "training loss of the BLIP source, with gradients",
        "made_by": f"scripts/golden_blip_train.py, transformers {transformers.__version__}, torch {torch.__version__}",
        "tolerance": {"abs": 1e-4, "rel": 1e-4},
    }, indent=1) + "\n")


for name, make_case in {"blip-caption": caption, "blip-itm": itm, "blip-vqa": vqa}.items():
    write(name, make_case)
