#!/usr/bin/env python3
"""One step of BLIP's pre-training in PyTorch, to time beside "goblip bench".

    goblip bench --config blip.json --write DIR
    python3 scripts/bench/blip_torch.py blip.json DIR

The same work as goblip's step on the same weights and batches: momentum encoders that follow the weights first, ITC
against their features and two queues with soft targets, ITM (the next pair as negative in both directions), LM by a
decoder with a self-attention of its own, and AdamW that decays everything. The pictures' cross-attention keys and
values are projected once, for decoder and ITM, as goblip does it. No dropout. Needs torch; prints one line of JSON.
"""
import copy
import re

import torch
import torch.nn.functional as F
from torch import nn

import steps
from step_torch import Attention, FeedForward, ViT, load, main, vit_name
from steps import ALPHA, IGNORED, MOMENTUM, SMOOTHING


class TextLayer(nn.Module):
    def __init__(self, c, image_dim):
        super().__init__()
        self.attention, self.crossattention = Attention(c, c["hidden_size"]), Attention(c, image_dim)
        self.feed_forward = FeedForward(c)

    def forward(self, x, mask, image=None, own=None):
        """image: the pictures' keys and values; own: another self-attention."""
        attention = own or self.attention
        x = attention(x, attention.keys_values(x), mask)
        if image is not None:
            x = self.crossattention(x, image)
        return self.feed_forward(x)


class Encoders(nn.Module):
    """What has a momentum copy."""

    def __init__(self, config):
        super().__init__()
        c, d = config["text"], config["text"]["hidden_size"]
        image_dim, projection = config["vision"]["hidden_size"], config["image_text_hidden_size"]
        self.vit, self.vit_norm = ViT(config["vision"]), nn.LayerNorm(image_dim, 1e-6)
        self.words, self.positions, self.norm = nn.Embedding(c["vocab_size"], d), nn.Embedding(512, d), nn.LayerNorm(d, 1e-12)
        self.layers = nn.ModuleList(TextLayer(c, image_dim) for _ in range(c["num_hidden_layers"]))
        self.vision_proj, self.text_proj = nn.Linear(image_dim, projection), nn.Linear(d, projection)

    def look(self, pixels):
        """(states, features) of pictures."""
        states = self.vit_norm(self.vit(pixels))
        return states, F.normalize(self.vision_proj(states[:, 0]), dim=-1)

    def embed(self, ids):
        return self.norm(self.words(ids) + self.positions.weight[: ids.shape[1]])

    def read(self, x, mask, images=None):
        for i, layer in enumerate(self.layers):
            x = layer(x, mask, None if images is None else images[i])
        return x

    def text_features(self, ids, visible):
        states = self.read(self.embed(ids), visible[:, None, None])
        return F.normalize(self.text_proj(states[:, 0]), dim=-1)


