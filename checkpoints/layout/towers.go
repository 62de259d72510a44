package layout

import (
	"fmt"

	"goblip/models/bert"
	"goblip/models/blip2"
	"goblip/models/clip"
	"goblip/models/opt"
	"goblip/models/t5"
	"goblip/models/vit"
)

// vision is the image encoder of BLIP and BLIP-2, with packed qkv, or CLIP's.
func (b *builder) vision(at string, c *vit.Config) {
	isCLIP := c.ModelType == vit.CLIP
	embeddings := join(at, "embeddings")
	b.tensor(join(embeddings, "patch_embedding.weight"), c.HiddenSize, 3, c.PatchSize, c.PatchSize)
	if isCLIP {
		b.tensor(join(embeddings, "class_embedding"), c.HiddenSize)
		b.table(join(embeddings, "position_embedding"), c.Tokens(), c.HiddenSize)
		b.optional(join(embeddings, "position_ids"), 1, c.Tokens())
		b.norm(join(at, "pre_layrnorm"), c.HiddenSize)
	} else {
		b.tensor(join(embeddings, "patch_embedding.bias"), c.HiddenSize)
		b.tensor(join(embeddings, "class_embedding"), 1, 1, c.HiddenSize)
		b.tensor(join(embeddings, "position_embedding"), 1, c.Tokens(), c.HiddenSize)
	}
	for i := range c.NumHiddenLayers {
		layer := fmt.Sprintf("%s.encoder.layers.%d", at, i)
		if isCLIP {
			b.clipLayer(layer, c.HiddenSize, c.IntermediateSize)
			continue
		}
		b.tensor(join(layer, "self_attn.qkv.weight"), 3*c.HiddenSize, c.HiddenSize)
		if c.QKVBias {
			b.tensor(join(layer, "self_attn.qkv.bias"), 3*c.HiddenSize)
		}
		b.linear(join(layer, "self_attn.projection"), c.HiddenSize, c.HiddenSize)
		b.feedForward(layer, c.HiddenSize, c.IntermediateSize)
	}
	b.norm(join(at, "post_layernorm"), c.HiddenSize)
}

// clipLayer is a layer of either tower of CLIP.
func (b *builder) clipLayer(at string, hidden, inner int) {
	for _, name := range []string{"q_proj", "k_proj", "v_proj", "out_proj"} {
		b.linear(join(at, "self_attn", name), hidden, hidden)
	}
	b.feedForward(at, hidden, inner)
}

func (b *builder) feedForward(at string, hidden, inner int) {
	b.norm(join(at, "layer_norm1"), hidden)
	b.norm(join(at, "layer_norm2"), hidden)
	b.linear(join(at, "mlp.fc1"), hidden, inner)
	b.linear(join(at, "mlp.fc2"), inner, hidden)
}

// clipText is CLIP's text tower.
func (b *builder) clipText(at string, c *clip.TextConfig) {
	b.table(join(at, "embeddings.token_embedding"), c.VocabSize, c.HiddenSize)
	b.table(join(at, "embeddings.position_embedding"), c.MaxPositionEmbeddings, c.HiddenSize)
	b.optional(join(at, "embeddings.position_ids"), 1, c.MaxPositionEmbeddings)
	for i := range c.NumHiddenLayers {
		b.clipLayer(fmt.Sprintf("%s.encoder.layers.%d", at, i), c.HiddenSize, c.IntermediateSize)
	}
	b.norm(join(at, "final_layer_norm"), c.HiddenSize)
}

// words are BERT's embeddings without token types.
func (b *builder) words(at string, c *bert.Layers) {
	b.table(join(at, "word_embeddings"), c.VocabSize, c.HiddenSize)
	b.table(join(at, "position_embeddings"), c.MaxPositionEmbeddings, c.HiddenSize)
	b.norm(join(at, "LayerNorm"), c.HiddenSize)
	b.optional(join(at, "position_ids"), 1, c.MaxPositionEmbeddings)
}

// encoder is BERT's layers; cross is the width of what they attend to, 0 if to nothing.
func (b *builder) encoder(at string, c *bert.Layers, cross int) {
	for i := range c.NumHiddenLayers {
		layer := fmt.Sprintf("%s.layer.%d", at, i)
		b.attention(join(layer, "attention"), "self", c.HiddenSize, c.HiddenSize)
		if cross > 0 {
			b.attention(join(layer, "crossattention"), "self", c.HiddenSize, cross)
		}
		b.bertFeedForward(layer, "", c.HiddenSize, c.IntermediateSize)
	}
}

// attention is BERT's, where keys and values come from states of another width.
func (b *builder) attention(at, inner string, hidden, from int) {
	b.linear(join(at, inner, "query"), hidden, hidden)
	b.linear(join(at, inner, "key"), from, hidden)
	b.linear(join(at, inner, "value"), from, hidden)
	b.linear(join(at, "output.dense"), hidden, hidden)
	b.norm(join(at, "output.LayerNorm"), hidden)
}

func (b *builder) bertFeedForward(at, suffix string, hidden, inner int) {
	b.linear(join(at, "intermediate"+suffix, "dense"), hidden, inner)
	b.linear(join(at, "output"+suffix, "dense"), inner, hidden)
	b.norm(join(at, "output"+suffix, "LayerNorm"), hidden)
}

