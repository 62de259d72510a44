package infer

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goblip/internal/golden"
	"goblip/models/bert"
	"goblip/models/blip"
	"goblip/models/blip2"
	"goblip/models/clip"
	"goblip/models/opt"
	"goblip/models/t5"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Parts of published config.json files: what differs from transformers' class defaults.
const (
	blipText  = `"text_config":{"num_attention_heads":12,"hidden_dropout_prob":0.1,"label_smoothing":0.1}`
	vitL      = `"vision_config":{"hidden_size":1024,"num_hidden_layers":24,"num_attention_heads":16,"intermediate_size":4096}`
	opt27     = `"text_config":{"model_type":"opt","hidden_size":2560,"num_hidden_layers":32,"num_attention_heads":32,"ffn_dim":10240,"vocab_size":50304,"word_embed_proj_dim":2560,"eos_token_id":50118}`
	opt67     = `"text_config":{"model_type":"opt","hidden_size":4096,"num_hidden_layers":32,"num_attention_heads":32,"ffn_dim":16384,"vocab_size":50304,"word_embed_proj_dim":4096,"eos_token_id":50118}`
	flanT5XL  = `{"model_type":"t5","d_model":2048,"d_ff":5120,"num_layers":24,"num_heads":32,"vocab_size":32128,"feed_forward_proj":"gated-gelu","tie_word_embeddings":false}`
	flanT5XXL = `{"model_type":"t5","d_model":4096,"d_ff":10240,"num_layers":24,"num_heads":64,"vocab_size":32128,"feed_forward_proj":"gated-gelu","tie_word_embeddings":false}`
	coco364   = `"vision_config":{"image_size":364}`
	withText  = `"qformer_config":{"vocab_size":30523,"use_qformer_text_input":true}`
)

// TestOfficialFamilies declares every published family from its config, on no weights: names and
// shapes are those of transformers' classes where a list of them is stored, and the sizes in millions
// of parameters are the published ones.
func TestOfficialFamilies(t *testing.T) {
	generation := func(parts ...string) string {
		return `{"architectures":["Blip2ForConditionalGeneration"],"model_type":"blip-2","image_token_index":50265,` + strings.Join(parts, ",") + `}`
	}
	for _, test := range []struct {
		name, config string
		keys         string  // list of names, "" if none is stored
		millions     float64 // of parameters
	}{
		{"blip-image-captioning-base", `{"architectures":["BlipForConditionalGeneration"],"model_type":"blip",` + blipText + `}`, "BlipForConditionalGeneration", 224.0},
		{"blip-image-captioning-large", `{"architectures":["BlipForConditionalGeneration"],"model_type":"blip",` + blipText + `,` + vitL + `}`, "", 446.3},
		{"blip-itm-base-coco", `{"architectures":["BlipForImageTextRetrieval"],"model_type":"blip",` + blipText + `}`, "BlipForImageTextRetrieval", 223.7},
		{"blip-itm-large-coco", `{"architectures":["BlipForImageTextRetrieval"],"model_type":"blip",` + blipText + `,` + vitL + `}`, "", 446.1},
		{"blip-vqa-base", `{"architectures":["BlipForQuestionAnswering"],"model_type":"blip",` + blipText + `}`, "BlipForQuestionAnswering", 361.2},
		{"blip2-opt-2.7b", generation(opt27), "Blip2ForConditionalGeneration", 3744.8},
		{"blip2-opt-2.7b-coco", generation(opt27, coco364), "", 3745.3},
		{"blip2-opt-6.7b", generation(opt67), "", 7752},
		{"blip2-flan-t5-xl", generation(`"use_decoder_only_language_model":false`, `"text_config":`+flanT5XL), "", 3942},
		{"blip2-flan-t5-xl-coco", generation(`"use_decoder_only_language_model":false`, `"text_config":`+flanT5XL, coco364), "", 3943},
		{"blip2-flan-t5-xxl", generation(`"use_decoder_only_language_model":false`, `"text_config":`+flanT5XXL), "", 12229},
		{"blip2-itm-vit-g", `{"architectures":["Blip2ForImageTextRetrieval"],"model_type":"blip-2",` + withText + `}`, "Blip2ForImageTextRetrieval", 1172.0},
		{"instructblip-flan-t5-xl", `{"architectures":["InstructBlipForConditionalGeneration"],"model_type":"instructblip","image_token_index":32100,"use_decoder_only_language_model":false,` + withText + `,"text_config":` + flanT5XL + `}`, "", 4023},
		{"instructblip-flan-t5-xxl", `{"architectures":["InstructBlipForConditionalGeneration"],"model_type":"instructblip","image_token_index":32100,"use_decoder_only_language_model":false,` + withText + `,"text_config":` + flanT5XXL + `}`, "", 12310},
		{"opt-2.7b", `{"architectures":["OPTForCausalLM"],"model_type":"opt","hidden_size":2560,"num_hidden_layers":32,"num_attention_heads":32,"ffn_dim":10240}`, "", 2651.6},
		{"opt-6.7b", `{"architectures":["OPTForCausalLM"],"model_type":"opt","hidden_size":4096,"num_hidden_layers":32,"num_attention_heads":32,"ffn_dim":16384}`, "", 6658.5},
		{"opt-350m", `{"architectures":["OPTForCausalLM"],"model_type":"opt","hidden_size":1024,"num_hidden_layers":24,"num_attention_heads":16,"ffn_dim":4096,"word_embed_proj_dim":512,"do_layer_norm_before":false}`, "", 331.2},
		{"flan-t5-xl", flanT5XL, "", 2849.8},
		{"flan-t5-xxl", flanT5XXL, "", 11135.3},
		{"clip-vit-large-patch14", `{"architectures":["CLIPModel"],"model_type":"clip","projection_dim":768,"text_config":{"hidden_size":768,"intermediate_size":3072,"num_attention_heads":12},
			"vision_config":{"hidden_size":1024,"num_hidden_layers":24,"num_attention_heads":16,"intermediate_size":4096,"patch_size":14}}`, "", 427.6},
		{"bert-base-uncased", `{"architectures":["BertForMaskedLM"],"model_type":"bert"}`, "", 109.5},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := declareFamily(t, test.config)
			millions := 0.0
			for _, shape := range got {
				millions += float64(shape.Size()) / 1e6
			}
			if math.Abs(millions-test.millions) > 0.002*test.millions {
				t.Errorf("%.1f million parameters, published are %.1f", millions, test.millions)
			}
			if test.keys != "" {
				compareKeys(t, got, readKeys(t, test.keys))
			}
		})
	}
}

