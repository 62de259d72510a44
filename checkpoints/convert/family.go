package convert

import (
	"slices"
	"strings"

	"goblip/models/blip"
	"goblip/models/blip2"
)

// family is how the original code of a family of models names its tensors.
type family struct {
	// from gives transformers' name of the original's; keep is false for a tensor without a
	// counterpart of its own. Nil: there are no other names.
	from func(name string) (hf string, keep bool)

	// to is the reverse; nil where from is.
	to func(hf string) string

	// isOriginal tells the original's names from transformers'.
	isOriginal func(names []string) bool

	// pretraining tells which tensors only training needs.
	pretraining func(name string) bool

	// regrouped says that LAVIS' BLIP-2 is the original, which has some attention tensors in parts or
	// packed where transformers does not, and llm how it calls a language model that is no T5.
	regrouped bool
	llm       string

	// parts says that the model is made of others, which have files of their own.
	parts bool
}

// families are by the model_type of config.json.
var families = map[string]*family{
	"blip": {from: blip.FromOriginal, to: blip.ToOriginal, isOriginal: blip.IsOriginal, pretraining: blip.IsPretraining},
	"blip-2": {from: blip2.FromLAVIS, to: func(hf string) string { return blip2.ToLAVIS(hf, "opt") }, isOriginal: isLAVIS,
		pretraining: blip2.IsPretraining, regrouped: true, llm: "opt", parts: true},
	"instructblip": {from: blip2.FromLAVISInstruct, to: func(hf string) string { return blip2.ToLAVIS(hf, "llm") }, isOriginal: isLAVIS,
		regrouped: true, llm: "llm", parts: true},
}

// familyByNames finds the family of tensors without a config.json.
func familyByNames(names []string) *family {
	switch {
	case blip.IsOriginal(names):
		return families["blip"]
	case isLAVIS(names):
		return families["blip-2"]
	}
	return &family{}
}

// isLAVIS says whether some name is LAVIS'. Its files may have but a few.
func isLAVIS(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		for _, prefix := range []string{"opt_proj.", "t5_proj.", "llm_proj.", "opt_model.", "t5_model.", "llm_model."} {
			if strings.HasPrefix(name, prefix) {
				return true
			}
		}
		return blip2.IsLAVIS(name)
	})
}
