#!/usr/bin/env python3
"""One training step of BLIP-2 in JAX, to time beside "goblip bench"; it is what step_torch.py does.

    goblip bench --config small.json --write DIR
    python3 scripts/bench/step_jax.py small.json DIR

One compiled program a step: the frozen encoder outside of the gradient, losses, gradient and AdamW, with weights
and moments donated. Weights are a flat dictionary by goblip's tensor names; linear layers are kept as [in, out].
Needs jax (scripts/bench/shared.py says which version was tried); prints one line of JSON.
"""
import argparse
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np

import steps
from steps import IGNORED, SMOOTHING

HIDDEN = -1e30  # what a masked score becomes
# What is stored [out, in] and multiplied from the right.
LINEAR = re.compile(r"(dense|key|query|value|fc[12]|qkv|projection|itm_head|[a-z]+_proj)\.weight$")


def kernel(name, value):
    """A tensor of goblip as this program keeps it."""
    if name.endswith("patch_embedding.weight"):  # a convolution whose patches do not overlap
        return value.transpose(2, 3, 1, 0)  # [patch, patch, 3, hidden]
    return value.T if LINEAR.search(name) else value


def linear(w, name, x):
    return x @ w[name + ".weight"] + w[name + ".bias"]


def layer_norm(w, name, x, epsilon):
    mean = x.mean(-1, keepdims=True)
    variance = jnp.square(x - mean).mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + epsilon) * w[name + ".weight"] + w[name + ".bias"]


def gelu(x):
    return jax.nn.gelu(x, approximate=False)


def split_heads(x, heads):
    return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)  # [batch, heads, seq, head_dim]


def merge_heads(x):
    return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], -1)


def attend(query, key, value, mask=None):
    """mask is boolean and says what is seen: [batch, 1, 1 or seq, keys]."""
    scores = jnp.einsum("bhqd,bhkd->bhqk", query * query.shape[-1] ** -0.5, key)
    if mask is not None:
        scores = jnp.where(mask, scores, HIDDEN)
    return jnp.einsum("bhqk,bhkd->bhqd", jax.nn.softmax(scores), value)


def cross_entropy(logits, labels, smoothing=0.0):
    """Of each row."""
    total = jax.nn.logsumexp(logits, -1)
    hit = jnp.take_along_axis(logits, labels[..., None], -1)[..., 0]
    return total - (1 - smoothing) * hit - smoothing * logits.mean(-1)


def word_loss(logits, targets, smoothing=0.0):
    """The mean over targets that are not IGNORED."""
    counts = targets != IGNORED
    return jnp.where(counts, cross_entropy(logits, jnp.where(counts, targets, 0), smoothing), 0).sum() / counts.sum()


def vit(w, c, pixels):
    """The frozen encoder; its final norm is trained."""
    d, patch, heads = c["hidden_size"], c["patch_size"], c["num_attention_heads"]
    at = "vision_model.embeddings."
    batch, side = pixels.shape[0], c["image_size"] // patch
    x = pixels.reshape(batch, 3, side, patch, side, patch)
    x = jnp.einsum("bchpwq,pqcd->bhwd", x, w[at + "patch_embedding.weight"]).reshape(batch, side * side, d) + w[at + "patch_embedding.bias"]
    x = jnp.concatenate([jnp.broadcast_to(w[at + "class_embedding"], (batch, 1, d)), x], 1) + w[at + "position_embedding"]
    for i in range(c["num_hidden_layers"]):
        at = f"vision_model.encoder.layers.{i}."
        q, k, v = (split_heads(t, heads) for t in jnp.split(linear(w, at + "self_attn.qkv", layer_norm(w, at + "layer_norm1", x, 1e-6)), 3, -1))
        x = x + linear(w, at + "self_attn.projection", merge_heads(attend(q, k, v)))
        x = x + linear(w, at + "mlp.fc2", gelu(linear(w, at + "mlp.fc1", layer_norm(w, at + "layer_norm2", x, 1e-6))))
    return x


def keys_values(w, name, x, heads, inner="attention"):
    """inner is what BLIP-2's tensor names have where BLIP's have "self"."""
    return tuple(split_heads(linear(w, f"{name}.{inner}.{part}", x), heads) for part in ("key", "value"))


def attention(w, name, x, kv, heads, mask=None, inner="attention"):
    """Post-norm attention with its residual."""
    out = attend(split_heads(linear(w, f"{name}.{inner}.query", x), heads), *kv, mask)
    return layer_norm(w, name + ".output.LayerNorm", x + linear(w, name + ".output.dense", merge_heads(out)), 1e-12)


