package generate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// table is a decoder without a model: each item's logits are a function of its new tokens.
type table struct {
	beams int
	items []func(ids []int32) []float32
	rows  [][]int32
}

func (d *table) First() ([]float32, error) {
	d.rows = make([][]int32, len(d.items)*d.beams)
	return d.logits(), nil
}

func (d *table) Next(tokens, parents []int32) ([]float32, error) {
	rows := make([][]int32, len(d.rows))
	for r := range rows {
		rows[r] = append(slices.Clone(d.rows[parents[r]]), tokens[r])
	}
	d.rows = rows
	return d.logits(), nil
}

func (d *table) logits() []float32 {
	var flat []float32
	for r, ids := range d.rows {
		flat = append(flat, d.items[r/d.beams](ids)...)
	}
	return flat
}

// eos ends a text in these tests.
const eos = 0

// always gives the same logits after any text.
func always(logits ...float32) func([]int32) []float32 {
	return func([]int32) []float32 { return logits }
}

// random gives logits that depend on the whole text so far.
func random(seed uint64, vocab int) func([]int32) []float32 {
	return func(ids []int32) []float32 {
		h := seed
		for _, id := range ids {
			h = h*31 + uint64(id) + 1
		}
		rng := rand.New(rand.NewPCG(seed, h))
		out := make([]float32, vocab)
		for i := range out {
			out[i] = float32(rng.NormFloat64() * 2)
		}
		return out
	}
}

// texts runs a search over items without a prompt.
func texts(t *testing.T, o Options, vocab int, items ...func([]int32) []float32) []Sequence {
	t.Helper()
	return withPrompts(t, o, vocab, make([][]int32, len(items)), items...)
}

