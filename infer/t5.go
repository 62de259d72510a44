package infer

import (
	"fmt"
	"slices"
	"strings"

	"goblip/checkpoints"
	"goblip/models/t5"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Names of a T5's one word table: the first is ours, and any may stand for it in a file.
var t5Tables = []string{"shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", t5Head}

const t5Head = "lm_head.weight"

// T5LoadOptions says how the tensors of a T5 lie in a folder, under names that begin with prefix; to is
// put in front of every name. They hold where the word table is, and that its copies are left out. It
// sets cfg.UntiedHead if lm_head.weight is a tensor of its own: configs do not tell, for newer ones say
// that every head is tied, and transformers goes by what the file has.
func T5LoadOptions(folder *checkpoints.Folder, prefix, to string, cfg *t5.Config) (checkpoints.LoadOptions, error) {
	o := checkpoints.LoadOptions{To: to}
	all := folder.Names()
	has := func(name string) bool {
		_, found := slices.BinarySearch(all, prefix+name)
		return found
	}
	at := slices.IndexFunc(t5Tables, has)
	if at < 0 {
		return o, nil // loading says that the table is missing
	}
	table := t5Tables[at]
	cfg.UntiedHead = table != t5Head && has(t5Head)
	leftOut := []string{"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"} // which no version reads
	for _, copied := range t5Tables[at+1:] {
		if copied == t5Head || !has(copied) {
			continue
		}
		if err := sameTensor(folder, prefix+copied, prefix+table); err != nil {
			return o, err
		}
		leftOut = append(leftOut, copied)
	}
	o.Rename = func(name string) string {
		own, ours := strings.CutPrefix(name, to+prefix)
		switch {
		case !ours:
			return name
		case slices.Contains(leftOut, own):
			return ""
		case own == table:
			return to + prefix + t5Tables[0]
		}
		return name
	}
	return o, nil
}

// sameTensor wants a copy to be one: a T5 with two different word tables is none that we build.
func sameTensor(folder *checkpoints.Folder, copied, table string) error {
	a, err := folder.File(copied).Tensor(copied)
	if err != nil {
		return err
	}
	b, err := folder.File(table).Tensor(table)
	if err != nil {
		return err
	}
	if !a.Equal(b) {
		return fmt.Errorf("%s: tensor %s is not a copy of %s", folder.Dir(), copied, table)
	}
	return nil
}

// LoadT5 loads a T5 folder as the language model of a BLIP-2.
func LoadT5(backend compute.Backend, store *model.Store, folder *checkpoints.Folder) (*t5.Config, error) {
	var cfg t5.Config
	if err := folder.Config(&cfg); err != nil {
		return nil, err
	}
	if cfg.ModelType != "t5" {
		return nil, fmt.Errorf("%s: model_type %q is not a T5", folder.Dir(), cfg.ModelType)
	}
	if err := validate(folder, &cfg); err != nil {
		return nil, err
	}
	o, err := T5LoadOptions(folder, "", "language_model.", &cfg)
	if err != nil {
		return nil, err
	}
	o.ConvertFloats = true
	want, err := Declare(backend, store, func(root *model.Scope, in []*Node) {
		scope := root.At("language_model")
		states := t5.Encode(scope, &cfg, t5.Embed(scope, &cfg, in[0]), in[0])
		decoded, _ := t5.Decode(scope, &cfg, in[0], nil, t5.Remember(scope, &cfg, states, in[0]))
		t5.Logits(scope, &cfg, decoded)
	}, shapes.Make(dtypes.Int32, 1, 2))
	if err != nil {
		return nil, err
	}
	_, err = folder.LoadWith(store, want, o)
	return &cfg, err
}
