package infer

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/datasets/text"
	"goblip/internal/golden"
	"goblip/models/blip"
	"goblip/models/blip2"
	"goblip/models/generate"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// sentences are what the tokenizers of these tests know.
var sentences = []string{"a red circle", "two small blue squares on the left of a circle", "is there a red circle\n"}

// tinyConfig is a BLIP-2 whose graphs take milliseconds.
func tinyConfig(class string) *blip2.Config {
	cfg := blip2.Default()
	cfg.Architectures, cfg.NumQueryTokens, cfg.ImageTextHiddenSize = []string{class}, 3, 8
	v := &cfg.Vision
	v.HiddenSize, v.IntermediateSize, v.NumHiddenLayers, v.NumAttentionHeads, v.ImageSize, v.PatchSize = 16, 24, 1, 2, 8, 4
	q := &cfg.QFormer
	q.HiddenSize, q.IntermediateSize, q.NumHiddenLayers, q.NumAttentionHeads = 16, 24, 2, 2
	q.EncoderHiddenSize, q.MaxPositionEmbeddings, q.UseQFormerTextInput = 16, 32, class == blip2.RetrievalClass
	t := &cfg.Text
	t.HiddenSize, t.WordEmbedProjDim, t.FFNDim, t.NumHiddenLayers, t.NumAttentionHeads, t.MaxPositionEmbeddings = 16, 16, 24, 1, 2, 64
	return &cfg
}

// tinyBLIP is a BLIP of that size.
func tinyBLIP(class string, words text.Tokenizer) *blip.Config {
	cfg := blip.Default()
	cfg.Architectures, cfg.ImageTextHiddenSize = []string{class}, 8
	v, t := &cfg.Vision, &cfg.Text
	v.HiddenSize, v.IntermediateSize, v.NumHiddenLayers, v.NumAttentionHeads, v.ImageSize, v.PatchSize = 16, 24, 1, 2, 8, 4
	t.HiddenSize, t.IntermediateSize, t.NumHiddenLayers, t.NumAttentionHeads, t.MaxPositionEmbeddings = 16, 24, 2, 2, 48
	dec, _ := words.ID(text.DecToken)
	sep, _ := words.ID(text.SepToken)
	t.VocabSize, t.BOSTokenID, t.SEPTokenID, t.EncoderHiddenSize = words.VocabSize(), int(dec), int(sep), 16
	return &cfg
}

// folder is a model folder before it is written.
type folder struct {
	cfg          *blip2.Config
	words        text.Tokenizer
	instructions text.Tokenizer // of an InstructBLIP
	config       any            // instead of cfg
	tensors      map[string]*tensors.Tensor
}

// tinyFolder has random weights, large enough that everything matters.
func tinyFolder(t *testing.T, class string) *folder {
	t.Helper()
	f := &folder{cfg: tinyConfig(class), tensors: map[string]*tensors.Tensor{}}
	var want map[string]shapes.Shape
	switch class {
	case blip.CaptionClass, blip.RetrievalClass, blip.VQAClass:
		words, err := text.TrainWordPiece(slices.Values(sentences), 60)
		if err != nil {
			t.Fatal(err)
		}
		words.AddSpecial(text.DecToken, "[ENC]")
		cfg := tinyBLIP(class, words)
		f.words, f.config = words, cfg
		build, inputs := BLIPGraph(cfg)
		if want, err = Declare(golden.Go(t), model.NewStore(), build, inputs...); err != nil {
			t.Fatal(err)
		}
	case blip2.RetrievalClass:
		words, err := text.TrainWordPiece(slices.Values(sentences), 60)
		if err != nil {
			t.Fatal(err)
		}
		f.words, f.cfg.QFormer.VocabSize = words, words.VocabSize()
		r := &Retriever{backend: golden.Go(t), store: model.NewStore(), vision: &f.cfg.Vision}
		if want, err = r.declare(stage1{f.cfg}); err != nil {
			t.Fatal(err)
		}
	default:
		words, err := text.TrainBPE(slices.Values(sentences), 300)
		if err != nil {
			t.Fatal(err)
		}
		words.AddSpecial(ImageToken)
		newline, image := int(words.EncodePlain("\n")[0]), words.VocabSize()-1
		f.words, f.cfg.Text.VocabSize, f.cfg.Text.EOSTokenID, f.cfg.ImageTokenIndex = words, words.VocabSize(), newline, &image
		if want, err = captionerTensors(golden.Go(t), model.NewStore(), f.cfg); err != nil {
			t.Fatal(err)
		}
	}
	f.fill(want)
	return f
}

// fill gives every tensor random weights.
func (f *folder) fill(want map[string]shapes.Shape) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, name := range slices.Sorted(maps.Keys(want)) {
		f.tensors[name] = random(rng, want[name].Dimensions...)
	}
}