// languageHead predicts words; its table is the word embeddings.
func (b *builder) languageHead(at string, c *bert.Layers) {
	b.linear(join(at, "predictions.transform.dense"), c.HiddenSize, c.HiddenSize)
	b.norm(join(at, "predictions.transform.LayerNorm"), c.HiddenSize)
	b.tensor(join(at, "predictions.bias"), c.VocabSize)
	b.optional(join(at, "predictions.decoder.weight"), c.VocabSize, c.HiddenSize)
	b.optional(join(at, "predictions.decoder.bias"), c.VocabSize)
}

// qformer is the Q-Former's layers; text says whether they have a feed-forward for words.
func (b *builder) qformer(c *blip2.QFormerConfig, text bool) {
	for i := range c.NumHiddenLayers {
		layer := fmt.Sprintf("qformer.encoder.layer.%d", i)
		b.attention(join(layer, "attention"), "attention", c.HiddenSize, c.HiddenSize)
		if i%c.CrossAttentionFrequency == 0 {
			b.attention(join(layer, "crossattention"), "attention", c.HiddenSize, c.EncoderHiddenSize)
		}
		b.bertFeedForward(layer, "_query", c.HiddenSize, c.IntermediateSize)
		if text {
			b.bertFeedForward(layer, "", c.HiddenSize, c.IntermediateSize)
		}
	}
}

// opt is OPTForCausalLM under a prefix that is empty or ends with a dot.
func (b *builder) opt(prefix string, c *opt.Config) {
	const offset = 2 // rows in front of the positions, which nothing uses
	decoder := prefix + "model.decoder"
	b.table(join(decoder, "embed_tokens"), c.VocabSize, c.WordEmbedProjDim)
	b.table(join(decoder, "embed_positions"), c.MaxPositionEmbeddings+offset, c.HiddenSize)
	if c.WordEmbedProjDim != c.HiddenSize {
		b.tensor(join(decoder, "project_in.weight"), c.HiddenSize, c.WordEmbedProjDim)
		b.tensor(join(decoder, "project_out.weight"), c.WordEmbedProjDim, c.HiddenSize)
	}
	for i := range c.NumHiddenLayers {
		layer := fmt.Sprintf("%s.layers.%d", decoder, i)
		for _, name := range []string{"q_proj", "k_proj", "v_proj", "out_proj"} {
			b.linear(join(layer, "self_attn", name), c.HiddenSize, c.HiddenSize)
		}
		b.norm(join(layer, "self_attn_layer_norm"), c.HiddenSize)
		b.linear(join(layer, "fc1"), c.HiddenSize, c.FFNDim)
		b.linear(join(layer, "fc2"), c.FFNDim, c.HiddenSize)
		b.norm(join(layer, "final_layer_norm"), c.HiddenSize)
	}
	if c.DoLayerNormBefore && !c.RemoveFinalLayerNorm {
		b.norm(join(decoder, "final_layer_norm"), c.HiddenSize)
	}
	b.optional(prefix+"lm_head.weight", c.VocabSize, c.WordEmbedProjDim)
}

// t5 is T5ForConditionalGeneration under a prefix that is empty or ends with a dot. Whether the head
// is tied the file says, by having lm_head.weight or not.
func (b *builder) t5(prefix string, c *t5.Config) {
	b.table(prefix+"shared", c.VocabSize, c.DModel)
	for _, copy := range []string{"encoder.embed_tokens", "decoder.embed_tokens", "lm_head"} {
		b.optional(prefix+copy+".weight", c.VocabSize, c.DModel)
	}
	inner := c.NumHeads * c.DKV
	attention := func(at string) {
		for _, name := range []string{"q", "k", "v"} {
			b.tensor(join(at, name, "weight"), inner, c.DModel)
		}
		b.tensor(join(at, "o.weight"), c.DModel, inner)
	}
	stack := func(name string, layers int, cross bool) {
		for i := range layers {
			block := fmt.Sprintf("%s%s.block.%d.layer", prefix, name, i)
			attention(block + ".0.SelfAttention")
			if i == 0 {
				b.table(block+".0.SelfAttention.relative_attention_bias", c.RelativeAttentionNumBuckets, c.NumHeads)
			}
			b.tensor(block+".0.layer_norm.weight", c.DModel)
			last := 1
			if cross {
				attention(block + ".1.EncDecAttention")
				b.tensor(block+".1.layer_norm.weight", c.DModel)
				// The first library had a table here that nothing used.
				b.optional(block+".1.EncDecAttention.relative_attention_bias.weight", c.RelativeAttentionNumBuckets, c.NumHeads)
				last = 2
			}
			dense := fmt.Sprintf("%s.%d", block, last)
			if c.IsGatedAct {
				b.tensor(dense+".DenseReluDense.wi_0.weight", c.DFF, c.DModel)
				b.tensor(dense+".DenseReluDense.wi_1.weight", c.DFF, c.DModel)
			} else {
				b.tensor(dense+".DenseReluDense.wi.weight", c.DFF, c.DModel)
			}
			b.tensor(dense+".DenseReluDense.wo.weight", c.DModel, c.DFF)
			b.tensor(dense+".layer_norm.weight", c.DModel)
		}
		b.tensor(prefix+name+".final_layer_norm.weight", c.DModel)
	}
	stack("encoder", c.NumLayers, false)
	stack("decoder", c.NumDecoderLayers, true)
}