class BLIP(nn.Module):
    def __init__(self, config):
        super().__init__()
        c, d = config["text"], config["text"]["hidden_size"]
        self.bos, self.enc = c["vocab_size"] - 2, c["vocab_size"] - 1  # [DEC], [ENC]
        self.encoders = Encoders(config)
        self.momentum = copy.deepcopy(self.encoders)
        self.decoder = nn.ModuleList(Attention(c, d) for _ in range(c["num_hidden_layers"]))
        self.transform, self.transform_norm = nn.Linear(d, d), nn.LayerNorm(d, 1e-12)
        self.word_bias = nn.Parameter(torch.zeros(c["vocab_size"]))
        self.itm_head = nn.Linear(d, 2)
        self.temp = nn.Parameter(torch.tensor(0.07))
        self.image_queue, self.text_queue = (nn.Parameter(torch.zeros(config["image_text_hidden_size"], config["queue_size"])) for _ in range(2))
        self.pointer = 0

    @torch.no_grad()
    def follow(self):
        """Moves the copies, and clamps the temperature."""
        torch._foreach_lerp_(list(self.momentum.parameters()), list(self.encoders.parameters()), 1 - MOMENTUM)
        self.temp.clamp_(0.001, 0.5)

    @torch.no_grad()
    def enqueue(self, image_features, text_features):
        columns = slice(self.pointer, self.pointer + len(image_features))
        self.image_queue[:, columns], self.text_queue[:, columns] = image_features.T, text_features.T
        self.pointer = columns.stop % self.image_queue.shape[1]

    def forward(self, pixels, ids, mask):
        """-> (ita, itm, lm), momentum features of pictures and texts"""
        e, batch, visible = self.encoders, len(ids), mask.bool()
        image, image_features = e.look(pixels)
        text_features = e.text_features(ids, visible)
        with torch.no_grad():
            slow_image = self.momentum.look(pixels)[1]
            slow_text = self.momentum.text_features(ids, visible)
            image_keys, text_keys = (torch.cat([slow.T, queue.detach()], 1) for slow, queue in ((slow_image, self.image_queue), (slow_text, self.text_queue)))
            pairs = torch.eye(batch, image_keys.shape[1])
            targets = [ALPHA * F.softmax(slow @ keys / self.temp, -1) + (1 - ALPHA) * pairs for slow, keys in ((slow_image, text_keys), (slow_text, image_keys))]
        ita = (F.cross_entropy(image_features @ text_keys / self.temp, targets[0]) + F.cross_entropy(text_features @ image_keys / self.temp, targets[1])) / 2

        images = [layer.crossattention.keys_values(image) for layer in e.layers]
        own = torch.arange(batch)
        negative = own.roll(-1)  # the next pair
        image_rows, text_rows = torch.cat([own, negative, own]), torch.cat([own, own, negative])
        encoder_ids = torch.cat([torch.full_like(ids[:, :1], self.enc), ids[:, 1:]], 1)
        picked = [tuple(t[image_rows] for t in kv) for kv in images]
        matched = e.read(e.embed(encoder_ids)[text_rows], visible[text_rows][:, None, None], picked)
        itm = F.cross_entropy(self.itm_head(matched[:, 0]), (torch.arange(3 * batch) < batch).long())

        decoder_ids = torch.cat([torch.full_like(ids[:, :1], self.bos), ids[:, 1:]], 1)
        length = ids.shape[1] - 1
        causal = (torch.ones(length, length, dtype=torch.bool).tril() & visible[:, None, :length])[:, None]
        x = e.embed(decoder_ids[:, :-1])
        for layer, attention, kv in zip(e.layers, self.decoder, images):
            x = layer(x, causal, kv, attention)
        words = F.linear(self.transform_norm(F.gelu(self.transform(x))), e.words.weight, self.word_bias)
        wanted = ids[:, 1:].masked_fill(~visible[:, 1:], IGNORED)
        lm = F.cross_entropy(words.flatten(0, 1), wanted.flatten(), label_smoothing=SMOOTHING, ignore_index=IGNORED)
        return (ita, itm, lm), slow_image, slow_text


def blip_name(name):
    """The name that goblip, and transformers, give a tensor of BLIP."""
    if name.startswith("momentum."):
        return "momentum." + blip_name("encoders." + name[len("momentum."):])
    if name.startswith("encoders.vit."):
        return vit_name(name[len("encoders.vit."):])
    for ours, theirs in (("encoders.vit_norm", "vision_model.post_layernorm"), ("encoders.words", "text_encoder.embeddings.word_embeddings"),
                         ("encoders.positions", "text_encoder.embeddings.position_embeddings"), ("encoders.norm", "text_encoder.embeddings.LayerNorm"),
                         ("encoders.layers", "text_encoder.encoder.layer"), ("encoders", ""), ("transform", "text_decoder.cls.predictions.transform.dense"),
                         ("transform_norm", "text_decoder.cls.predictions.transform.LayerNorm"), ("word_bias", "text_decoder.cls.predictions.bias")):
        if name == ours or name.startswith(ours + "."):
            name = (theirs + name[len(ours):]).removeprefix(".")
            break
    name = re.sub(r"^decoder\.(\d+)\.", r"text_decoder.bert.encoder.layer.\1.attention.", name)
    name = re.sub(r"attention\.(query|key|value)\.", r"attention.self.\1.", name)
    name = re.sub(r"attention\.dense\.", "attention.output.dense.", name)
    name = re.sub(r"attention\.norm\.", "attention.output.LayerNorm.", name)
    name = name.replace(".feed_forward.up.", ".intermediate.dense.").replace(".feed_forward.down.", ".output.dense.")
    return name.replace(".feed_forward.norm.", ".output.LayerNorm.")


def make_step(config, weights, compiled):
    """step(pixels, ids, mask) -> losses"""
    model = BLIP(config)
    load(model, weights, blip_name)
    for p in (*model.momentum.parameters(), model.image_queue, model.text_queue):
        p.requires_grad_(False)
    adamw = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=steps.RATE, betas=steps.BETAS, eps=steps.EPS,
                              weight_decay=steps.DECAY, fused=True)
    forward = torch.compile(model) if compiled else model

    def step(pixels, ids, mask):
        model.follow()
        losses, image_features, text_features = forward(pixels, ids, mask)
        adamw.zero_grad(set_to_none=True)
        sum(losses).backward()
        adamw.step()
        model.enqueue(image_features, text_features)
        return [loss.item() for loss in losses]
    return step


if __name__ == "__main__":
    main(make_step, __doc__)