func random(rng *rand.Rand, dims ...int) *tensors.Tensor {
	size := 1
	for _, d := range dims {
		size *= d
	}
	values := make([]float32, size)
	for i := range values {
		values[i] = float32(rng.NormFloat64()) / 2
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

func (f *folder) write(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	var named []checkpoints.Named
	for _, name := range slices.Sorted(maps.Keys(f.tensors)) {
		named = append(named, checkpoints.Named{Name: name, Tensor: f.tensors[name]})
	}
	var config any = f.cfg
	if f.config != nil {
		config = f.config
	}
	if err := checkpoints.WriteFolder(dir, checkpoints.Contents{Config: config, Tensors: named, Pretraining: blip2.IsPretraining, Fill: f.save}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (f *folder) save(dir string) error {
	if f.instructions != nil {
		if err := f.instructions.Save(filepath.Join(dir, InstructionTokenizer)); err != nil {
			return err
		}
	}
	return f.words.Save(dir)
}

// noise makes n random pictures for the tiny models.
func noise(n int) *Pictures {
	rng := rand.New(rand.NewPCG(3, 4))
	p := &Pictures{Set: &datasets.Set{}, Side: 8, Pixels: make([]byte, n*8*8*3)}
	for i := range p.Pixels {
		p.Pixels[i] = byte(rng.UintN(256))
	}
	p.Set.Records = make([]datasets.Record, n)
	return p
}

// only is one picture as a set of its own.
func (p *Pictures) only(i int) *Pictures {
	return &Pictures{Set: &datasets.Set{Records: p.Set.Records[i : i+1]}, Side: p.Side, Pixels: p.Picture(i)}
}

// TestCaptionsAlone: texts of many pictures with prompts of many lengths are those of each on its own.
func TestCaptionsAlone(t *testing.T) {
	for name, folder := range map[string]*folder{
		"opt": tinyFolder(t, blip2.GenerationClass), "t5": tinyT5Folder(t, false), "instructed": tinyT5Folder(t, true),
		"blip captions": tinyFolder(t, blip.CaptionClass), "blip answers": tinyFolder(t, blip.VQAClass),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := OpenWriter(golden.Go(t), folder.write(t))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Finalize()
			captionsAlone(t, c)
		})
	}
}

func captionsAlone(t *testing.T, c Writer) {
	const n = 5
	pictures := noise(n)
	together, err := c.States(pictures, nil)
	if err != nil {
		t.Fatal(err)
	}
	requests := make([]Request, n)
	for i, prompt := range []string{"", "a red", "", QuestionPrompt("is there a red circle on the left of a circle"), "a"} {
		requests[n-1-i] = Request{Image: i, Prompt: prompt}
	}
	for name, set := range map[string]func(o *generate.Options){
		"greedy":   func(o *generate.Options) {},
		"beams":    func(o *generate.Options) { o.NumBeams, o.RepetitionPenalty, o.NoRepeatNgramSize = 3, 1.2, 2 },
		"sampling": func(o *generate.Options) { o.DoSample, o.TopP, o.Seed, o.MinNewTokens = true, 0.9, 7, 4 },
	} {
		o := generate.Default()
		o.MaxNewTokens = 6
		set(&o)
		all, err := c.Write(together, requests, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		distinct := map[string]bool{}
		for i, r := range requests {
			states, err := c.States(pictures.only(r.Image), nil)
			if err != nil {
				t.Fatal(err)
			}
			alone, err := c.Write(states, []Request{{Prompt: r.Prompt}}, o, nil)
			if err != nil {
				t.Fatal(err)
			}
			if alone[0].Text != all[i].Text || math.Abs(alone[0].Score-all[i].Score) > 1e-4 {
				t.Errorf("%s, request %d: alone %q (%g), in a batch %q (%g)", name, i, alone[0].Text, alone[0].Score, all[i].Text, all[i].Score)
			}
			distinct[fmt.Sprintf("%s %.3f", all[i].Text, all[i].Score)] = true
		}
		if len(distinct) < 3 {
			t.Errorf("%s: only %d different texts: this proves little", name, len(distinct))
		}
	}
}

// TestScoresAlone: embeddings and match scores in a batch are those of each picture and text alone.
func TestScoresAlone(t *testing.T) {
	for _, class := range []string{blip2.RetrievalClass, blip.RetrievalClass} {
		t.Run(class, func(t *testing.T) { scoresAlone(t, class) })
	}
}

func scoresAlone(t *testing.T, class string) {
	r, err := OpenRetriever(golden.Go(t), tinyFolder(t, class).write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Finalize()
	const n = 4
	pictures := noise(n)
	texts := []string{"a circle", "two small blue squares on the left of a red circle", "red"}
	near := func(name string, alone, batch []float32) {
		t.Helper()
		golden.Near(t, name, tensors.FromFlatDataAndDimensions(alone, len(alone)), tensors.FromFlatDataAndDimensions(batch, len(batch)), 1e-5, 0)
	}
	embed := func(p *Pictures, of []string) (images, words []float32, states *Features) {
		t.Helper()
		states, err := r.States(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		if images, err = r.ImageFeatures(states); err != nil {
			t.Fatal(err)
		}
		if words, err = r.TextFeatures(of); err != nil {
			t.Fatal(err)
		}
		return images, words, states
	}
	images, words, states := embed(pictures, texts)
	cosines, err := r.Similarities(images, words)
	if err != nil {
		t.Fatal(err)
	}
	var pairs []Pair
	for i := range n {
		for j := range texts {
			pairs = append(pairs, Pair{i, j})
		}
	}
	logits, probabilities, err := r.MatchScores(states, texts, pairs)
	if err != nil {
		t.Fatal(err)
	}
	for k, pair := range pairs {
		image, word, state := embed(pictures.only(pair.Image), texts[pair.Text:pair.Text+1])
		size, d := len(images)/n, len(words)/len(texts)
		near("picture", image, images[pair.Image*size:(pair.Image+1)*size])
		near("text", word, words[pair.Text*d:(pair.Text+1)*d])
		cosine, err := r.Similarities(image, word)
		if err != nil {
			t.Fatal(err)
		}
		near("similarity", cosine[0], cosines[pair.Image][pair.Text:pair.Text+1])
		logit, probability, err := r.MatchScores(state, texts[pair.Text:pair.Text+1], []Pair{{}})
		if err != nil {
			t.Fatal(err)
		}
		near("match", logit, logits[k:k+1])
		near("match probability", probability, probabilities[k:k+1])
	}
}

// TestStrictLoading changes one thing about a folder and wants an error that names it.
func TestStrictLoading(t *testing.T) {
	const tensor = "qformer.encoder.layer.0.attention.attention.query.weight"
	open := map[string]func(dir string) error{
		blip2.RetrievalClass: func(dir string) error {
			r, err := OpenRetriever(golden.Go(t), dir)
			if err == nil {
				r.Finalize()
			}
			return err
		},
		blip2.GenerationClass: func(dir string) error {
			c, err := OpenCaptioner(golden.Go(t), dir)
			if err == nil {
				c.Finalize()
			}
			return err
		},
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for class, open := range open {
		other := blip2.RetrievalClass
		if class == other {
			other = blip2.GenerationClass
		}
		for _, test := range []struct {
			name   string
			change func(f *folder)
			want   string // "": opens
		}{
			{"as it is", func(*folder) {}, ""},
			{"one missing", func(f *folder) { delete(f.tensors, tensor) }, "1 tensors missing (" + tensor + ")"},
			{"one too many", func(f *folder) { f.tensors["qformer.extra"] = random(rng, 1) }, "1 tensors unexpected (qformer.extra)"},
			{"another shape", func(f *folder) { f.tensors[tensor] = random(rng, 16, 17) },
				fmt.Sprintf("1 tensors of another shape (%s is (Float32)[16, 17], want (Float32)[16, 16])", tensor)},
			{"another class", func(f *folder) { f.cfg.Architectures = []string{other} }, fmt.Sprintf("config.json says [%s], this needs a %s", other, class)},
			{"an impossible config", func(f *folder) { f.cfg.QFormer.NumAttentionHeads = 3 }, "hidden_size 16 does not divide into 3 heads"},
		} {
			f := tinyFolder(t, class)
			test.change(f)
			dir := f.write(t)
			err := open(dir)
			if test.want == "" {
				if err != nil {
					t.Errorf("%s, %s: %v", class, test.name, err)
				}
				continue
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), dir+": ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s, %s: got %v, want %q", class, test.name, err, test.want)
			}
			var mismatch *checkpoints.MismatchError
			if strings.Contains(test.want, "tensors") && !errors.As(err, &mismatch) {
				t.Errorf("%s, %s: not a MismatchError", class, test.name)
			}
		}
	}
}

// TestPretrainingTensors: what only stage 1 trains may lie in the folder of a retriever.
func TestPretrainingTensors(t *testing.T) {
	f := tinyFolder(t, blip2.RetrievalClass)
	f.tensors["temp"] = random(rand.New(rand.NewPCG(1, 1)))
	r, err := OpenRetriever(golden.Go(t), f.write(t))
	if err != nil {
		t.Fatal(err)
	}
	r.Finalize()
}

// TestPromptTooLong: what does not fit the language model's positions is an error before anything runs.
func TestPromptTooLong(t *testing.T) {
	c, err := OpenCaptioner(golden.Go(t), tinyFolder(t, blip2.GenerationClass).write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Finalize()
	states, err := c.States(noise(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	o := generate.Default()
	o.MaxNewTokens = 60
	if _, err := c.Write(states, []Request{{Prompt: "a red circle"}}, o, nil); err == nil || !strings.Contains(err.Error(), "the longest prompt has") {
		t.Errorf("got %v", err)
	}
}
