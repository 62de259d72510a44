package forward

import (
	"goblip/checkpoints"
	"goblip/infer"
	"goblip/models/generate"
	"goblip/models/t5"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// t5LM is T5ForConditionalGeneration: input_ids and attention_mask, padded on any side, and labels.
func t5LM(r *run) error {
	var cfg t5.Config
	if err := r.readModel(checkpoints.ConfigFile, &cfg); err != nil {
		return err
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	folder, err := r.folder()
	if err != nil {
		return err
	}
	defer folder.Close()
	o, err := infer.T5LoadOptions(folder, "", "", &cfg)
	if err != nil {
		return err
	}
	encode := func(scope *model.Scope, ids, mask *Node) *Node {
		return t5.Encode(scope, &cfg, t5.Embed(scope, &cfg, ids), mask)
	}
	logits := func(scope *model.Scope, states, mask, labels, labelMask *Node) *Node {
		decoded, _ := t5.Decode(scope, &cfg, t5.DecoderIDs(&cfg, labels), labelMask, t5.Remember(scope, &cfg, states, mask))
		return t5.Logits(scope, &cfg, decoded)
	}
	if err := r.load(o, func(scope *model.Scope, in []*Node) {
		logits(scope, encode(scope, in[0], in[0]), in[0], in[0], nil)
	}, shapes.Make(dtypes.Int32, 1, 2)); err != nil {
		return err
	}
	if names := r.given(t5Inputs); len(names) >= 2 {
		if err := r.graph(names, func(scope *model.Scope, in []*Node, out *outputs) {
			states := encode(scope, in[0], in[1])
			out.put("encoder_last_hidden_state", states)
			r.answers(in[2:], out, func(labels, labelMask *Node) *Node { return logits(scope, states, in[1], labels, labelMask) })
		}); err != nil {
			return err
		}
	}
	wanted := r.generations("")
	if len(wanted) == 0 {
		return nil
	}
	ids, mask, err := r.texts("")
	if err != nil {
		return err
	}
	generator := generate.NewGenerator(r.backend, r.store, generate.T5(&cfg), cfg.VocabSize)
	defer generator.Finalize()
	return r.decodeT5(&cfg, len(ids), wanted, func(starts [][]int32, o generate.Options) ([]generate.Sequence, error) {
		visible := make([][]int32, len(starts))
		for i := range visible {
			visible[i] = []int32{1}
		}
		return generator.Generate([]*tensors.Tensor{tensorOf(ids), tensorOf(mask)}, visible, starts, o, nil)
	})
}
