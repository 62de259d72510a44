package infer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"goblip/checkpoints"
	"goblip/datasets/text"
	"goblip/models/blip"
	"goblip/models/blip2"
	"goblip/models/generate"
	"goblip/models/nn"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Writer writes text for pictures: a Captioner or a BLIPWriter.
type Writer interface {
	States(p *Pictures, progress func(done, total int)) (*Features, error)
	Write(f *Features, requests []Request, o generate.Options, progress func(done, total int)) ([]Text, error)
	CaptionPrompt() string
	QuestionPrompt(question string) string
	Answers() bool  // whether it takes questions
	Captions() bool // whether it takes requests without a question

	// AnswerTokens are an answer as the model would write it, end token included: for Options.Candidates.
	AnswerTokens(answer string) []int32
	Finalize()
}

// OpenWriter opens the writer of a model folder's class.
func OpenWriter(backend compute.Backend, dir string) (Writer, error) {
	var kind struct {
		Architectures []string `json:"architectures"`
	}
	if err := checkpoints.ReadConfig(dir, &kind); err != nil {
		return nil, err
	}
	if slices.Contains(kind.Architectures, blip.CaptionClass) || slices.Contains(kind.Architectures, blip.VQAClass) {
		return OpenBLIPWriter(backend, dir)
	}
	known := []string{blip.CaptionClass, blip.VQAClass, blip2.GenerationClass, blip2.InstructClass}
	if !slices.ContainsFunc(kind.Architectures, func(a string) bool { return slices.Contains(known, a) }) {
		return nil, fmt.Errorf("%s: config.json says %v, this needs a %s", dir, kind.Architectures, strings.Join(known, ", "))
	}
	return OpenCaptioner(backend, dir)
}

// Answers says that a language model takes any prompt.
func (c *Captioner) Answers() bool { return true }

// Captions says that a language model takes any prompt.
func (c *Captioner) Captions() bool { return true }

// AnswerTokens are the answer's words, behind a space after an OPT's prompt, and the end token.
func (c *Captioner) AnswerTokens(answer string) []int32 {
	_, _, end, _ := c.Config.LLM()
	if bpe, ok := c.Words.(*text.BPE); ok && c.Config.T5 == nil {
		return append(bpe.EncodePlain(" "+answer), int32(end))
	}
	ids := c.Words.Encode(answer)
	if len(ids) == 0 || int(ids[len(ids)-1]) != end {
		ids = append(ids, int32(end))
	}
	return ids
}

// BLIPWriter is a BLIP that writes: captions (BlipForConditionalGeneration), which continue a prompt,
// or answers (BlipForQuestionAnswering), whose prompts are questions.
type BLIPWriter struct {
	Config *blip.Config
	Words  *text.WordPiece

	// QuestionToken stands in front of a question: [ENC] as the original was trained, or with a number
	// below 0 the [CLS] that transformers leaves there.
	QuestionToken int32

	// SeePadding lets answers attend to the padding of their question, as transformers does when it
	// generates: an answer then depends on the longest question beside it.
	SeePadding bool

	backend   compute.Backend
	store     *model.Store
	images    pixelGraph
	read      *model.Exec // question states
	norm      *model.Exec // image states after the final norm
	generator *generate.Generator
}

// OpenBLIPWriter loads a folder of one of the two classes, strictly.
func OpenBLIPWriter(backend compute.Backend, dir string) (*BLIPWriter, error) {
	folder, err := checkpoints.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	b := &BLIPWriter{backend: backend, store: model.NewStore()}
	if b.Config, err = LoadBLIP(backend, b.store, folder, blip.CaptionClass, blip.VQAClass); err != nil {
		return nil, err
	}
	if b.Words, err = OpenWordPiece(dir); err != nil {
		return nil, err
	}
	b.QuestionToken = int32(b.Config.Text.EncTokenID())
	if err := nn.TransposeWeights(backend, b.store); err != nil {
		return nil, err
	}
	cfg := b.Config
	if b.norm, err = model.NewExec(backend, b.store, func(root *model.Scope, states *Node) *Node {
		return blip.Normed(root.At("model"), cfg, states)
	}); err != nil {
		return nil, err
	}
	if b.read, err = model.NewExec(backend, b.store, func(root *model.Scope, states, ids, mask *Node) *Node {
		scope := root.At("model")
		return blip.GroundedStates(scope, cfg, blip.Normed(scope, cfg, states), ids, mask)
	}); err != nil {
		return nil, err
	}
	b.generator = generate.NewGenerator(backend, b.store, generate.BLIP{Config: cfg, Masked: b.Answers()}, cfg.Text.VocabSize)
	return b, nil
}

// Finalize frees the compiled graphs and the weights.
func (b *BLIPWriter) Finalize() {
	b.images.finalize()
	b.read.Finalize()
	b.norm.Finalize()
	b.generator.Finalize()
	b.store.Finalize()
}

// Answers says whether the folder is of the class that answers.
func (b *BLIPWriter) Answers() bool { return slices.Contains(b.Config.Architectures, blip.VQAClass) }

// AnswerTokens are the answer's words and [SEP].
func (b *BLIPWriter) AnswerTokens(answer string) []int32 {
	return append(b.Words.EncodePlain(answer), int32(b.Config.Text.SEPTokenID))
}

// Captions says whether the folder is of the class that captions.
func (b *BLIPWriter) Captions() bool { return !b.Answers() }