func withPrompts(t *testing.T, o Options, vocab int, prompts [][]int32, items ...func([]int32) []float32) []Sequence {
	t.Helper()
	o.EOSTokenID = eos
	out, err := Run(&table{beams: o.NumBeams, items: items}, prompts, vocab, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func with(set func(o *Options)) Options {
	o := Default()
	o.MaxNewTokens = 6
	set(&o)
	return o
}

// TestOptionsChangeTheText has one item whose favourite words are 2, then 1, then the end.
func TestOptionsChangeTheText(t *testing.T) {
	favourites := always(1, 1.5, 2)
	for _, test := range []struct {
		name   string
		prompt []int32
		item   func([]int32) []float32
		set    func(o *Options)
		want   []int32
	}{
		{"greedy", nil, favourites, func(o *Options) {}, []int32{2, 2, 2, 2, 2, 2}},
		{"maximum", nil, favourites, func(o *Options) { o.MaxNewTokens = 2 }, []int32{2, 2}},
		{"end", nil, always(3, 1, 2), func(o *Options) {}, []int32{eos}},
		{"minimum of new tokens", nil, always(3, 1, 2), func(o *Options) { o.MinNewTokens = 2 }, []int32{2, 2, eos}},
		{"minimum with the prompt", []int32{5, 5}, always(3, 1, 2), func(o *Options) { o.MinLength = 3 }, []int32{2, eos}},
		{"beams, minimum", nil, always(3, 1, 2), func(o *Options) { o.NumBeams, o.MinNewTokens = 2, 2 }, []int32{2, 2, eos}},
		// 2 / 2 = 1 is less than 1.5, then 1.5 / 2 is less than both, which are equal: the lower id.
		{"repetition penalty", nil, favourites, func(o *Options) { o.RepetitionPenalty, o.MaxNewTokens = 2, 3 }, []int32{2, 1, eos}},
		{"repetition penalty of negative logits", nil, always(-9, -2, -1.5), func(o *Options) { o.RepetitionPenalty, o.MaxNewTokens = 2, 3 }, []int32{2, 1, 2}},
		{"repetition penalty of the prompt", []int32{2, 2}, favourites, func(o *Options) { o.RepetitionPenalty, o.MaxNewTokens = 1.5, 1 }, []int32{1}},
		{"ids outside the vocabulary", []int32{9, 9}, favourites, func(o *Options) {
			o.RepetitionPenalty, o.NoRepeatNgramSize, o.MaxNewTokens = 1.1, 1, 1
		}, []int32{2}},
		{"no word twice", nil, favourites, func(o *Options) { o.NoRepeatNgramSize = 1 }, []int32{2, 1, eos}},
		{"no pair twice", nil, favourites, func(o *Options) { o.NoRepeatNgramSize = 2 }, []int32{2, 2, 1, 2, eos}},
		{"no pair of the prompt", []int32{2, 2}, favourites, func(o *Options) { o.NoRepeatNgramSize, o.MaxNewTokens = 2, 2 }, []int32{1, 2}},
		{"beams, no word twice", nil, favourites, func(o *Options) {
			o.NumBeams, o.NoRepeatNgramSize, o.MinNewTokens = 2, 1, 2
		}, []int32{2, 1, eos}},
	} {
		got := withPrompts(t, with(test.set), 3, [][]int32{test.prompt}, test.item)[0]
		if !slices.Equal(got.IDs, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, got.IDs, test.want)
		}
	}
}

// TestBeamFollowsGreedy: where one word is by far the likeliest, both searches take it.
func TestBeamFollowsGreedy(t *testing.T) {
	clear := func(ids []int32) []float32 {
		out := make([]float32, 5)
		out[(len(ids)+2)%5] = 20 // 2, 3, 4, the end
		return out
	}
	greedy := texts(t, with(func(o *Options) {}), 5, clear)[0]
	beam := texts(t, with(func(o *Options) { o.NumBeams = 4 }), 5, clear)[0]
	if want := []int32{2, 3, 4, eos}; !slices.Equal(greedy.IDs, want) || !slices.Equal(beam.IDs, want) {
		t.Errorf("greedy %v, beams %v, want %v", greedy.IDs, beam.IDs, want)
	}
	if math.Abs(beam.Score-greedy.Score/4) > 1e-9 {
		t.Errorf("the beam's score is %g, want the sum %g over 4 tokens", beam.Score, greedy.Score)
	}
	sum := 0.0
	for _, p := range beam.LogProbs {
		sum += p
	}
	if len(beam.LogProbs) != 4 || math.Abs(sum-greedy.Score) > 1e-9 {
		t.Errorf("log-probabilities %v, want 4 with the sum %g", beam.LogProbs, greedy.Score)
	}
}

// TestBeamIsBruteForce: with as many beams as there are texts, beam search must find the best text of
// all. It may stop before it saw every length only where that loses nothing: see transformers'
// heuristic, which is exact for penalties of at most 0.
func TestBeamIsBruteForce(t *testing.T) {
	const vocab, length = 3, 4
	for _, penalty := range []float64{-1, 0, 1} {
		for seed := range uint64(20) {
			item := random(seed, vocab)
			best, score := bruteForce(item, vocab, length, penalty)
			got := texts(t, with(func(o *Options) {
				o.NumBeams, o.MaxNewTokens, o.LengthPenalty = 81, length, penalty
			}), vocab, item)[0]
			if !slices.Equal(got.IDs, best) || math.Abs(got.Score-score) > 1e-9 {
				t.Errorf("penalty %g, seed %d: got %v (%g), want %v (%g)", penalty, seed, got.IDs, got.Score, best, score)
			}
		}
	}
}

func bruteForce(item func([]int32) []float32, vocab, length int, penalty float64) (best []int32, score float64) {
	score = math.Inf(-1)
	var walk func(ids []int32, sum float64)
	walk = func(ids []int32, sum float64) {
		if n := len(ids); n == length || n > 0 && ids[n-1] == eos {
			if s := sum / math.Pow(float64(n), penalty); s > score {
				best, score = slices.Clone(ids), s
			}
			return
		}
		for token, p := range logSoftmax(item(ids), nil) {
			walk(append(slices.Clone(ids), int32(token)), sum+p)
		}
	}
	walk(nil, 0)
	return best, score
}

// TestNeighbours: an item's text is the same alone and among others, whenever they end.
func TestNeighbours(t *testing.T) {
	const vocab = 6
	var items []func([]int32) []float32
	for seed := range uint64(7) {
		items = append(items, random(seed, vocab))
	}
	items[3] = always(9, 0, 0, 0, 0, 0) // ends at once
	for name, set := range map[string]func(o *Options){
		"greedy": func(o *Options) {}, "beams": func(o *Options) { o.NumBeams = 3 },
		"sampling":  func(o *Options) { o.DoSample, o.TopK = true, 4 },
		"penalties": func(o *Options) { o.NumBeams, o.RepetitionPenalty, o.NoRepeatNgramSize = 3, 1.5, 2 },
	} {
		o := with(set)
		all := texts(t, o, vocab, items...)
		o.EOSTokenID = eos
		for i := range items {
			alone, err := Run(&table{beams: o.NumBeams, items: items[i : i+1]}, [][]int32{nil}, vocab, o, []uint64{uint64(i)})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(alone[0].IDs, all[i].IDs) || alone[0].Score != all[i].Score {
				t.Errorf("%s, item %d: alone %v, among others %v", name, i, alone[0].IDs, all[i].IDs)
			}
		}
	}
}

// TestWarp looks at which words stay.
func TestWarp(t *testing.T) {
	// Probabilities 0.5, 0.25, 0.125, 0.125.
	logits := []float64{math.Log(4), math.Log(8), math.Log(2), math.Log(2)}
	for _, test := range []struct {
		name string
		set  func(o *Options)
		want []float64 // probabilities
	}{
		{"all", func(o *Options) {}, []float64{0.25, 0.5, 0.125, 0.125}},
		{"the best two", func(o *Options) { o.TopK = 2 }, []float64{1. / 3, 2. / 3, 0, 0}},
		{"equals stay together", func(o *Options) { o.TopK = 3 }, []float64{0.25, 0.5, 0.125, 0.125}},
		{"more than there are", func(o *Options) { o.TopK = 9 }, []float64{0.25, 0.5, 0.125, 0.125}},
		{"nucleus of the best", func(o *Options) { o.TopP = 0.4 }, []float64{0, 1, 0, 0}},
		{"nucleus that needs a second", func(o *Options) { o.TopP = 0.6 }, []float64{1. / 3, 2. / 3, 0, 0}},
		{"a tiny nucleus keeps one", func(o *Options) { o.TopP = 1e-9 }, []float64{0, 1, 0, 0}},
		// Of the two that top-k leaves, the better has 2/3.
		{"top-k before the nucleus", func(o *Options) { o.TopK, o.TopP = 2, 0.6 }, []float64{0, 1, 0, 0}},
		{"temperature", func(o *Options) { o.Temperature = 0.5 }, []float64{16. / 88, 64. / 88, 4. / 88, 4. / 88}},
		// At temperature 0.5 the best has 0.727, at 1 only 0.5.
		{"temperature before the nucleus", func(o *Options) { o.Temperature, o.TopP = 0.5, 0.7 }, []float64{0, 1, 0, 0}},
	} {
		o, scores := with(test.set), slices.Clone(logits)
		o.warp(scores)
		for i, p := range softmax(scores) {
			if math.Abs(p-test.want[i]) > 1e-12 {
				t.Errorf("%s: got %.3f, want %.3f", test.name, softmax(scores), test.want)
				break
			}
		}
	}
}

// TestSamplingFrequency draws many first words and counts them.
func TestSamplingFrequency(t *testing.T) {
	const n = 4000
	items := make([]func([]int32) []float32, n)
	for i := range items {
		items[i] = always(float32(math.Log(1)), float32(math.Log(2)), float32(math.Log(5)))
	}
	counts := make([]int, 3)
	o := with(func(o *Options) { o.DoSample, o.MaxNewTokens, o.Seed = true, 1, 5 })
	first := texts(t, o, 3, items...)
	for _, s := range first {
		counts[s.IDs[0]]++
	}
	for i, p := range []float64{1. / 8, 2. / 8, 5. / 8} {
		if deviation := math.Abs(float64(counts[i]) - n*p); deviation > 4*math.Sqrt(n*p*(1-p)) {
			t.Errorf("word %d was drawn %d times of %d, want about %g", i, counts[i], n, n*p)
		}
	}
	same := func(other []Sequence) bool {
		return slices.EqualFunc(first, other, func(a, b Sequence) bool { return slices.Equal(a.IDs, b.IDs) })
	}
	if !same(texts(t, o, 3, items...)) {
		t.Error("the same seed drew other words")
	}
	if o.Seed = 6; same(texts(t, o, 3, items...)) {
		t.Error("another seed drew the same words")
	}
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		message string
		set     func(o *Options)
	}{
		{"num_beams is 0", func(o *Options) { o.NumBeams = 0 }},
		{"num_beams 1, not 2", func(o *Options) { o.NumBeams, o.DoSample = 2, true }},
		{"max_new_tokens is 0", func(o *Options) { o.MaxNewTokens = 0 }},
		{"top_p is 1.5", func(o *Options) { o.TopP = 1.5 }},
		{"top_p is 0", func(o *Options) { o.TopP = 0 }},
		{"temperature is 0", func(o *Options) { o.Temperature = 0 }},
		{"repetition_penalty is 0", func(o *Options) { o.RepetitionPenalty = 0 }},
		{"must not be negative", func(o *Options) { o.NoRepeatNgramSize = -1 }},
		{"eos_token_id is 3", func(o *Options) { o.EOSTokenID = 3 }},
	} {
		o := Default()
		test.set(&o)
		_, err := Run(&table{beams: 1, items: []func([]int32) []float32{always(1, 2, 3)}}, [][]int32{nil}, 3, o, nil)
		if err == nil || !strings.Contains(err.Error(), test.message) {
			t.Errorf("got error %v, want one with %q", err, test.message)
		}
	}
}

// ExampleRun continues a prompt with a "model" that counts up and then ends.
func ExampleRun() {
	counting := func(ids []int32) []float32 {
		logits := make([]float32, 5)
		logits[(len(ids)+1)%5] = 9
		return logits
	}
	o := Default()
	o.EOSTokenID = eos
	out, err := Run(&table{beams: 1, items: []func([]int32) []float32{counting}}, [][]int32{{2}}, 5, o, nil)
	fmt.Println(out[0].IDs, err)
	// Output: [1 2 3 4 0] <nil>
}
