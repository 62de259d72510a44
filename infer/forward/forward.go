// Package forward runs a checkpoint on given tensors and gives named outputs back: the parity door,
// which proves that a converted model computes what the reference computed.
//
// A case is a folder: model/ is the checkpoint, inputs.safetensors the tensors to run it on, and
// case.json says which tensors to compute ("expected", by name) and with which settings. What a
// folder is, its model's config.json tells (or stage1_config.json, pretrain_config.json beside
// weights of LAVIS and BLIP), never its name.
//
//	forward.go      Run, and which family a case belongs to
//	sample.go       Sample: a checkpoint on random inputs, to be compared with another
//	sample_inputs.go  its pictures and texts
//	case.go         case.json, inputs, the names wanted
//	graph.go        a run: graphs over inputs, outputs by name, gradients
//	load.go         weights, strictly
//	generate.go     generated ids and scores: settings by name, rows filled up as transformers does
//	towers.go       outputs that several families have: image towers, losses over labels
//	blip2_opt.go    Blip2ForConditionalGeneration with an OPT
//	blip2_t5.go     the same with a T5
//	retrieval.go    Blip2ForImageTextRetrieval
//	lavis.go        BLIP-2's stage 1 as LAVIS trains it: losses, masks, gradients
//	lavis_captions.go  what its Q-Former writes on its own
//	optimisation.go twenty steps of it, and AdamW alone
//	blip.go         BLIP's three classes
//	pretrain.go     a step of BLIP's pre-training
//	opt.go t5.go clip.go bert.go  OPTForCausalLM, T5ForConditionalGeneration, CLIPModel, BertModel
package forward

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"goblip/checkpoints"
	"goblip/models/blip"
	"goblip/models/blip2"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Options narrow a run down.
type Options struct {
	Only  string // a pattern of path.Match over names, "gen.*" for instance; "": all
	Model string // checkpoint folder instead of the case's own
}

// Run computes the tensors that the case in dir wants, sorted by name, each with the element type
// that case.json gives it. Notes say which shapes differ from those of case.json.
func Run(backend compute.Backend, dir string, o Options) (named []checkpoints.Named, notes []string, err error) {
	c, err := open(dir, o)
	if err != nil {
		return nil, nil, err
	}
	defer c.close()
	r := &run{Case: c, backend: backend, store: model.NewStore(), got: map[string]*tensors.Tensor{}}
	defer r.finalize()
	if err := r.compute(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	if unknown := r.missing(); len(unknown) > 0 {
		return nil, nil, fmt.Errorf("%s: case.json: expected lists %d tensors that nothing computes: %s", dir, len(unknown), strings.Join(unknown, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(r.got)) {
		value, err := cast(r.got[name], c.about.Expected[name].DType)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: tensor %s: %w", dir, name, err)
		}
		if want := c.about.Expected[name].Shape; want != nil && !slices.Equal(want, value.Shape().Dimensions) {
			notes = append(notes, fmt.Sprintf("tensor %s has shape %v, case.json says %v", name, value.Shape().Dimensions, want))
		}
		named = append(named, checkpoints.Named{Name: name, Tensor: value})
	}
	return named, notes, nil
}

// compute runs what the case's checkpoint is.
func (r *run) compute() error {
	compute, err := family(r.Case)
	if err != nil {
		return err
	}
	return compute(r)
}

// family is what a case runs, by the class that its checkpoint names.
func family(c *Case) (func(*run) error, error) {
	if c.has(stage1ConfigFile) { // weights of LAVIS, which have no config.json
		if c.about.Schedule != nil {
			return optimisation, nil
		}
		return lavisStage1, nil
	}
	if c.has(pretrainConfigFile) {
		return blipPretrain, nil
	}
	var kind struct {
		Architectures []string `json:"architectures"`
		Text          struct {
			ModelType string `json:"model_type"`
		} `json:"text_config"`
	}
	if err := c.readModel(checkpoints.ConfigFile, &kind); err != nil {
		return nil, err
	}
	for _, class := range kind.Architectures {
		switch class {
		case blip2.GenerationClass, blip2.InstructClass:
			switch kind.Text.ModelType {
			case "opt", "":
				return blip2OPT, nil
			case "t5":
				return blip2T5, nil
			}
		case blip2.RetrievalClass:
			return blip2Retrieval, nil
		case "T5ForConditionalGeneration":
			return t5LM, nil
		case "OPTForCausalLM":
			return optLM, nil
		case "CLIPModel":
			return clipModel, nil
		case "BertModel", "BertForMaskedLM", "BertForPreTraining":
			return bertModel, nil
		case blip.CaptionClass:
			return blipCaption, nil
		case blip.RetrievalClass:
			return blipITM, nil
		case blip.VQAClass:
			return blipVQA, nil
		}
	}
	return nil, fmt.Errorf("%s: config.json: nothing runs architectures %q with text model %q", c.model, kind.Architectures, kind.Text.ModelType)
}