def feed_forward(w, layer, suffix, x):
    h = gelu(linear(w, f"{layer}intermediate{suffix}.dense", x))
    return layer_norm(w, f"{layer}output{suffix}.LayerNorm", x + linear(w, f"{layer}output{suffix}.dense", h), 1e-12)


def crosses(c, i):
    return i % c["cross_attention_frequency"] == 0


def look(w, c, states):
    """Keys and values of the pictures for each cross-attention, None in layers without one."""
    image_embeds = layer_norm(w, "vision_model.post_layernorm", states, 1e-6)
    return [keys_values(w, f"qformer.encoder.layer.{i}.crossattention", image_embeds, c["num_attention_heads"]) if crosses(c, i) else None
            for i in range(c["num_hidden_layers"])]


def embed_queries(w, batch):
    queries = layer_norm(w, "qformer.layernorm", w["query_tokens"], 1e-12)
    return jnp.broadcast_to(queries, (batch, *queries.shape[1:]))


def embed_text(w, ids):
    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
    return layer_norm(w, "qformer.layernorm", x, 1e-12)


def qformer(w, c, queries=None, text=None, images=None, mask=None, past=None):
    """One pass: (query states, text states, own keys and values per layer)."""
    n, heads = 0 if queries is None else queries.shape[1], c["num_attention_heads"]
    x = jnp.concatenate([part for part in (queries, text) if part is not None], 1)
    own = []
    for i in range(c["num_hidden_layers"]):
        layer = f"qformer.encoder.layer.{i}."
        kv = keys_values(w, layer + "attention", x, heads)
        own.append(kv)
        if past is not None:
            kv = tuple(jnp.concatenate(pair, 2) for pair in zip(past[i], kv))
        x = attention(w, layer + "attention", x, kv, heads, mask)
        parts = []
        if queries is not None:
            q = x[:, :n]
            if crosses(c, i):
                q = attention(w, layer + "crossattention", q, images[i], heads)
            parts.append(feed_forward(w, layer, "_query", q))
        if text is not None:
            parts.append(feed_forward(w, layer, "", x[:, n:]))
        x = jnp.concatenate(parts, 1)
    return x[:, :n], x[:, n:], own


def causal_mask(visible):
    """visible [batch, text] -> [batch, 1, text, text]"""
    return (jnp.tril(jnp.ones((visible.shape[1],) * 2, bool)) & visible[:, None])[:, None]


def word_logits(w, head, embeddings, x):
    """BERT's word head, whose table is that of the embeddings."""
    x = gelu(linear(w, head + "cls.predictions.transform.dense", x))
    x = layer_norm(w, head + "cls.predictions.transform.LayerNorm", x, 1e-12)
    return x @ w[embeddings + "word_embeddings.weight"].T + w[head + "cls.predictions.bias"]


def normalize(x):
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def stage1(w, config, states, ids, mask):
    """states [batch, patches, hidden] of the frozen encoder, ids and mask [batch, text] -> the three losses."""
    c, batch, visible = config["qformer"], len(ids), mask > 0
    images, queries, text = look(w, c, states), embed_queries(w, batch), embed_text(w, ids)

    query_out, _, past = qformer(w, c, queries, images=images)
    _, text_out, _ = qformer(w, c, text=text, mask=visible[:, None, None])
    image_features = normalize(linear(w, "vision_projection", query_out))
    text_features = normalize(linear(w, "text_projection", text_out[:, 0]))
    best = lambda images, texts: jnp.einsum("iqd,td->iqt", images, texts).max(1) / w["temp"]
    to_text = best(image_features, jax.lax.stop_gradient(text_features))
    to_image = best(jax.lax.stop_gradient(image_features), text_features).T
    own = jnp.arange(batch)
    itc = (cross_entropy(to_text, own, SMOOTHING).mean() + cross_entropy(to_image, own, SMOOTHING).mean()) / 2

    negative = jnp.roll(own, -1)  # the next pair
    image_rows, text_rows = jnp.concatenate([own, negative, own]), jnp.concatenate([own, own, negative])
    picked = jax.tree.map(lambda t: t[image_rows], images)
    seen_queries = jnp.ones((3 * batch, queries.shape[1]), bool)
    joint = jnp.concatenate([seen_queries, visible[text_rows]], 1)[:, None, None]
    joint_out, _, _ = qformer(w, c, embed_queries(w, 3 * batch), text[text_rows], picked, joint)
    itm = cross_entropy(linear(w, "itm_head", joint_out).mean(1), (jnp.arange(3 * batch) < batch).astype(jnp.int32)).mean()

    decoder = ids.at[:, 0].set(c["vocab_size"] - 1)[:, :-1]  # [DEC] is the last word
    causal = jnp.pad(causal_mask(visible[:, :-1]), ((0, 0), (0, 0), (0, 0), (queries.shape[1], 0)), constant_values=True)
    _, decoded, _ = qformer(w, c, text=embed_text(w, decoder), mask=causal, past=past)
    logits = word_logits(w, "", "embeddings.", decoded)
    return itc, itm, word_loss(logits, jnp.where(visible[:, 1:], ids[:, 1:], IGNORED), SMOOTHING)


