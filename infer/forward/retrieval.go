package forward

import (
	"goblip/checkpoints"
	"goblip/infer"
	"goblip/models/blip2"
	"goblip/models/nn"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// blip2Retrieval is Blip2ForImageTextRetrieval: itm.* judges picture and text of one row, itc.*
// compares every picture with every text. Where config.json names an image token, ids and masks
// begin with a placeholder for each query: the ids lose them, and the mask of ITM is the one over
// queries and text.
func blip2Retrieval(r *run) error {
	var cfg blip2.Config
	if err := r.readModel(checkpoints.ConfigFile, &cfg); err != nil {
		return err
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	if err := loadRetrieval(r, &cfg); err != nil {
		return err
	}
	queries := 0 // columns of placeholders
	if cfg.ImageTokenIndex != nil {
		queries = cfg.NumQueryTokens
	}
	if err := r.graph([]string{"pixel_values"}, func(scope *model.Scope, in []*Node, out *outputs) {
		visionOutputs(scope, &cfg.Vision, in[0], "vision", out)
	}); err != nil {
		return err
	}
	if err := r.graph([]string{"pixel_values", "itm_input_ids", "itm_attention_mask"}, func(scope *model.Scope, in []*Node, out *outputs) {
		im := blip2.EncodeImages(scope, &cfg, lastState(scope, &cfg.Vision, in[0]))
		ids, mask := dropColumns(in[1], queries), in[2]
		if queries == 0 {
			mask = Concatenate([]*Node{blip2.OnesLike32(mask, cfg.NumQueryTokens), mask}, 1)
		}
		logits, states := jointMatch(scope, &cfg, im.Queries, im.KV, ids, mask)
		out.put("itm.logits", logits)
		out.put("itm.qformer_last_hidden_state", states)
	}); err != nil {
		return err
	}
	return r.graph([]string{"pixel_values", "itc_input_ids", "itc_attention_mask"}, func(scope *model.Scope, in []*Node, out *outputs) {
		im := blip2.EncodeImages(scope, &cfg, lastState(scope, &cfg.Vision, in[0]))
		blip2.ProjectImages(scope, &cfg, &im)
		text, states := blip2.TextFeatures(scope, &cfg, dropColumns(in[1], queries), dropColumns(in[2], queries))
		out.put("itc.image_embeds", im.Features)
		out.put("itc.text_embeds", text)
		out.put("itc.text_last_hidden_state", states)
		out.put("itc.logits_per_image", blip2.Similarity(im.Features, text))
	})
}

// loadRetrieval fills a Blip2ForImageTextRetrieval.
func loadRetrieval(r *run, cfg *blip2.Config) error {
	side := cfg.Vision.ImageSize
	return r.load(checkpoints.LoadOptions{IgnoreUnexpected: func(name string) bool {
		return blip2.IsPretraining(name) || infer.IsPositionIDs(name)
	}}, func(scope *model.Scope, in []*Node) {
		im := blip2.EncodeImages(scope, cfg, lastState(scope, &cfg.Vision, in[0]))
		blip2.ProjectImages(scope, cfg, &im)
		blip2.TextFeatures(scope, cfg, in[1], in[1])
		blip2.Match(scope, cfg, im.Queries, im.KV, in[1], in[1])
	}, shapes.Make(dtypes.Float32, 1, 3, side, side), shapes.Make(dtypes.Int32, 1, 4))
}

// jointMatch is blip2.Match with a mask over queries and text, [pairs, queries+text], and the states
// of all of them beside the logits.
func jointMatch(scope *model.Scope, cfg *blip2.Config, queries *Node, images []blip2.KV, ids, mask *Node) (logits, states *Node) {
	text := blip2.EmbedText(scope, &cfg.QFormer, ids, nil)
	visible := InsertAxes(GreaterThan(mask, ZerosLike(mask)), 1)
	encoded := blip2.Encode(scope, &cfg.QFormer, blip2.Pass{Queries: queries, Text: text, Images: images, Mask: nn.AdditiveMask(visible, text)})
	logits = ReduceMean(nn.Linear(scope.At("itm_head"), encoded.Queries, 2), 1)
	return logits, encoded.States[len(encoded.States)-1]
}

// dropColumns cuts the first columns off: [batch, n+text] -> [batch, text].
func dropColumns(x *Node, n int) *Node { return Slice(x, AxisRange(), AxisRange(n)) }
