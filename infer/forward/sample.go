package forward

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"goblip/checkpoints"
	"goblip/models/bert"
	"goblip/models/blip"
	"goblip/models/blip2"
	"goblip/models/clip"
	"goblip/models/opt"
	"goblip/models/t5"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// sampleSeed makes the inputs of a sample the same in every run, sampleTokens is the length of its texts.
const (
	sampleSeed   = 1
	sampleTokens = 8
)

// Sample runs a checkpoint on one picture and one text of random numbers, always the same ones for one
// configuration, and returns its outputs: states, features, logits, all float32. weights are the tensors
// under transformers' names, wherever they lie, of any precision; config is the config.json, and class
// what it is of if it does not say so itself. Weights are loaded strictly and computed with in float32.
func Sample(backend compute.Backend, class string, config []byte, weights checkpoints.Tensors) ([]checkpoints.Named, error) {
	s, err := newSample(class, config)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "goblip-sample-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := s.write(dir); err != nil {
		return nil, err
	}
	c, err := open(dir, Options{})
	if err != nil {
		return nil, err
	}
	defer c.close()
	c.weights = weights
	r := &run{Case: c, backend: backend, store: model.NewStore(), got: map[string]*tensors.Tensor{}}
	defer r.finalize()
	if err := r.compute(); err != nil {
		var mismatch *checkpoints.MismatchError
		if errors.As(err, &mismatch) {
			mismatch.Folder = weights.Path()
		}
		return nil, err
	}
	if missing := r.missing(); len(missing) > 0 {
		return nil, fmt.Errorf("%s: nothing computes %q", s.class, missing)
	}
	named := make([]checkpoints.Named, len(s.outputs))
	for i, name := range s.outputs {
		named[i] = checkpoints.Named{Name: name, Tensor: r.got[name]}
	}
	return named, nil
}

// sample is a case in the making.
type sample struct {
	class   string
	config  map[string]json.RawMessage
	random  *rand.Rand
	inputs  []checkpoints.Named
	outputs []string
}

func newSample(class string, config []byte) (*sample, error) {
	s := &sample{class: class, random: rand.New(rand.NewPCG(sampleSeed, sampleSeed))}
	if err := json.Unmarshal(config, &s.config); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	var kind struct {
		Architectures []string `json:"architectures"`
	}
	if err := json.Unmarshal(config, &kind); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	if len(kind.Architectures) > 0 {
		s.class = kind.Architectures[0]
	}
	if s.class == "OPTModel" { // the same tensors: the head is tied
		s.class, kind.Architectures = "OPTForCausalLM", nil
	}
	if len(kind.Architectures) == 0 {
		s.config["architectures"] = fmt.Appendf(nil, "[%q]", s.class)
	}
	if err := s.fill(config); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return s, nil
}

// fill chooses the inputs and outputs of a class.
func (s *sample) fill(config []byte) error {
	switch s.class {
	case blip.CaptionClass, blip.RetrievalClass, blip.VQAClass:
		return s.blip(config)
	case blip2.GenerationClass, blip2.InstructClass:
		return s.blip2(config)
	case blip2.RetrievalClass:
		return s.retrieval(config)
	case "OPTForCausalLM":
		var c opt.Config
		if err := json.Unmarshal(config, &c); err != nil {
			return err
		}
		s.outputs = []string{"logits"}
		return s.text("", c.VocabSize, c.MaxPositionEmbeddings)
	case "T5ForConditionalGeneration":
		var c t5.Config
		if err := json.Unmarshal(config, &c); err != nil {
			return err
		}
		s.outputs = []string{"encoder_last_hidden_state", "logits"}
		return errors.Join(s.text("", c.VocabSize, sampleTokens), s.labels(c.VocabSize, sampleTokens))
	case "BertModel", "BertForMaskedLM", "BertForPreTraining":
		var c bert.Config
		if err := json.Unmarshal(config, &c); err != nil {
			return err
		}
		s.outputs = []string{"last_hidden_state", "pooler_output"}
		return s.text("", c.VocabSize, c.MaxPositionEmbeddings)
	case "CLIPModel":
		var c clip.Config
		if err := json.Unmarshal(config, &c); err != nil {
			return err
		}
		s.outputs = []string{"vision.last_hidden_state", "text.last_hidden_state", "image_embeds", "text_embeds", "logits_per_image"}
		end := c.Text.EOSTokenID // where the text is read off
		if end == 2 || end < 0 || end >= c.Text.VocabSize {
			end = c.Text.VocabSize - 1
		}
		return errors.Join(s.pixels(&c.Vision), s.text("", c.Text.VocabSize, c.Text.MaxPositionEmbeddings, ending(end)))
	}
	return fmt.Errorf("nothing runs class %q", s.class)
}

