package t5

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"goblip/internal/golden"
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

const caseName = "t5-relu-tied"

func openCase(t *testing.T) (*golden.Case, *Config) {
	t.Helper()
	c := golden.Open(t, caseName)
	var cfg Config
	c.JSON("model/config.json", &cfg)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return c, &cfg
}

// TestStepsEqualTheWhole decodes token by token over a cache with room to spare, with two beams an
// item that share the memory, and wants the logits of all tokens at once.
func TestStepsEqualTheWhole(t *testing.T) {
	const columns = 17 // the last buckets begin at 11
	c, cfg := openCase(t)
	f := golden.New(t, golden.Go(t), golden.Store(t, c.Weights("model")), func(scope *model.Scope, in []*Node) []*Node {
		ids, mask := in[0], in[1]
		memory := Remember(scope, cfg, Encode(scope, cfg, Embed(scope, cfg, ids), mask), mask)
		rows := Const(ids.Graph(), []int32{0, 0, 1, 1, 2, 2})
		words := Slice(nn.Lookup(in[0], rows), AxisRange(), AxisRange(0, columns)) // any words do
		words = Add(words, Iota(ids.Graph(), words.Shape(), 0))                    // another text in each row
		repeated := Memory{Mask: nn.Lookup(memory.Mask, rows)}
		for _, kv := range memory.KV {
			repeated.KV = append(repeated.KV, KV{nn.Lookup(kv.Key, rows), nn.Lookup(kv.Value, rows)})
		}
		whole, all := Decode(scope, cfg, words, nil, repeated)
		var steps []*Node
		for at := range columns {
			column := Const(ids.Graph(), int32(at))
			see := InsertAxes(LessThan(Iota(ids.Graph(), words.Shape(), 1), column), 1) // not what lies from this column on
			self := OnesLike(Slice(see, AxisRange(), AxisRange(), AxisRange(0, 1)))
			step, _ := DecodeStep(scope, cfg, Slice(words, AxisRange(), AxisRange(at, at+1)), column,
				nn.AdditiveMask(Concatenate([]*Node{see, self}, 2), whole), memory, all)
			steps = append(steps, step)
		}
		return []*Node{whole, Concatenate(steps, 1)}
	})
	out := f.Run(c.Input("input_ids"), c.Input("attention_mask"))
	golden.Near(t, "states", out[1], out[0], 1e-5, 1e-5)
}

// TestBuckets compares transformers' buckets of distances for many settings.
func TestBuckets(t *testing.T) {
	raw, err := os.ReadFile("testdata/buckets.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		First int
		Cases []struct {
			Buckets       int
			MaxDistance   int `json:"max_distance"`
			Bidirectional bool
			Of            []int
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != 20 {
		t.Errorf("%d cases, want 20", len(file.Cases))
	}
	for _, c := range file.Cases {
		got := make([]int, len(c.Of))
		for i := range got {
			got[i] = bucket(file.First+i, c.Bidirectional, c.Buckets, c.MaxDistance)
		}
		if !slices.Equal(got, c.Of) {
			t.Errorf("%d buckets up to %d, both ways %v: got %v, want %v", c.Buckets, c.MaxDistance, c.Bidirectional, got, c.Of)
		}
	}
}

// TestPaddingIsInvisible adds columns of padding on the right, with words in them.
func TestPaddingIsInvisible(t *testing.T) {
	c, cfg := openCase(t)
	f := golden.New(t, golden.Go(t), golden.Store(t, c.Weights("model")), func(scope *model.Scope, in []*Node) []*Node {
		states := Encode(scope, cfg, Embed(scope, cfg, in[0]), in[1])
		decoded, _ := Decode(scope, cfg, DecoderIDs(cfg, in[2]), nil, Remember(scope, cfg, states, in[1]))
		return []*Node{Logits(scope, cfg, decoded)}
	})
	ids, mask, labels := c.Input("input_ids"), c.Input("attention_mask"), c.Input("labels")
	want := f.Run(ids, mask, labels)[0]
	wide := func(x *tensors.Tensor, filler int32) *tensors.Tensor {
		var flat []int32
		for row := range slices.Chunk(tensors.MustCopyFlatData[int32](x), 40) {
			flat = append(append(flat, row...), filler, filler, filler)
		}
		return tensors.FromFlatDataAndDimensions(flat, 3, 43)
	}
	golden.Near(t, "logits", f.Run(wide(ids, 17), wide(mask, 0), labels)[0], want, 1e-4, 1e-5)
}

func TestConfig(t *testing.T) {
	for _, test := range []struct {
		json   string
		act    string
		gated  bool
		scaled bool
	}{ // what transformers 5.23 makes of these
		{`{}`, "relu", false, true},
		{`{"feed_forward_proj": "gated-gelu"}`, "gelu_new", true, true},
		{`{"feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu", "is_gated_act": true, "tie_word_embeddings": false}`, "gelu", true, false},
		{`{"dense_act_fn": "gelu"}`, "gelu", false, true},
		{`{"feed_forward_proj": "gated-gelu", "scale_decoder_outputs": true, "tie_word_embeddings": false}`, "gelu_new", true, true},
		{`{"feed_forward_proj": "gated-relu", "is_gated_act": false}`, "relu", false, true},
		{`{"tie_word_embeddings": null, "decoder_start_token_id": null, "num_decoder_layers": null}`, "relu", false, true},
		{`{"scale_decoder_outputs": false, "tie_word_embeddings": true}`, "relu", false, false},
	} {
		var c Config
		if err := json.Unmarshal([]byte(test.json), &c); err != nil {
			t.Errorf("%s: %v", test.json, err)
			continue
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", test.json, err)
		}
		if c.DenseActFn != test.act || c.IsGatedAct != test.gated || c.ScaleDecoderOutputs != test.scaled || c.NumDecoderLayers != 6 {
			t.Errorf("%s: got %q, gated %v, scaled %v, %d layers", test.json, c.DenseActFn, c.IsGatedAct, c.ScaleDecoderOutputs, c.NumDecoderLayers)
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var read Config
		if err := json.Unmarshal(again, &read); err != nil || !slices.Equal(again, must(json.Marshal(read))) {
			t.Errorf("%s: written as %s, read back as %+v (%v)", test.json, again, read, err)
		}
	}
}

func must(raw []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return raw
}

func TestValidate(t *testing.T) {
	for _, test := range []struct{ json, want string }{
		{`{"d_kv": 0}`, "sizes must be positive"},
		{`{"num_layers": 1000000000}`, "must be at most 1024"},
		{`{"feed_forward_proj": "open-gelu"}`, "feed_forward_proj"},
		{`{"feed_forward_proj": "gated-gelu-new"}`, "feed_forward_proj"},
		{`{"feed_forward_proj": "gated-sine"}`, `dense_act_fn "sine" is not known`},
		{`{"relative_attention_num_buckets": 3}`, "relative_attention_num_buckets is 3"},
		{`{"relative_attention_max_distance": 16}`, "relative_attention_max_distance 16"},
		{`{"dropout_rate": 1}`, "dropout_rate"},
		{`{"eos_token_id": 32128}`, "eos_token_id 32128 is outside"},
	} {
		var c Config
		if err := json.Unmarshal([]byte(test.json), &c); err != nil {
			t.Fatalf("%s: %v", test.json, err)
		}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.json, err, test.want)
		}
	}
}
