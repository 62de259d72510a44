#!/usr/bin/env python3
"""One step of BLIP's pre-training in JAX, to time beside "goblip bench"; it is what blip_torch.py does.

    goblip bench --config blip.json --write DIR
    python3 scripts/bench/blip_jax.py blip.json DIR

One compiled program a step; weights, moments, momentum copies and queues are donated. Needs jax
(scripts/bench/shared.py says which version was tried); prints one line of JSON.
"""
import functools

import jax
import jax.numpy as jnp

from step_jax import (adamw, attention, causal_mask, cross_entropy, feed_forward, gelu, kernel, keys_values, layer_norm, linear, main, normalize,
                      vit, word_logits, word_loss, zero_moments)
from steps import ALPHA, IGNORED, MOMENTUM, SMOOTHING

LAYERS, OWN = "text_encoder.encoder.layer.", "text_decoder.bert.encoder.layer."  # the decoder shares all but self-attention


def look(w, config, pixels):
    """(states, features) of pictures."""
    states = layer_norm(w, "vision_model.post_layernorm", vit(w, config["vision"], pixels), 1e-6)
    return states, normalize(linear(w, "vision_proj", states[:, 0]))


def embed(w, ids):
    at = "text_encoder.embeddings."
    return layer_norm(w, at + "LayerNorm", w[at + "word_embeddings.weight"][ids] + w[at + "position_embeddings.weight"][: ids.shape[1]], 1e-12)


def read(w, c, x, mask, images=None, own=LAYERS):
    """The text's layers; images are each layer's keys and values of the pictures, own has the self-attention."""
    heads = c["num_attention_heads"]
    for i in range(c["num_hidden_layers"]):
        name = f"{own}{i}.attention"
        x = attention(w, name, x, keys_values(w, name, x, heads, "self"), heads, mask, "self")
        if images is not None:
            x = attention(w, f"{LAYERS}{i}.crossattention", x, images[i], heads, None, "self")
        x = feed_forward(w, f"{LAYERS}{i}.", "", x)
    return x


def text_features(w, c, ids, visible):
    return normalize(linear(w, "text_proj", read(w, c, embed(w, ids), visible[:, None, None])[:, 0]))


def soft_cross_entropy(logits, targets):
    return -(targets * jax.nn.log_softmax(logits)).sum(-1).mean()


def losses_of(w, config, slow_image, slow_text, queues, pixels, ids, mask):
    """slow_image and slow_text are the momentum features; queues [projection, queue] of both."""
    c, batch, visible = config["text"], len(ids), mask > 0
    image, image_features = look(w, config, pixels)
    features = text_features(w, c, ids, visible)
    image_keys, text_keys = (jnp.concatenate([slow.T, queue], 1) for slow, queue in zip((slow_image, slow_text), queues))
    pairs = jnp.eye(batch, image_keys.shape[1])
    soft = lambda slow, keys: jax.lax.stop_gradient(ALPHA * jax.nn.softmax(slow @ keys / w["temp"]) + (1 - ALPHA) * pairs)
    ita = (soft_cross_entropy(image_features @ text_keys / w["temp"], soft(slow_image, text_keys))
           + soft_cross_entropy(features @ image_keys / w["temp"], soft(slow_text, image_keys))) / 2

    images = [keys_values(w, f"{LAYERS}{i}.crossattention", image, c["num_attention_heads"], "self") for i in range(c["num_hidden_layers"])]
    own = jnp.arange(batch)
    negative = jnp.roll(own, -1)  # the next pair
    image_rows, text_rows = jnp.concatenate([own, negative, own]), jnp.concatenate([own, own, negative])
    picked = jax.tree.map(lambda t: t[image_rows], images)
    x = embed(w, ids.at[:, 0].set(c["vocab_size"] - 1))[text_rows]  # [ENC]
    matched = read(w, c, x, visible[text_rows][:, None, None], picked)
    itm = cross_entropy(linear(w, "itm_head", matched[:, 0]), (jnp.arange(3 * batch) < batch).astype(jnp.int32)).mean()

    x = embed(w, ids.at[:, 0].set(c["vocab_size"] - 2)[:, :-1])  # [DEC]
    x = read(w, c, x, causal_mask(visible[:, :-1]), images, OWN)
    logits = word_logits(w, "text_decoder.", "text_encoder.embeddings.", x)
    lm = word_loss(logits, jnp.where(visible[:, 1:], ids[:, 1:], IGNORED), SMOOTHING)
    return ita + itm + lm, (ita, itm, lm)


def begin(config, weights):
    @functools.partial(jax.jit, donate_argnums=(0, 1, 2, 3))
    def step(trained, moments, copies, queues, _, number, pixels, ids, mask):
        trained = trained | {"temp": jnp.clip(trained["temp"], 0.001, 0.5)}
        copies = {name: MOMENTUM * slow + (1 - MOMENTUM) * trained[name] for name, slow in copies.items()}
        slow = look(copies, config, pixels)[1], text_features(copies, config["text"], ids, mask > 0)
        (_, losses), gradients = jax.value_and_grad(losses_of, has_aux=True)(trained, config, *slow, queues[:2], pixels, ids, mask)
        trained, moments = adamw(trained, moments, gradients, number, lambda name, rank: True)
        at = queues[2]
        queues = (*(jax.lax.dynamic_update_slice(queue, new.T, (0, at)) for queue, new in zip(queues, slow)), (at + len(ids)) % queues[0].shape[1])
        return trained, moments, copies, queues, losses

    kept = {name: jnp.array(kernel(name, value)) for name, value in weights.items()}
    queues = kept.pop("image_queue"), kept.pop("text_queue"), kept.pop("queue_ptr")[0]
    copies = {name.removeprefix("momentum."): kept.pop(name) for name in list(kept) if name.startswith("momentum.")}
    return (kept, zero_moments(kept), copies, queues), None, step


if __name__ == "__main__":
    main(begin, __doc__)