// blip is one of BLIP's classes.
func (s *sample) blip(config []byte) error {
	var c blip.Config
	if err := json.Unmarshal(config, &c); err != nil {
		return err
	}
	words, limit := c.Text.VocabSize, c.Text.MaxPositionEmbeddings
	err := errors.Join(s.pixels(&c.Vision), s.text("", words, limit))
	switch s.class {
	case blip.RetrievalClass:
		s.outputs = []string{"itm.question_embeds", "itm.logits", "cos.image_features", "cos.text_features", "cos.scores"}
		return errors.Join(err, s.text("cos_", words, limit))
	case blip.VQAClass:
		s.outputs = []string{"encoder.last_hidden_state", "decoder.logits"}
		return errors.Join(err, s.text("decoder_", words, limit), s.labels(words, limit))
	}
	s.outputs = []string{"image_embeds", "decoder.last_hidden_state", "logits"}
	return err
}

// blip2 is a BLIP-2 or InstructBLIP with a language model. In front of its text are the placeholders of
// the picture; older files do not say which token stands for it, and any does here.
func (s *sample) blip2(config []byte) error {
	var c blip2.Config
	if err := json.Unmarshal(config, &c); err != nil {
		return err
	}
	words, limit := c.Text.VocabSize, c.Text.MaxPositionEmbeddings
	if c.T5 != nil {
		words, limit = c.T5.VocabSize, c.NumQueryTokens+sampleTokens
	}
	if c.ImageTokenIndex == nil {
		token := words - 1
		c.ImageTokenIndex = &token
		s.config["image_token_index"] = fmt.Append(nil, token)
	}
	if c.NumQueryTokens < 1 || c.NumQueryTokens >= limit {
		return fmt.Errorf("num_query_tokens %d leave no room for text in %d tokens", c.NumQueryTokens, limit)
	}
	s.outputs = []string{"vision.last_hidden_state", "qformer.last_hidden_state", "language_projection"}
	err := s.pixels(&c.Vision)
	if c.Instructed() {
		err = errors.Join(err, s.text("qformer_", c.QFormer.VocabSize, c.QFormer.MaxPositionEmbeddings))
	}
	prefix := "prompt_"
	if c.T5 != nil {
		prefix = ""
		err = errors.Join(err, s.labels(words, sampleTokens))
		s.outputs = append(s.outputs, "t5.encoder_last_hidden_state", "logits")
	} else {
		s.outputs = append(s.outputs, "prompt.logits")
	}
	return errors.Join(err, s.prompt(prefix, &c, words, limit-c.NumQueryTokens))
}

// retrieval is BLIP-2's stage 1.
func (s *sample) retrieval(config []byte) error {
	var c blip2.Config
	if err := json.Unmarshal(config, &c); err != nil {
		return err
	}
	s.outputs = []string{"vision.last_hidden_state", "itm.qformer_last_hidden_state", "itm.logits",
		"itc.image_embeds", "itc.text_embeds", "itc.logits_per_image"}
	err := s.pixels(&c.Vision)
	for _, prefix := range []string{"itm_", "itc_"} {
		err = errors.Join(err, s.prompt(prefix, &c, c.QFormer.VocabSize, c.QFormer.MaxPositionEmbeddings))
	}
	return err
}
