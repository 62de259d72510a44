package infer

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"goblip/checkpoints"
	"goblip/datasets/text"
	"goblip/models/blip2"
	"goblip/models/generate"
	"goblip/models/nn"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Captioner is a stage-2 model (Blip2ForConditionalGeneration), with an OPT or a T5, or an InstructBLIP:
// it writes text for pictures.
type Captioner struct {
	Config *blip2.Config
	Words  text.Tokenizer

	backend      compute.Backend
	store        *model.Store
	images       pixelGraph
	generator    *generate.BLIP2
	instructions *text.WordPiece // of an InstructBLIP's Q-Former
}

// OpenCaptioner loads a stage-2 folder, strictly.
func OpenCaptioner(backend compute.Backend, dir string) (*Captioner, error) {
	folder, cfg, err := openBLIP2(dir, blip2.GenerationClass, blip2.InstructClass)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	if err := cfg.ValidateLLM(); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	c := &Captioner{Config: cfg, backend: backend, store: model.NewStore()}
	var o checkpoints.LoadOptions
	if cfg.T5 != nil {
		if o, err = T5LoadOptions(folder, "language_model.", "", cfg.T5); err != nil {
			return nil, err
		}
	}
	if err := c.openWords(dir); err != nil {
		return nil, err
	}
	want, err := captionerTensors(backend, c.store, cfg)
	if err != nil {
		return nil, err
	}
	o.ConvertFloats, o.IgnoreUnexpected, o.Backend = true, IsPositionIDs, backend
	if cfg.T5 == nil {
		if o.IgnoreUnexpected, err = OPTCopies(folder, "language_model."); err != nil {
			return nil, err
		}
	}
	if _, err := folder.LoadWith(c.store, want, o); err != nil {
		return nil, err
	}
	if err := nn.TransposeWeights(backend, c.store); err != nil {
		return nil, err
	}
	c.generator, err = generate.NewBLIP2(backend, c.store, cfg)
	return c, err
}

// openWords opens the language model's tokenizer, and the Q-Former's where it reads instructions.
func (c *Captioner) openWords(dir string) (err error) {
	if c.Config.T5 == nil {
		c.Words, err = OpenBPE(dir)
	} else {
		c.Words, err = text.Open(dir)
	}
	if err == nil && c.Config.Instructed() {
		c.instructions, err = OpenWordPiece(filepath.Join(dir, InstructionTokenizer))
	}
	return err
}

// captionerTensors declares the model's variables in the store and lists its tensors.
func captionerTensors(backend compute.Backend, store *model.Store, cfg *blip2.Config) (map[string]shapes.Shape, error) {
	v := &cfg.Vision
	return Declare(backend, store, func(scope *model.Scope, in []*Node) {
		WholeModel(scope, cfg, ImageStates(scope, v, in[0]), in[1])
	}, shapes.Make(dtypes.Uint8, 1, v.ImageSize, v.ImageSize, 3), shapes.Make(dtypes.Int32, 1, 2))
}

// WholeModel uses every tensor of a stage-2 model behind its image tower, for Declare: states
// [batch, patches, image_hidden], ids int32 [batch, text].
func WholeModel(scope *model.Scope, cfg *blip2.Config, states, ids *Node) {
	var prompt *Node
	if cfg.Instructed() {
		prompt = blip2.InstructedPrompt(scope, cfg, states, ids, ids)
	} else {
		prompt = blip2.VisualPrompt(scope, cfg, states)
	}
	if cfg.T5 == nil {
		blip2.Prompted(scope, cfg, prompt, ids, ids)
		return
	}
	read, visible := blip2.EncodePrompted(scope, cfg, prompt, ids, ids)
	blip2.AnswerLogits(scope, cfg, read, visible, ids, nil)
}

// Finalize frees the compiled graphs and the weights.
func (c *Captioner) Finalize() {
	c.images.finalize()
	c.generator.Finalize()
	c.store.Finalize()
}

// States runs the frozen image encoder.
func (c *Captioner) States(p *Pictures, progress func(done, total int)) (*Features, error) {
	return c.images.encode(context.Background(), c.backend, c.store, &c.Config.Vision, p, progress)
}

// Request asks for one text: a picture by number, and what stands before the answer ("" for a
// caption, QuestionPrompt for a question).
type Request struct {
	Image   int
	Prompt  string
	Choices []int // of Options.Candidates, by number, those that may be the answer; empty: all
}

// choices are those of some requests.
func choices(requests []Request, picked []int) [][]int {
	out := make([][]int, len(picked))
	for i, k := range picked {
		out[i] = requests[k].Choices
	}
	return out
}

// Text is what the model wrote.
type Text struct {
	Text     string
	IDs      []int32   // the end token included
	LogProbs []float64 // natural logarithm, one a token, the end token included
	Score    float64   // the beam's score, or the sum of LogProbs
}

// Write answers requests in fixed batches. Prompts are padded to few lengths, an OPT's on the left; an
// answer does not depend on the other requests: what sampling draws is a function of seed, picture and
// prompt. It ends at the end-of-text token, "\n" in BLIP-2 with an OPT.
func (c *Captioner) Write(f *Features, requests []Request, o generate.Options, progress func(done, total int)) ([]Text, error) {
	var pad int
	_, _, o.EOSTokenID, pad = c.Config.LLM()
	rows := make([][]int32, len(requests))
	for i, r := range requests {
		rows[i] = c.Words.Encode(r.Prompt)
	}
	length := textLength(rows)
	if longest := c.Config.Text.MaxPositionEmbeddings - c.Config.NumQueryTokens - o.MaxNewTokens; c.Config.T5 == nil && length > longest {
		return nil, fmt.Errorf("the longest prompt has %d tokens; with %d soft tokens and %d new ones at most %d fit", length, c.Config.NumQueryTokens, o.MaxNewTokens, longest)
	}
	instructions, err := c.instruct(requests)
	if err != nil {
		return nil, err
	}
	placeholder := int32(pad)
	if c.Config.ImageTokenIndex != nil {
		placeholder = int32(*c.Config.ImageTokenIndex)
	}
	var out []Text
	err = batches(len(requests), func(picked []int, n int) error {
		images, prompts, streams := make([]int, len(picked)), make([][]int32, len(picked)), make([]uint64, len(picked))
		for i, k := range picked {
			images[i], prompts[i], streams[i] = requests[k].Image, rows[k], f.stream(requests[k].Image, requests[k].Prompt)
		}
		visual, err := c.generator.VisualPrompt(f.Batch(images), instructions(picked)...)
		if err != nil {
			return err
		}
		o.Choices = choices(requests, picked)
		flat, seen := text.Pad(prompts, length, int32(pad), c.Config.T5 == nil)
		sequences, err := c.generator.Generate(visual, split(flat, length), split(seen, length), placeholder, o, streams)
		if err != nil {
			return err
		}
		for _, s := range sequences[:n] {
			ids := s.IDs
			if len(ids) > 0 && int(ids[len(ids)-1]) == o.EOSTokenID {
				ids = ids[:len(ids)-1]
			}
			out = append(out, Text{strings.TrimSpace(c.Words.Decode(ids, true)), s.IDs, s.LogProbs, s.Score})
		}
		if progress != nil {
			progress(len(out), len(requests))
		}
		return visual.FinalizeAll()
	})
	return out, err
}

func split(flat []int32, width int) [][]int32 {
	var rows [][]int32
	for ; len(flat) > 0; flat = flat[width:] {
		rows = append(rows, flat[:width])
	}
	return rows
}
