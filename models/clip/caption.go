package clip

import (
	"strings"

	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// captionDecoder is the scope of the weights that only CaptionHead uses.
const captionDecoder = "caption_decoder"

// IsCaptionDecoder says whether a tensor belongs to CaptionHead and not to a CLIPModel.
func IsCaptionDecoder(tensor string) bool { return strings.HasPrefix(tensor, captionDecoder+".") }

// CaptionHead scores the next word of a caption: the causal states of the text tower
// read the image's tokens (CoCa, Yu et al., https://arxiv.org/abs/2205.01917, section 3.2, with
// cross-attention alone on top). They teach the image tower what one vector a picture does not.
//
//	text   [batch, text, hidden], TextStates
//	tokens [batch, patches, image_hidden]: those that BLIP-2 will read, the last block's input
//
// The head's states are [batch, text, hidden].
func CaptionHead(scope *model.Scope, cfg *Config, layers int, text, tokens *Node) nn.Head {
	t, decoder := &cfg.Text, scope.At(captionDecoder)
	tokens = nn.LayerNorm(decoder.At("image_layernorm"), tokens, t.LayerNormEps)
	x := text
	for i := range layers {
		x = nn.Block(x, func(x *Node) *Node {
			layer := decoder.At("layers").At("%d", i)
			attention := layer.At("cross_attn")
			heads := func(name string, from *Node) *Node {
				return nn.Heads(nn.Linear(attention.At("%s", name), from, t.HiddenSize), t.NumAttentionHeads)
			}
			h := nn.LayerNorm(layer.At("layer_norm1"), x, t.LayerNormEps)
			h = nn.Attend(heads("q_proj", h), heads("k_proj", tokens), heads("v_proj", tokens), nil, 0)
			x = Add(x, nn.Linear(attention.At("out_proj"), h, t.HiddenSize))
			h = nn.LayerNorm(layer.At("layer_norm2"), x, t.LayerNormEps)
			h = nn.Activation(t.HiddenAct, nn.Linear(layer.At("mlp").At("fc1"), h, t.IntermediateSize))
			return Add(x, nn.Linear(layer.At("mlp").At("fc2"), h, t.HiddenSize))
		})
	}
	x = nn.LayerNorm(decoder.At("final_layer_norm"), x, t.LayerNormEps)
	return nn.Head{States: x, Table: wordTable(scope, cfg, x)}
}