def stage2(w, config, states, ids, mask):
    """The language model's loss after a soft prompt, as a tuple of one."""
    c, llm, at = config["qformer"], config["llm"], "language_model.model.decoder."
    queries = embed_queries(w, len(ids))
    out, _, _ = qformer(w, c, queries, images=look(w, c, states))
    x = jnp.concatenate([linear(w, "language_projection", out), w[at + "embed_tokens.weight"][ids[:, :-1]]], 1)
    seen = jnp.concatenate([jnp.ones(queries.shape[:2], mask.dtype), mask[:, :-1]], 1)
    x = x + w[at + "embed_positions.weight"][jnp.cumsum(seen, 1) * seen + 1]
    visible = causal_mask(seen > 0)
    for i in range(llm["num_hidden_layers"]):
        layer = f"{at}layers.{i}."
        h = layer_norm(w, layer + "self_attn_layer_norm", x, 1e-5)
        q, k, v = (split_heads(linear(w, f"{layer}self_attn.{part}_proj", h), llm["num_attention_heads"]) for part in "qkv")
        x = x + linear(w, layer + "self_attn.out_proj", merge_heads(attend(q, k, v, visible)))
        x = x + linear(w, layer + "fc2", jax.nn.relu(linear(w, layer + "fc1", layer_norm(w, layer + "final_layer_norm", x, 1e-5))))
    logits = layer_norm(w, at + "final_layer_norm", x[:, queries.shape[1]:], 1e-5) @ w[at + "embed_tokens.weight"].T
    return (word_loss(logits, jnp.where(mask[:, 1:] > 0, ids[:, 1:], IGNORED)),)


def adamw(weights, moments, gradients, step, decays=steps.decays):
    """One update; step counts from 1. moments: a pair for each weight."""
    first, second = (1 - beta ** step for beta in steps.BETAS)
    new, carried = {}, {}
    for name, g in gradients.items():
        w, (m, v) = weights[name], moments[name]
        m = steps.BETAS[0] * m + (1 - steps.BETAS[0]) * g
        v = steps.BETAS[1] * v + (1 - steps.BETAS[1]) * g * g
        decay = steps.DECAY if decays(name, w.ndim) else 0.0
        new[name] = w * (1 - steps.RATE * decay) - steps.RATE * (m / first) / (jnp.sqrt(v / second) + steps.EPS)
        carried[name] = m, v
    return new, carried


def losses_of(trained, frozen, config, states, ids, mask):
    losses = (stage2 if config.get("llm") else stage1)({**frozen, **trained}, config, states, ids, mask)
    return sum(losses), losses


def make_step(config, update=adamw):
    """A compiled (weights, moments, frozen weights, number of the step, batch) -> (weights, moments, losses)."""
    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(trained, moments, frozen, number, pixels, ids, mask):
        states = vit(frozen, config["vision"], pixels)
        (_, losses), gradients = jax.value_and_grad(losses_of, has_aux=True)(trained, frozen, config, states, ids, mask)
        return *update(trained, moments, gradients, number), losses
    return step


def weights_of(weights):
    """(trained, frozen) of goblip's tensors."""
    both = ({}, {})
    for name, value in weights.items():
        both[0 if steps.trained(name) else 1][name] = jnp.array(kernel(name, value))
    return both


def zero_moments(trained):
    return {name: (jnp.zeros_like(w), jnp.zeros_like(w)) for name, w in trained.items()}


def begin(config, weights):
    """(what steps hand on, what stays, the compiled step)"""
    trained, frozen = weights_of(weights)
    return (trained, zero_moments(trained)), frozen, make_step(config)


def main(begin, doc):
    """Times the step that begin(config, weights) returns: (*carried, fixed, number, *batch) -> (*carried, losses)."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("folder", help="what goblip bench --write wrote for this config")
    args = parser.parse_args()
    config, weights, batches = steps.read(args.config, args.folder)
    carried, fixed, step = begin(config, weights)
    del weights
    count = 0

    def run(*batch):
        nonlocal carried, count
        count += 1
        *carried, losses = step(*carried, fixed, np.float32(count), *batch)
        return losses

    steps.time_steps(config, [tuple(jnp.array(x) for x in batch) for batch in batches], run)


if __name__ == "__main__":
    main(begin, __doc__)
