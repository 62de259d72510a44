#!/usr/bin/env python3
"""One training step of BLIP-2 in PyTorch, to time beside "goblip bench".

    goblip bench --config small.json --write DIR
    python3 scripts/bench/step_torch.py small.json DIR

The same work as goblip's step on the same weights and batches: frozen ViT forward, then ITC (best query, stop
gradient on the keys, smoothing 0.1), ITM (the next pair as negative in both directions, joint pass over three times
the batch) and ITG (keys and values of the query pass reused); or, where the config has an "llm", a soft prompt for a
frozen OPT; and AdamW with LAVIS' decay groups. The pictures' cross-attention keys and values are projected once
and rows of them picked for ITM, as goblip does it. No dropout. Needs torch; prints one line of JSON.
"""
import argparse
import re

import torch
import torch.nn.functional as F
from torch import nn

import steps
from steps import IGNORED, SMOOTHING


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
        self.positions = nn.Embedding(512, d)
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

        image_negative = text_negative = own.roll(-1)  # the next pair
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


class OPTLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["hidden_size"]
        self.heads = c["num_attention_heads"]
        self.self_attn_layer_norm, self.final_layer_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(d, d) for _ in range(4))
        self.fc1, self.fc2 = nn.Linear(d, c["ffn_dim"]), nn.Linear(c["ffn_dim"], d)

    def forward(self, x, mask):
        h = self.self_attn_layer_norm(x)
        q, k, v = (split_heads(p(h), self.heads) for p in (self.q_proj, self.k_proj, self.v_proj))
        x = x + self.out_proj(merge_heads(F.scaled_dot_product_attention(q, k, v, attn_mask=mask)))
        return x + self.fc2(F.relu(self.fc1(self.final_layer_norm(x))))


class OPT(nn.Module):
    """The frozen language model."""

    def __init__(self, c):
        super().__init__()
        d = c["hidden_size"]
        self.embed_tokens, self.embed_positions = nn.Embedding(c["vocab_size"], d), nn.Embedding(2050, d)
        self.layers = nn.ModuleList(OPTLayer(c) for _ in range(c["num_hidden_layers"]))
        self.final_layer_norm = nn.LayerNorm(d)


class Stage2(Stage1):
    """Of Stage1 the pictures' half alone is used."""

    def __init__(self, config):
        super().__init__(config)
        self.language_projection = nn.Linear(config["qformer"]["hidden_size"], config["llm"]["hidden_size"])
        self.llm = OPT(config["llm"])
        self.llm.requires_grad_(False)

    def forward(self, states, ids, mask, decoder_id):
        image_embeds = self.ln_vision(states)
        images = [layer.cross.keys_values(image_embeds) if layer.cross is not None else None for layer in self.layers]
        queries = self.norm(self.query_tokens).expand(len(ids), -1, -1)
        out, _, _ = self.run(queries, images=images)
        words = self.llm.embed_tokens
        x = torch.cat([self.language_projection(out), words(ids[:, :-1])], 1)
        seen = torch.cat([mask.new_ones(len(ids), queries.shape[1]), mask[:, :-1]], 1)
        x = x + self.llm.embed_positions(seen.cumsum(1) * seen + 1)
        visible = (torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril() & seen.bool()[:, None])[:, None]
        for layer in self.llm.layers:
            x = layer(x, visible)
        logits = F.linear(self.llm.final_layer_norm(x[:, queries.shape[1]:]), words.weight)
        targets = ids[:, 1:].masked_fill(~mask[:, 1:].bool(), IGNORED)
        return (F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED),)


def vit_name(name):
    """The name that goblip, and transformers, give a tensor of ViT."""
    for ours, theirs in (("patch", "embeddings.patch_embedding"), ("cls", "embeddings.class_embedding"), ("position", "embeddings.position_embedding")):
        name = re.sub(rf"^{ours}\b", theirs, name)
    name = re.sub(r"^blocks", "encoder.layers", name)
    name = re.sub(r"\bnorm([12])", r"layer_norm\1", name)
    name = re.sub(r"\b(qkv|projection)\b", r"self_attn.\1", name)
    return "vision_model." + re.sub(r"\b(fc[12])", r"mlp.\1", name)