// compareKeys wants the same tensors, but for second copies of tied ones.
func compareKeys(t *testing.T, got map[string]shapes.Shape, want map[string]string) {
	t.Helper()
	for name, dims := range want {
		if blipCopies[name] != "" || optCopies[strings.TrimPrefix(name, "language_model.")] != "" {
			continue
		}
		shape, ok := got[name]
		if !ok {
			t.Errorf("tensor %s is missing", name)
			continue
		}
		if have := strings.Trim(strings.ReplaceAll(fmt.Sprint(shape.Dimensions), " ", "x"), "[]"); have != dims {
			t.Errorf("tensor %s has shape %s, want %s", name, have, dims)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("tensor %s is none of transformers'", name)
		}
	}
}

// readKeys reads a stored list of names and dimensions, one a line.
func readKeys(t *testing.T, class string) map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", class+".keys.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{}
	for lines := bufio.NewScanner(z); lines.Scan(); {
		name, dims, _ := strings.Cut(lines.Text(), " ")
		keys[name] = dims
	}
	if len(keys) < 400 {
		t.Fatalf("%s: only %d names", class, len(keys))
	}
	return keys
}

// declareFamily lists the tensors of a config's class.
func declareFamily(t *testing.T, config string) map[string]shapes.Shape {
	t.Helper()
	var kind struct {
		Architectures []string `json:"architectures"`
		ModelType     string   `json:"model_type"`
	}
	read := func(into interface{ Validate() error }) {
		t.Helper()
		if err := json.Unmarshal([]byte(config), into); err != nil {
			t.Fatal(err)
		}
		if err := into.Validate(); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal([]byte(config), &kind); err != nil {
		t.Fatal(err)
	}
	backend, store := golden.Go(t), model.NewStore()
	declare := func(build func(scope *model.Scope, in []*Node), inputs ...shapes.Shape) map[string]shapes.Shape {
		t.Helper()
		want, err := Declare(backend, store, build, inputs...)
		if err != nil {
			t.Fatal(err)
		}
		return want
	}
	text := shapes.Make(dtypes.Int32, 1, 4)
	switch kind.ModelType {
	case "blip":
		var cfg blip.Config
		read(&cfg)
		build, inputs := BLIPGraph(&cfg)
		return declare(build, inputs...)
	case "blip-2", "instructblip":
		var cfg blip2.Config
		read(&cfg)
		if slices.Contains(kind.Architectures, blip2.RetrievalClass) {
			r := &Retriever{backend: backend, store: store, vision: &cfg.Vision}
			want, err := r.declare(stage1{&cfg})
			if err != nil {
				t.Fatal(err)
			}
			return want
		}
		if cfg.T5 != nil {
			cfg.T5.UntiedHead = true
		}
		want, err := captionerTensors(backend, store, &cfg)
		if err != nil {
			t.Fatal(err)
		}
		return want
	case "opt":
		var cfg opt.Config
		read(&cfg)
		return declare(func(scope *model.Scope, in []*Node) {
			embeds := opt.Embed(scope, &cfg, in[0])
			states, _ := opt.Decode(scope, &cfg, embeds, opt.Positions(in[0]), blip2.CausalMask(in[0], embeds), nil)
			opt.Logits(scope, &cfg, states)
		}, text)
	case "t5":
		var cfg t5.Config
		read(&cfg)
		cfg.UntiedHead = true
		return declare(func(scope *model.Scope, in []*Node) {
			states := t5.Encode(scope, &cfg, t5.Embed(scope, &cfg, in[0]), in[0])
			decoded, _ := t5.Decode(scope, &cfg, in[0], nil, t5.Remember(scope, &cfg, states, in[0]))
			t5.Logits(scope, &cfg, decoded)
		}, text)
	case "clip":
		var cfg clip.Config
		read(&cfg)
		side := cfg.Vision.ImageSize
		return declare(func(scope *model.Scope, in []*Node) {
			clip.LogitScale(scope, clip.ImageFeatures(scope, &cfg, in[0]))
			clip.TextFeatures(scope, &cfg, in[1])
		}, shapes.Make(dtypes.Float32, 1, 3, side, side), text)
	case "bert":
		var cfg bert.Config
		read(&cfg)
		build, inputs := BERTGraph(&cfg)
		return declare(build, inputs...)
	}
	t.Fatalf("model_type %q", kind.ModelType)
	return nil
}
