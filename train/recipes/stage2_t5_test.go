package recipes

import (
	"slices"
	"strings"
	"testing"

	"goblip/datasets"
	"goblip/models/blip2"
	"goblip/models/t5"

	"github.com/gomlx/gomlx/core/tensors"
)

// t5Vocabulary is that of the tokenizer in this folder.
const t5Words, t5Vocabulary = "../../datasets/text/testdata/t5", 96

func t5Config() *blip2.Config {
	cfg, llm := blip2.Default(), t5.Default()
	llm.VocabSize = t5Vocabulary + 2
	cfg.T5 = &llm
	return &cfg
}

// TestT5Texts wants the texts that the encoder reads and the decoder learns.
func TestT5Texts(t *testing.T) {
	record := datasets.Record{Image: "a.png", Origin: "a", Captions: []string{"a b c d e f g h", "a"},
		Questions: []datasets.Question{{Question: "what is it", Answers: []string{"a dog", "b"}}, {Question: "no answer"}}}
	set := &datasets.Set{Records: []datasets.Record{record, record}}
	for _, test := range []struct {
		name   string
		change func(s *Stage2Settings)
		want   []string // read|written, each at least once; this vocabulary has no Q and no S
	}{
		{"split", func(*Stage2Settings) {}, []string{"|a", "a|b c d e f g h", "a b|c d e f g h", "a b c|d e f g h", "a b c d|e f g h"}},
		{"prompt", func(s *Stage2Settings) { s.Prompt = "a b " }, []string{"a b|a", "a b|a b c d e f g h"}},
		{"questions", func(s *Stage2Settings) { s.QuestionShare = 1 }, []string{"uestion: what is it? hort answer:|a dog"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := DefaultStage2()
			s.Batch = 2
			test.change(s)
			cfg := t5Config()
			texts, err := s.t5Texts(cfg, t5Words, set)
			if err != nil {
				t.Fatal(err)
			}
			words, err := openT5Words(cfg, t5Words)
			if err != nil {
				t.Fatal(err)
			}
			show, err := texts.batches(set)
			if err != nil {
				t.Fatal(err)
			}
			again, err := texts.batches(set)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			for epoch := range 60 {
				got := show([]int{0, 1}, epoch)
				alone := again([]int{1}, epoch)
				for row := range 2 {
					read, written := shown(t, got[0], got[1], row), shown(t, got[2], got[3], row)
					for _, ids := range [][]int32{read, written} {
						if ids[len(ids)-1] != int32(cfg.T5.EOSTokenID) {
							t.Fatalf("%v does not end in </s>", ids)
						}
					}
					if row == 1 && (!slices.Equal(read, shown(t, alone[0], alone[1], 0)) || !slices.Equal(written, shown(t, alone[2], alone[3], 0))) {
						t.Error("a text depends on its batch")
					}
					seen[words.Decode(read, true)+"|"+words.Decode(written, true)] = true
				}
				for i, x := range got {
					if dims := x.Shape().Dimensions; !slices.Equal(dims, texts.inputs[i].Dimensions) {
						t.Fatalf("input %d is %v, want %v", i, dims, texts.inputs[i])
					}
				}
			}
			for _, want := range test.want {
				if !seen[want] {
					t.Errorf("never %q in %v", want, seen)
				}
			}
			if len(seen) != len(test.want) {
				t.Errorf("got %v, want %v", seen, test.want)
			}
			if cfg.UseDecoderOnlyLLM || cfg.ImageTokenIndex == nil {
				t.Errorf("got %+v", cfg)
			}
		})
	}
}

// shown are the ids of a row that the mask shows.
func shown(t *testing.T, ids, mask *tensors.Tensor, row int) (out []int32) {
	t.Helper()
	n := ids.Shape().Dim(1)
	flat, seen := tensors.MustCopyFlatData[int32](ids), tensors.MustCopyFlatData[int32](mask)
	for i := row * n; i < (row+1)*n; i++ {
		if seen[i] == 1 {
			out = append(out, flat[i])
		}
	}
	return out
}

// TestT5TextsRefused: what a T5 cannot learn is one clear line.
func TestT5TextsRefused(t *testing.T) {
	record := datasets.Record{Image: "a.png", Origin: "line 7", Captions: []string{"a b"},
		Questions: []datasets.Question{{Question: strings.Repeat("long ", 30), Answers: []string{"a"}}}}
	for _, test := range []struct {
		name, want string
		words      string
		change     func(s *Stage2Settings, cfg *blip2.Config)
	}{
		{"no caption", "line 7: picture a.png has no caption", t5Words, func(*Stage2Settings, *blip2.Config) { record.Captions = nil }},
		{"small table", "the word table 90 rows", t5Words, func(_ *Stage2Settings, cfg *blip2.Config) { cfg.T5.VocabSize = 90 }},
		{"OPT's words", "does not end a text with </s>", "../../datasets/text/testdata/opt", func(_ *Stage2Settings, cfg *blip2.Config) { cfg.T5.VocabSize, cfg.T5.EOSTokenID = 5000, 2 }},
		{"long question", "line 7: question:", t5Words, func(s *Stage2Settings, _ *blip2.Config) { s.QuestionShare = 0.5 }},
		{"long prompt", "stage2: prompt:", t5Words, func(s *Stage2Settings, _ *blip2.Config) { s.Prompt = strings.Repeat("a", 60) }},
	} {
		s, cfg, was := DefaultStage2(), t5Config(), record
		test.change(s, cfg)
		_, err := s.t5Texts(cfg, test.words, &datasets.Set{Records: []datasets.Record{record}})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
		record = was
	}
}

// TestBucketsTogether wants all kinds of text at one of the buckets.
func TestBucketsTogether(t *testing.T) {
	row := func(n int) [][]int32 { return [][]int32{make([]int32, n)} }
	c := &Common{TextBuckets: 4}
	for _, test := range []struct {
		first, second int
		want          []int
	}{{3, 9, []int{6, 10}}, {7, 9, []int{12, 20}}, {1, 31, []int{24, 40}}, {1, 40, []int{24, 40}}, {1, 30, []int{18, 30}}} {
		if got := c.buckets([]int{24, 40}, row(test.first), row(test.second)); !slices.Equal(got, test.want) {
			t.Errorf("%d and %d tokens: got %v, want %v", test.first, test.second, got, test.want)
		}
	}
}