def stage_name(name):
    """The name that goblip, and transformers, give a tensor of Stage1 or Stage2."""
    if name.startswith("llm."):
        name = re.sub(r"\b([qkv]|out)_proj", r"self_attn.\1_proj", name)
        return "language_model.model.decoder." + name[len("llm."):]
    for ours, theirs in (("ln_vision", "vision_model.post_layernorm"), ("words", "embeddings.word_embeddings"),
                         ("positions", "embeddings.position_embeddings"), ("norm", "qformer.layernorm"), ("layers", "qformer.encoder.layer"),
                         ("transform", "cls.predictions.transform.dense"), ("transform_norm", "cls.predictions.transform.LayerNorm"),
                         ("word_bias", "cls.predictions.bias")):
        if name.split(".")[0] == ours:
            name = theirs + name[len(ours):]
            break
    name = re.sub(r"\.cross\.", ".crossattention.", name)
    name = re.sub(r"attention\.(query|key|value)\.", r"attention.attention.\1.", name)
    name = re.sub(r"attention\.dense\.", "attention.output.dense.", name)
    name = re.sub(r"attention\.norm\.", "attention.output.LayerNorm.", name)
    for ours, theirs in (("of_queries", "_query"), ("of_text", "")):
        name = name.replace(f".{ours}.up.", f".intermediate{theirs}.dense.").replace(f".{ours}.down.", f".output{theirs}.dense.")
        name = name.replace(f".{ours}.norm.", f".output{theirs}.LayerNorm.")
    return name


def load(module, weights, name_of):
    """Fills a module; what stage 2 does not use is not in the file and stays as it is."""
    with torch.no_grad():
        for name, p in module.named_parameters():
            value = weights.get(name_of(name))
            if value is None:
                p.requires_grad_(False)
            else:
                p.copy_(torch.from_numpy(value.copy()))


def optimizer(model):
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    groups = [[p for n, p in named if steps.decays(n, p.dim()) == decayed] for decayed in (True, False)]
    return torch.optim.AdamW([{"params": groups[0]}, {"params": groups[1], "weight_decay": 0.0}],
                             lr=steps.RATE, betas=steps.BETAS, eps=steps.EPS, weight_decay=steps.DECAY, fused=True)


def make_step(config, weights, compiled):
    """step(pixels, ids, mask) -> losses"""
    vit, model = ViT(config["vision"]), (Stage2 if config.get("llm") else Stage1)(config)
    load(vit, weights, vit_name)
    load(model, weights, stage_name)
    vit.requires_grad_(False).eval()
    adamw = optimizer(model)
    encode, losses_of = (torch.compile(vit), torch.compile(model)) if compiled else (vit, model)
    decoder_id = config["qformer"]["vocab_size"] - 1

    def step(pixels, ids, mask):
        with torch.no_grad():
            states = encode(pixels)
        losses = losses_of(states, ids, mask, decoder_id)
        adamw.zero_grad(set_to_none=True)
        sum(losses).backward()
        adamw.step()
        return [loss.item() for loss in losses]
    return step


def main(make_step, doc):
    """Times the step that make_step(config, weights, compiled) returns."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("folder", help="what goblip bench --write wrote for this config")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="torch.compile what has a gradient, and encoders")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config, weights, batches = steps.read(args.config, args.folder)
    step = make_step(config, weights, args.compile)
    del weights
    steps.time_steps(config, [(torch.from_numpy(p), torch.from_numpy(i).long(), torch.from_numpy(m).long()) for p, i, m in batches], step)


if __name__ == "__main__":
    main(make_step, __doc__)