// CaptionPrompt is what the folder's config says its captions were trained behind. It is empty for
// published models, as in transformers: they were tuned behind "a picture of", and caption well without.
func (b *BLIPWriter) CaptionPrompt() string { return b.Config.CaptionPrompt }

// QuestionPrompt leaves a question as it is.
func (b *BLIPWriter) QuestionPrompt(question string) string { return question }

// UseQuestionToken chooses what stands in front of a question.
func (b *BLIPWriter) UseQuestionToken(name string) error {
	switch name {
	case TokenCls:
		b.QuestionToken = -1
	case TokenEnc:
		b.QuestionToken = int32(b.Config.Text.EncTokenID())
	default:
		return fmt.Errorf("token %q is not %s or %s", name, TokenEnc, TokenCls)
	}
	return nil
}

// States runs the image tower, without its final norm.
func (b *BLIPWriter) States(p *Pictures, progress func(done, total int)) (*Features, error) {
	return b.images.encode(context.Background(), b.backend, b.store, &b.Config.Vision, p, progress)
}

// Write answers requests in fixed batches; a text does not depend on the other requests (but see
// SeePadding). It starts with [DEC] and the prompt of a caption, and ends with [SEP].
func (b *BLIPWriter) Write(f *Features, requests []Request, o generate.Options, progress func(done, total int)) ([]Text, error) {
	t := &b.Config.Text
	o.EOSTokenID = t.SEPTokenID
	rows, width := make([][]int32, len(requests)), 0
	for i, r := range requests {
		if rows[i] = b.encode(r.Prompt); len(rows[i]) > t.MaxPositionEmbeddings {
			return nil, fmt.Errorf("a prompt of %d tokens is more than the model's %d positions", len(rows[i]), t.MaxPositionEmbeddings)
		}
		width = max(width, len(rows[i]))
	}
	columns := width // a question's are the encoder's
	if b.Answers() {
		columns = 1
	}
	if columns+o.MaxNewTokens > t.MaxPositionEmbeddings {
		return nil, fmt.Errorf("a prompt of %d tokens and %d new ones are more than the model's %d positions", columns, o.MaxNewTokens, t.MaxPositionEmbeddings)
	}
	var out []Text
	err := batches(len(requests), func(picked []int, n int) error {
		images, prompts, streams := make([]int, len(picked)), make([][]int32, len(picked)), make([]uint64, len(picked))
		for i, k := range picked {
			images[i], prompts[i], streams[i] = requests[k].Image, rows[k], f.stream(requests[k].Image, requests[k].Prompt)
		}
		inputs, prompts, visible, err := b.prepare(f.Batch(images), prompts, width)
		if err != nil {
			return err
		}
		o.Choices = choices(requests, picked)
		sequences, err := b.generator.Generate(inputs, visible, prompts, o, streams)
		if err != nil {
			return err
		}
		for i, s := range sequences[:n] {
			ids := s.IDs
			if len(ids) > 0 && int(ids[len(ids)-1]) == o.EOSTokenID {
				ids = ids[:len(ids)-1]
			}
			before := b.Words.Decode(prompts[i], true) // the first piece may end the prompt's last word
			whole := b.Words.Decode(slices.Concat(prompts[i], ids), true)
			out = append(out, Text{strings.TrimSpace(strings.TrimPrefix(whole, before)), s.IDs, s.LogProbs, s.Score})
		}
		if progress != nil {
			progress(len(out), len(requests))
		}
		return inputs[0].FinalizeAll()
	})
	return out, err
}

// encode is what the model reads of a prompt: [ENC] question [SEP], or [DEC] and the words to continue.
func (b *BLIPWriter) encode(prompt string) []int32 {
	if !b.Answers() {
		return append([]int32{int32(b.Config.Text.BOSTokenID)}, b.Words.EncodePlain(prompt)...)
	}
	row := b.Words.Encode(prompt)
	if b.QuestionToken >= 0 {
		row[0] = b.QuestionToken
	}
	return row
}

// prepare gives the inputs of generation, the prompts that the decoder continues, and which of its
// columns are visible. Prompts are padded on the left, where a row's positions do not change.
func (b *BLIPWriter) prepare(states *tensors.Tensor, rows [][]int32, width int) (inputs []*tensors.Tensor, prompts, visible [][]int32, err error) {
	batch := len(rows)
	matrix := func(flat []int32) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(flat, batch, len(flat)/batch)
	}
	pad := int32(b.Config.Text.PadTokenID)
	if !b.Answers() {
		image, err := b.norm.Call1(states)
		if err != nil {
			return nil, nil, nil, err
		}
		flat, seen := text.Pad(rows, width, pad, true)
		return []*tensors.Tensor{image, matrix(flat), matrix(seen)}, rows, split(seen, width), nil
	}
	length := width
	if !b.SeePadding { // few lengths, few graphs
		length = min((width+7)/8*8, b.Config.Text.MaxPositionEmbeddings)
	}
	flat, seen := text.Pad(rows, length, pad, false)
	question, err := b.read.Call1(states, matrix(flat), matrix(seen))
	if err != nil {
		return nil, nil, nil, err
	}
	if b.SeePadding {
		seen = slices.Repeat([]int32{1}, len(seen))
	}
	start := slices.Repeat([]int32{int32(b.Config.Text.BOSTokenID)}, batch)
	one := slices.Repeat([]int32{1}, batch)
	return []*tensors.Tensor{question, matrix(seen), matrix(start), matrix(one)}, split(start, 1), split(one, 1), nil
}
