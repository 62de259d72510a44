#!/usr/bin/env python3
"""One training step of BLIP-2 stage 1 in PyTorch, to time beside "goblip bench".

    python3 scripts/bench/stage1_torch.py small.json

The same work as goblip's step: frozen ViT forward, then ITC (best query, stop
gradient on the keys, smoothing 0.1), ITM (hard negatives in both directions,
joint pass over three times the batch) and ITG (keys and values of the query
pass reused), and AdamW with LAVIS' decay groups. The pictures' cross-attention
keys and values are projected once and rows of them picked for ITM, as goblip
does it. Random data, no dropout. Needs torch; prints one line of JSON.
"""
import argparse
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

IGNORED = -100  # F.cross_entropy leaves such targets out
SMOOTHING = 0.1


def read_config(path):
    """Reads the config, and says what it lacks or has too much."""
    vision = "hidden_size intermediate_size num_hidden_layers num_attention_heads image_size patch_size".split()
    qformer = ("hidden_size intermediate_size num_hidden_layers num_attention_heads vocab_size num_query_tokens "
               "cross_attention_frequency encoder_hidden_size").split()
    top = "vision qformer image_text_hidden_size text_length batch steps".split()
    with open(path) as f:
        config = json.load(f)
    for name, keys, part in [("config", top, config), ("vision", vision, config.get("vision", {})),
                             ("qformer", qformer, config.get("qformer", {}))]:
        if set(keys) != set(part):
            sys.exit(f"{path}: {name}: missing {sorted(set(keys) - set(part))}, unknown {sorted(set(part) - set(keys))}")
    if config["qformer"]["encoder_hidden_size"] != config["vision"]["hidden_size"]:
        sys.exit(f"{path}: qformer.encoder_hidden_size is not vision.hidden_size")
    return config


