package forward

import (
	"goblip/infer"
	"goblip/models/bert"
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// bertModel is BertModel, and the sentence embedding that sentence-transformers makes of it: the mean
// over visible tokens, of unit length.
func bertModel(r *run) error {
	folder, err := r.folder()
	if err != nil {
		return err
	}
	defer folder.Close()
	cfg, err := infer.LoadBERT(r.backend, r.store, folder)
	if err != nil {
		return err
	}
	inputs := []string{"input_ids", "attention_mask"}
	if r.hasInput("token_type_ids") {
		inputs = append(inputs, "token_type_ids")
	}
	return r.graph(inputs, func(scope *model.Scope, in []*Node, out *outputs) {
		var types *Node
		if len(in) > 2 {
			types = in[2]
		}
		states := bert.Model(scope, cfg, in[0], in[1], types)
		last := states[len(states)-1]
		out.all("hidden_states.", states)
		out.put("last_hidden_state", last)
		out.put("pooler_output", bert.Pool(scope, &cfg.Layers, last))
		weights := ConvertDType(InsertAxes(in[1], -1), last.DType())
		mean := Div(ReduceSum(Mul(last, weights), 1), MaxScalar(ReduceSum(weights, 1), 1e-9))
		out.put("sentence_embedding", nn.Normalize(mean))
	})
}
