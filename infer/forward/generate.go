package forward

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"goblip/models/generate"

	"github.com/gomlx/gomlx/core/tensors"
)

// Names of generated values: gen.SETTING.ids, gen.VARIANT.SETTING.ids, and a beam's scores.
const (
	idsSuffix    = ".ids"
	scoresSuffix = ".sequences_scores"
)

// generation is one wanted use of generate: gen.[VARIANT.]SETTING.
type generation struct {
	variant, setting string
	name             string // in front of ".ids"
	width            int    // of the ids that case.json expects, 0 if it says none
}

// generations lists what is wanted of a variant ("" for gen.SETTING.ids), by setting.
func (r *run) generations(variant string) (out []generation) {
	prefix := "gen."
	if variant != "" {
		prefix += variant + "."
	}
	for _, name := range r.missing() {
		setting, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		setting, _, _ = strings.Cut(setting, ".")
		g := generation{variant: variant, setting: setting, name: prefix + setting}
		if name != g.name+idsSuffix && name != g.name+scoresSuffix || slices.ContainsFunc(out, func(o generation) bool { return o.name == g.name }) {
			continue
		}
		if shape := r.about.Expected[g.name+idsSuffix].Shape; len(shape) == 2 {
			g.width = shape[1]
		}
		out = append(out, g)
	}
	return out
}

// settings are the options of generation that case.json gives a name.
type settings struct {
	generate.Options
	MaxLength int   `json:"max_length"` // counts the prompt
	UseCache  *bool `json:"use_cache"`  // changes nothing but speed
}

// transformersMaxLength is generate's limit where nothing sets one.
const transformersMaxLength = 20

var beamsInName = regexp.MustCompile(`^beam(\d+)`)

// options are those of a generation behind prompts of a length. A case without settings of that
// name says them in the name, greedy or beamN, and in the width of the ids.
func (r *run) options(g generation, prompt, eos int) (generate.Options, error) {
	s := settings{Options: generate.Default()}
	s.MaxNewTokens, s.EOSTokenID = 0, eos
	raw, ok := r.about.Generation[g.setting]
	if ok {
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&s); err != nil {
			return s.Options, fmt.Errorf("case.json: generation %q: %w", g.setting, err)
		}
	} else if found := beamsInName.FindStringSubmatch(g.setting); found != nil {
		s.NumBeams, _ = strconv.Atoi(found[1])
	} else if g.setting != "greedy" {
		return s.Options, fmt.Errorf("case.json: generation has no %q", g.setting)
	}
	if s.MaxNewTokens == 0 {
		switch {
		case s.MaxLength > 0:
			s.MaxNewTokens = s.MaxLength - prompt
		case !ok && g.width > 0:
			s.MaxNewTokens = g.width - prompt
		default:
			s.MaxNewTokens = transformersMaxLength - prompt
		}
	}
	if err := s.Validate(); err != nil {
		return s.Options, fmt.Errorf("case.json: generation %q behind %d tokens: %w", g.setting, prompt, err)
	}
	return s.Options, nil
}

// generate continues prompts with a decoder whose inputs are some of its own, then ids and mask.
func (r *run) generate(generator *generate.Generator, g generation, inputs []*tensors.Tensor, prompts, mask [][]int32, eos, pad int) error {
	o, err := r.options(g, len(prompts[0]), eos)
	if err != nil {
		return err
	}
	inputs = append(slices.Clone(inputs), tensorOf(prompts), tensorOf(mask))
	sequences, err := generator.Generate(inputs, mask, prompts, o, nil)
	if err != nil {
		return err
	}
	r.putSequences(g, o, prompts, sequences, pad)
	return nil
}

func tensorOf(rows [][]int32) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(slices.Concat(rows...), len(rows), len(rows[0]))
}

// putSequences keeps the ids of prompts and what followed, and the scores of beams.
func (r *run) putSequences(g generation, o generate.Options, prompts [][]int32, sequences []generate.Sequence, pad int) {
	rows := o.Rows(prompts, sequences, int32(pad))
	r.put(g.name+idsSuffix, tensorOf(rows))
	if o.NumBeams > 1 {
		scores := make([]float32, len(sequences))
		for i, s := range sequences {
			scores[i] = float32(s.Score)
		}
		r.put(g.name+scoresSuffix, tensors.FromValue(scores))
	}
}