def split_heads(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # [batch, heads, seq, head_dim]


def merge_heads(x):
    return x.transpose(1, 2).flatten(2)


class ViTBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["hidden_size"]
        self.heads = c["num_attention_heads"]
        self.norm1, self.norm2 = nn.LayerNorm(d, 1e-6), nn.LayerNorm(d, 1e-6)
        self.qkv, self.projection = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.fc1, self.fc2 = nn.Linear(d, c["intermediate_size"]), nn.Linear(c["intermediate_size"], d)

    def forward(self, x):
        q, k, v = (split_heads(t, self.heads) for t in self.qkv(self.norm1(x)).chunk(3, -1))
        x = x + self.projection(merge_heads(F.scaled_dot_product_attention(q, k, v)))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class ViT(nn.Module):
    """The frozen encoder; its final norm is trained and belongs to Stage1."""

    def __init__(self, c):
        super().__init__()
        d, patch = c["hidden_size"], c["patch_size"]
        self.patch = nn.Conv2d(3, d, patch, patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, d))
        self.position = nn.Parameter(torch.zeros(1, (c["image_size"] // patch) ** 2 + 1, d))
        self.blocks = nn.ModuleList(ViTBlock(c) for _ in range(c["num_hidden_layers"]))

    def forward(self, pixels):
        x = self.patch(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.position
        for block in self.blocks:
            x = block(x)
        return x


class Attention(nn.Module):
    """Post-norm attention with its residual; keys and values come from outside."""

    def __init__(self, c, key_dim):
        super().__init__()
        d = c["hidden_size"]
        self.heads = c["num_attention_heads"]
        self.query, self.key, self.value = nn.Linear(d, d), nn.Linear(key_dim, d), nn.Linear(key_dim, d)
        self.dense, self.norm = nn.Linear(d, d), nn.LayerNorm(d, 1e-12)

    def keys_values(self, x):
        return split_heads(self.key(x), self.heads), split_heads(self.value(x), self.heads)

    def forward(self, x, kv, mask=None):
        out = F.scaled_dot_product_attention(split_heads(self.query(x), self.heads), *kv, attn_mask=mask)
        return self.norm(x + self.dense(merge_heads(out)))


class FeedForward(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.up, self.down = nn.Linear(c["hidden_size"], c["intermediate_size"]), nn.Linear(c["intermediate_size"], c["hidden_size"])
        self.norm = nn.LayerNorm(c["hidden_size"], 1e-12)

    def forward(self, x):
        return self.norm(x + self.down(F.gelu(self.up(x))))


class QFormerLayer(nn.Module):
    def __init__(self, c, crosses):
        super().__init__()
        self.attention = Attention(c, c["hidden_size"])
        self.cross = Attention(c, c["encoder_hidden_size"]) if crosses else None
        self.of_queries, self.of_text = FeedForward(c), FeedForward(c)


class Stage1(nn.Module):
    def __init__(self, config):
        super().__init__()
        c, d = config["qformer"], config["qformer"]["hidden_size"]
        self.c, self.text_length = c, config["text_length"]
        self.ln_vision = nn.LayerNorm(config["vision"]["hidden_size"], 1e-6)
        self.query_tokens = nn.Parameter(torch.zeros(1, c["num_query_tokens"], d))
        self.words = nn.Embedding(c["vocab_size"], d)
        self.positions = nn.Embedding(self.text_length, d)
        self.norm = nn.LayerNorm(d, 1e-12)
        self.layers = nn.ModuleList(QFormerLayer(c, i % c["cross_attention_frequency"] == 0) for i in range(c["num_hidden_layers"]))
        self.vision_projection = nn.Linear(d, config["image_text_hidden_size"])
        self.text_projection = nn.Linear(d, config["image_text_hidden_size"])
        self.itm_head = nn.Linear(d, 2)
        self.transform, self.transform_norm = nn.Linear(d, d), nn.LayerNorm(d, 1e-12)
        self.word_bias = nn.Parameter(torch.zeros(c["vocab_size"]))
        self.temp = nn.Parameter(torch.tensor(0.07))

    def embed(self, ids):
        return self.norm(self.words(ids) + self.positions.weight[: ids.shape[1]])

    def run(self, queries=None, text=None, images=None, mask=None, past=None):
        """One pass: (query states, text states, own keys and values per layer)."""
        n = 0 if queries is None else queries.shape[1]
        x = torch.cat([part for part in (queries, text) if part is not None], 1)
        own = []
        for i, layer in enumerate(self.layers):
            kv = layer.attention.keys_values(x)
            own.append(kv)
            if past is not None:
                kv = tuple(torch.cat(pair, 2) for pair in zip(past[i], kv))
            x = layer.attention(x, kv, mask)
            parts = []
            if queries is not None:
                q = x[:, :n]
                if layer.cross is not None:
                    q = layer.cross(q, images[i])
                parts.append(layer.of_queries(q))
            if text is not None:
                parts.append(layer.of_text(x[:, n:]))
            x = torch.cat(parts, 1) if len(parts) == 2 else parts[0]
        return x[:, :n], x[:, n:], own

    def forward(self, states, ids, mask, decoder_id):
        """states [batch, patches, hidden] of the frozen encoder, ids and mask [batch, text] -> the three losses."""
        batch, visible = len(ids), mask.bool()
        image_embeds = self.ln_vision(states)
        images = [layer.cross.keys_values(image_embeds) if layer.cross is not None else None for layer in self.layers]
        queries = self.norm(self.query_tokens).expand(batch, -1, -1)
        text = self.embed(ids)

        query_out, _, past = self.run(queries, images=images)
        _, text_out, _ = self.run(text=text, mask=visible[:, None, None])
        image_features = F.normalize(self.vision_projection(query_out), dim=-1)
        text_features = F.normalize(self.text_projection(text_out[:, 0]), dim=-1)
        to_text = torch.einsum("iqd,td->iqt", image_features, text_features.detach()).amax(1) / self.temp
        to_image = torch.einsum("iqd,td->iqt", image_features.detach(), text_features).amax(1).T / self.temp
        own = torch.arange(batch)
        itc = (F.cross_entropy(to_text, own, label_smoothing=SMOOTHING) + F.cross_entropy(to_image, own, label_smoothing=SMOOTHING)) / 2

        with torch.no_grad():
            itself = torch.eye(batch, dtype=torch.bool)
            text_negative = torch.multinomial(to_text.masked_fill(itself, -10000).softmax(-1), 1)[:, 0]
            image_negative = torch.multinomial(to_image.masked_fill(itself, -10000).softmax(-1), 1)[:, 0]
        image_rows, text_rows = torch.cat([own, image_negative, own]), torch.cat([own, own, text_negative])
        picked = [kv if kv is None else tuple(t[image_rows] for t in kv) for kv in images]
        joint = F.pad(visible[text_rows], (queries.shape[1], 0), value=True)[:, None, None]
        joint_out, _, _ = self.run(queries.repeat(3, 1, 1), text[text_rows], picked, joint)
        logits = self.itm_head(joint_out).mean(1)
        itm = F.cross_entropy(logits, (torch.arange(3 * batch) < batch).long())

        decoder = ids.clone()
        decoder[:, 0] = decoder_id
        length = ids.shape[1] - 1
        causal = torch.ones(length, length, dtype=torch.bool).tril() & visible[:, None, :length]
        causal = F.pad(causal, (queries.shape[1], 0), value=True)[:, None]
        _, decoded, _ = self.run(text=self.embed(decoder[:, :-1]), mask=causal, past=past)
        words = F.linear(self.transform_norm(F.gelu(self.transform(decoded))), self.words.weight, self.word_bias)
        targets = ids[:, 1:].masked_fill(~visible[:, 1:], IGNORED)
        itg = F.cross_entropy(words.flatten(0, 1), targets.flatten(), label_smoothing=SMOOTHING, ignore_index=IGNORED)
        return itc, itm, itg


def initialize(module):
    for name, p in module.named_parameters():
        if name == "temp":
            continue
        if p.dim() >= 2:
            nn.init.normal_(p, std=0.02)
        elif "norm" in name and name.endswith("weight"):
            nn.init.ones_(p)
        else:
            nn.init.zeros_(p)


def optimizer(model):
    decays = lambda name, p: p.dim() != 1 and not name.endswith(".bias")
    groups = [[p for n, p in model.named_parameters() if decays(n, p)], [p for n, p in model.named_parameters() if not decays(n, p)]]
    return torch.optim.AdamW([{"params": groups[0]}, {"params": groups[1], "weight_decay": 0.0}],
                             lr=1e-4, betas=(0.9, 0.98), weight_decay=0.05, fused=True)


def memory(key):
    """VmHWM or VmRSS of this process, in bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/status") as f:
            return next((int(line.split()[1]) << 10 for line in f if line.startswith(key + ":")), 0)
    except OSError:
        return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=2, help="steps before the measured ones")
    parser.add_argument("--compile", action="store_true", help="torch.compile the losses and the encoder")
    args = parser.parse_args()
    config = read_config(args.config)
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    before = memory("VmRSS")

    vit, model = ViT(config["vision"]), Stage1(config)
    initialize(vit)
    initialize(model)
    vit.requires_grad_(False).eval()
    adamw = optimizer(model)
    encode, losses_of = vit, model
    if args.compile:
        encode, losses_of = torch.compile(vit), torch.compile(model)

    batch, length, words = config["batch"], config["text_length"], config["qformer"]["vocab_size"]
    size = config["vision"]["image_size"]
    pixels = torch.randn(batch, 3, size, size)
    ids = torch.randint(5, words - 1, (batch, length))
    ids[:, 0] = 2  # [CLS]
    mask = (torch.arange(length) < torch.randint(max(2, length // 4), length + 1, (batch, 1))).long()
    ids = ids * mask  # [PAD] is 0

    seconds, history = [], []
    for step in range(args.warmup + config["steps"]):
        if step == args.warmup:
            spent = time.process_time()
        start = time.perf_counter()
        with torch.no_grad():
            states = encode(pixels)
        losses = losses_of(states, ids, mask, words - 1)
        adamw.zero_grad(set_to_none=True)
        sum(losses).backward()
        adamw.step()
        history.append([round(loss.item(), 5) for loss in losses])
        seconds.append(time.perf_counter() - start)
    measured = seconds[args.warmup:]
    print(json.dumps({
        "step_seconds_median": statistics.median(measured),
        "step_seconds_min": min(measured),
        "first_step_seconds": seconds[0],
        "cpu_seconds": (time.process_time() - spent) / config["steps"],
        "peak_memory_bytes": memory("VmHWM"),
        "memory_before_bytes": before,
        "trained_parameters": sum(p.numel() for p in model.parameters()),
        "frozen_parameters": sum(p.numel() for p in vit.parameters()),
        "threads": args.threads,
        "torch": torch.__version__,
        "losses": history,
    }))


if __name__ == "__main__":
    main()
