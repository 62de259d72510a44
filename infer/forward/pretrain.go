package forward

import (
	"fmt"
	"path/filepath"
	"strings"

	"goblip/checkpoints"
	"goblip/infer"
	"goblip/models/blip"
	"goblip/models/nn"
	"goblip/train/objective"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// pretrainConfigFile describes weights of BLIP's pre-training, whose own format has no config.
const pretrainConfigFile = "pretrain_config.json"

// blipPretrain is one training step of BLIP_Pretrain without the optimizer: its values, the gradients
// of all trained tensors (grad.*), and what carries over to the next step (after.*).
func blipPretrain(r *run) error {
	objective, alpha, err := openPretrain(r)
	if err != nil {
		return err
	}
	batch := []string{"pixel_values", "input_ids", "attention_mask", "neg_image_index", "neg_text_index"}
	return r.graph(batch, func(scope *model.Scope, in []*Node, out *outputs) {
		g, ids := in[0].Graph(), in[1]
		nn.Train(Const(g, nn.StepRNG(0, 0))) // dropout is 0: nothing is drawn
		objective.Negatives = func(_, _ *Node) (*Node, *Node) { return in[3], in[4] }
		rows := ids.Shape().Dim(0)
		l := objective.Losses(scope, in[0], ids, in[2], BroadcastToDims(Const(g, alpha), rows), nil)
		loss := Add(Add(l.ITA, l.ITM), l.LM)
		for name, node := range map[string]*Node{
			"loss_ita": l.ITA, "loss_itm": l.ITM, "loss_lm": l.LM, "loss": loss,
			"image_embeds": l.Image, "text_output": l.TextStates, "image_features": l.ImageFeatures, "text_features": l.TextFeatures,
			"image_features_m": l.MomentumImage, "text_features_m": l.MomentumText, "sim_i2t": l.ImageToText, "sim_t2i": l.TextToImage,
			"targets_i2t": l.ImageTargets, "targets_t2i": l.TextTargets, "itm_weights_i2t": l.WeightsImageToText, "itm_weights_t2i": l.WeightsTextToImage,
			"lm_logits": l.Words.Logits(),
		} {
			out.put(name, node)
		}
		// The reference has the three kinds of pairs one behind the other; the objective has them side by side.
		out.put("itm_logits", Reshape(Transpose(Reshape(l.MatchLogits, rows, 3, 2), 0, 1), 3*rows, 2))
		own := numbers(ids)
		out.put("itm_labels", Concatenate([]*Node{OnesLike(own), ZerosLike(own), ZerosLike(own)}, 0))
		decoder := nn.WithFirst(ids, objective.Config.Text.BOSTokenID)
		pad := ConstAs(decoder, objective.Config.Text.PadTokenID)
		out.put("decoder_input_ids", decoder)
		out.put("lm_labels", Where(Equal(decoder, pad), ConstAs(decoder, ignored), decoder))
		if r.needs("grad.*") {
			r.gradients("grad.", loss, func(name string) string {
				hf, _ := blip.FromPretraining(name)
				return hf
			}, out)
		}
		for _, name := range r.missing() {
			tensor, ok := strings.CutPrefix(name, "after.")
			hf, _ := blip.FromPretraining(tensor)
			if v := r.store.GetVariable(checkpoints.VariablePath(hf)); ok && v != nil && v.InUseByGraph(g) {
				out.put(name, v.NodeValue(g))
			}
		}
	})
}

// openPretrain loads the state before the step.
func openPretrain(r *run) (objective.BLIPPretrain, float32, error) {
	s := smallBERT{EpsText: 1e-12, EpsViT: 1e-6, SEP: 102}
	set := struct { // case.json goes first
		Alpha     *float32 `json:"alpha"`
		Momentum  *float64 `json:"momentum"`
		Smoothing *float64 `json:"label_smoothing_lm"`
	}{}
	var b objective.BLIPPretrain
	if err := firstError(r.readModel(pretrainConfigFile, &s), r.readModel(pretrainConfigFile, &set), r.JSON(&set)); err != nil {
		return b, 0, err
	}
	c := blip.Default()
	v, t := &c.Vision, &c.Text
	v.HiddenSize, v.NumHiddenLayers, v.NumAttentionHeads, v.IntermediateSize = s.ViT.Width, s.ViT.Depth, s.ViT.Heads, s.ViT.MLP
	v.ImageSize, v.PatchSize, v.LayerNormEps = s.ViT.Image, s.ViT.Patch, s.EpsViT
	t.VocabSize, t.HiddenSize, t.NumHiddenLayers, t.NumAttentionHeads, t.IntermediateSize = s.Vocab, s.Width, s.Depth, s.Heads, s.Inner
	t.MaxPositionEmbeddings, t.LayerNormEps, t.HiddenDropoutProb, t.AttentionProbsDropoutProb = s.Positions, s.EpsText, s.Dropout, s.Dropout
	t.BOSTokenID, t.SEPTokenID, t.PadTokenID = s.BOS, s.SEP, s.Pad
	t.EncoderHiddenSize, c.ImageTextHiddenSize = s.ViT.Width, s.Embed
	if err := c.Validate(); err != nil {
		return b, 0, fmt.Errorf("%s: %w", filepath.Join(r.model, pretrainConfigFile), err)
	}
	if s.ENC != t.EncTokenID() {
		return b, 0, fmt.Errorf("%s: enc_token_id %d is not the one behind bos_token_id %d", filepath.Join(r.model, pretrainConfigFile), s.ENC, s.BOS)
	}
	b = objective.BLIPPretrain{Config: &c, Sharing: blip.ShareAllButSelf, Queue: s.Queue, Momentum: 0.995, Smoothing: 0.1}
	if set.Momentum != nil {
		b.Momentum = *set.Momentum
	}
	if set.Smoothing != nil {
		b.Smoothing = *set.Smoothing
	}
	alpha := float32(0.4)
	if set.Alpha != nil {
		alpha = *set.Alpha
	}
	return b, alpha, loadPretrain(r, b)
}

func loadPretrain(r *run, b objective.BLIPPretrain) error {
	given := b
	given.Negatives = func(t, _ *Node) (*Node, *Node) {
		own := numbers(t)
		return own, own
	}
	side := b.Config.Vision.ImageSize
	want, err := infer.Declare(r.backend, r.store, func(scope *model.Scope, in []*Node) { given.Losses(scope, in[0], in[1], in[1], in[2], nil) },
		shapes.Make(dtypes.Float32, 2, 3, side, side), shapes.Make(dtypes.Int32, 2, 4), shapes.Make(dtypes.Float32, 2))
	if err != nil {
		return err
	}
	official, err := r.weights()
	if err != nil {
		return err
	}
	weights, shared := map[string]*tensors.Tensor{}, map[string]*tensors.Tensor{}
	for name, value := range official {
		hf, second := blip.FromPretraining(name)
		switch {
		case hf == "":
		case second:
			shared[hf] = value
		default:
			if value.DType() == dtypes.Int64 {
				if value, err = cast(value, "int32"); err != nil {
					return fmt.Errorf("%s: tensor %s: %w", r.model, name, err)
				}
			}
			weights[hf] = value
		}
	}
	for hf, value := range shared {
		if weights[hf] == nil || !value.Equal(weights[hf]) {
			return fmt.Errorf("%s: the decoder's own %s differs from the encoder's, which it shares", r.model, hf)
		}
	}
	return r.fill(want, weights)
}
