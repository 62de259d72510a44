package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"goblip/checkpoints"
)

// tinyOPT is the config.json of a model whose folder takes no time to write.
const tinyOPT = `{"architectures": ["OPTForCausalLM"], "model_type": "opt", "vocab_size": 6, "hidden_size": 4, "num_hidden_layers": 1,
 "ffn_dim": 8, "num_attention_heads": 2, "max_position_embeddings": 5, "word_embed_proj_dim": 4}`

// writeOPT writes such a folder, without the tensors that are named.
func writeOPT(t *testing.T, dir string, without ...string) {
	t.Helper()
	var named []checkpoints.Named
	add := func(name string, dims ...int) {
		size := 1
		for _, d := range dims {
			size *= d
		}
		values := make([]float32, size)
		for i := range values {
			values[i] = float32(len(name)) + 0.1*float32(i)
		}
		if !slices.Contains(without, name) {
			named = append(named, checkpoints.Named{Name: name, Tensor: tensors.FromFlatDataAndDimensions(values, dims...)})
		}
	}
	add("model.decoder.embed_tokens.weight", 6, 4)
	add("model.decoder.embed_positions.weight", 7, 4)
	for _, norm := range []string{"final_layer_norm", "layers.0.final_layer_norm", "layers.0.self_attn_layer_norm"} {
		add("model.decoder."+norm+".weight", 4)
		add("model.decoder."+norm+".bias", 4)
	}
	for _, name := range []string{"q_proj", "k_proj", "v_proj", "out_proj"} {
		add("model.decoder.layers.0.self_attn."+name+".weight", 4, 4)
		add("model.decoder.layers.0.self_attn."+name+".bias", 4)
	}
	add("model.decoder.layers.0.fc1.weight", 8, 4)
	add("model.decoder.layers.0.fc1.bias", 8)
	add("model.decoder.layers.0.fc2.weight", 4, 8)
	add("model.decoder.layers.0.fc2.bias", 4)
	files := map[string][]byte{checkpoints.ConfigFile: []byte(tinyOPT), "tokenizer.json": []byte("{}"), "merges.txt": []byte("#version: 0.2\n")}
	if err := checkpoints.WriteFolder(dir, checkpoints.Contents{Tensors: named, Files: files}); err != nil {
		t.Fatal(err)
	}
}

// runLine runs a command line in this process.
func runLine(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

// jsonOf runs a command line that prints one JSON object.
func jsonOf(t *testing.T, into any, args ...string) {
	t.Helper()
	status, stdout, stderr := runLine(t, append(args, "--json")...)
	if status != 0 || stderr != "" {
		t.Fatalf("%q: status %d: %s", args, status, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), into); err != nil {
		t.Fatalf("%q: %v in %s", args, err, stdout)
	}
}

func TestConvert(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	writeOPT(t, at("model"))
	original, err := os.ReadFile(at("model/model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range [][]string{
		{at("model"), at("a.pth")}, {at("a.pth"), at("back")},
		{at("model"), at("shards"), "--shard-size", "200"}, {at("shards"), at("whole")},
		{at("model"), at("a.bin")}, {at("a.bin"), at("again"), "--config", at("model")},
		{at("model"), at("a.safetensors")}, {at("a.safetensors"), at("copy"), "--config", at("model/config.json")},
	} {
		var c conversion
		jsonOf(t, &c, append([]string{"convert", "--outputs", "no"}, step...)...) // see TestConvertSaysOutputs
		if !c.Equal || c.Proof.Tensors != 20 || c.Proof.Bytes != 928 || c.Proof.Largest != 0 || c.Class != "OPTForCausalLM" {
			t.Errorf("%q: %+v %+v", step, c, c.Proof)
		}
	}
	for _, folder := range []string{"back", "whole", "again", "copy"} {
		if data, err := os.ReadFile(at(folder + "/model.safetensors")); err != nil || !bytes.Equal(data, original) {
			t.Errorf("%s: the weights are not those of the source (%v)", folder, err)
		}
		_, err := os.Stat(at(folder + "/tokenizer.json"))
		if want := folder != "copy"; (err == nil) != want { // a config.json alone brings no tokenizer
			t.Errorf("%s: tokenizer.json: %v", folder, err)
		}
	}
	if _, err := os.Stat(at("shards/model.safetensors.index.json")); err != nil {
		t.Error(err)
	}

	var c conversion
	jsonOf(t, &c, "convert", at("model"), at("half"), "--dtype", "bf16", "--outputs", "no")
	if !c.Equal || c.Rounding == nil || *c.Rounding == 0 || *c.Rounding > 0.13 || c.Proof.Bytes != 464 {
		t.Errorf("bf16: %+v %+v", c, c.Proof)
	}
	status, stdout, stderr := runLine(t, "convert", at("model"), at("b.pth"), "--outputs", "no")
	if status != 0 || !strings.Contains(stdout, "20 tensors, 928 bytes, largest difference 0") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
}

func TestConvertBadInput(t *testing.T) {
	t.Setenv("HF_HUB_OFFLINE", "1")
	t.Setenv("HF_HOME", t.TempDir())
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	writeOPT(t, at("model"))
	writeOPT(t, at("less"), "model.decoder.embed_tokens.weight")
	if err := os.MkdirAll(at("mine/photos"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{at("model")}, exitUsage, "accepts 2 arg(s)"},
		{[]string{at("model"), at("model")}, exitUsage, "the same"},
		{[]string{at("model"), at("x"), "--dtype", "f8"}, exitUsage, "--dtype f8"},
		{[]string{at("model"), at("x"), "--names", "own"}, exitUsage, "--names own"},
		{[]string{at("model"), at("x"), "--names", "original"}, exitUsage, "write a .pth"},
		{[]string{at("model"), at("x"), "--shard-size", "many"}, exitUsage, "--shard-size many"},
		{[]string{at("model"), at("x"), "--drop", "["}, exitUsage, "--drop ["},
		{[]string{at("less"), at("x")}, exitFailed, "1 tensors missing (model.decoder.embed_tokens.weight)"},
		{[]string{at("model"), at("mine")}, exitFailed, "holds the folder photos"},
		{[]string{at("nowhere"), at("x")}, exitFailed, "nowhere"},
		{[]string{"some/where", at("x")}, exitFailed, "HF_HUB_OFFLINE"},
		{[]string{filepath.Join("..", "..", "checkpoints", "testdata", "hostile", "os_system_2.pth"), at("x")}, exitFailed, "posix.system"},
	} {
		status, stdout, stderr := runLine(t, append([]string{"convert"}, c.args...)...)
		if status != c.status || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: status %d, want %d and %q, got:\n%s%s", c.args, status, c.status, c.want, stdout, stderr)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestInspect(t *testing.T) {
	dir := t.TempDir()
	writeOPT(t, filepath.Join(dir, "model"), "model.decoder.final_layer_norm.bias")
	var found inspection
	jsonOf(t, &found, "inspect", filepath.Join(dir, "model"))
	if found.Count != 19 || len(found.Tensors) != 19 || found.Bytes != 912 || found.Parameters != 228 || found.Class != "OPTForCausalLM" {
		t.Errorf("got %+v", found)
	}
	if first := found.Tensors[0]; first.Name != "model.decoder.embed_positions.weight" || first.DType != "F32" || !slices.Equal(first.Shape, []int{7, 4}) {
		t.Errorf("the first tensor is %+v", first)
	}
	if c := found.Compared; c == nil || !slices.Equal(c.Missing, []string{"model.decoder.final_layer_norm.bias"}) || len(c.Unexpected) != 0 {
		t.Errorf("compared: %+v", found.Compared)
	}
	if !slices.Equal(found.Files, []string{"merges.txt", "tokenizer.json"}) {
		t.Errorf("files %q", found.Files)
	}
	status, stdout, _ := runLine(t, "inspect", filepath.Join(dir, "model"))
	for _, want := range []string{"model.decoder.embed_tokens.weight", "19 tensors, 228 parameters, 912 bytes", "missing from OPTForCausalLM (1): model.decoder.final_layer_norm.bias", "hidden_size 4"} {
		if status != 0 || !strings.Contains(stdout, want) {
			t.Errorf("status %d, no %q in:\n%s", status, want, stdout)
		}
	}
	pth := filepath.Join("..", "..", "checkpoints", "testdata", "torch", "settings.pth")
	jsonOf(t, &found, "inspect", pth)
	if !slices.Contains(found.Skipped, "optimizer") || !strings.Contains(found.Note, "no config.json") {
		t.Errorf("a .pth: %+v", found)
	}
}

// serveModel plays the hub for a folder.
func serveModel(t *testing.T, dir string) (requests *int) {
	t.Helper()
	requests = new(int)
	commit := strings.Repeat("c0", 20)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*requests++
		if strings.HasPrefix(r.URL.Path, "/api/models/org/tiny/") {
			entries, _ := os.ReadDir(dir)
			var siblings []map[string]string
			for _, e := range entries {
				siblings = append(siblings, map[string]string{"rfilename": e.Name()})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"sha": commit, "siblings": siblings})
			return
		}
		data, err := os.ReadFile(filepath.Join(dir, filepath.Base(r.URL.Path)))
		if err != nil || !strings.HasPrefix(r.URL.Path, "/org/tiny/resolve/") {
			http.NotFound(w, r)
			return
		}
		sum := sha256.Sum256(data)
		w.Header().Set("X-Repo-Commit", commit)
		w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:])+`"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		_, _ = w.Write(data)
	}))
	t.Cleanup(server.Close)
	t.Setenv("HF_ENDPOINT", server.URL)
	t.Setenv("HF_HOME", t.TempDir())
	for _, variable := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		t.Setenv(variable, "")
	}
	return requests
}

// TestHubModels names a model of the hub where folders are named.
func TestHubModels(t *testing.T) {
	dir := t.TempDir()
	writeOPT(t, filepath.Join(dir, "model"))
	requests := serveModel(t, filepath.Join(dir, "model"))
	status, stdout, stderr := runLine(t, "download", "org/tiny")
	folder := strings.TrimSpace(stdout)
	if status != 0 || !strings.HasPrefix(folder, os.Getenv("HF_HOME")) {
		t.Fatalf("status %d: %s%s", status, stdout, stderr)
	}
	before := *requests
	var found inspection
	jsonOf(t, &found, "inspect", "org/tiny")
	if found.Path != folder || !found.Compared.Empty() || *requests != before {
		t.Errorf("inspect: %s, %+v, %d requests more", found.Path, found.Compared, *requests-before)
	}
	var c conversion
	jsonOf(t, &c, "convert", "org/tiny", filepath.Join(dir, "copy"), "--outputs", "no")
	if !c.Equal || *requests != before {
		t.Errorf("convert: %+v, %d requests more", c, *requests-before)
	}
	// A flag of any command.
	status, _, stderr = runLine(t, "caption", "--checkpoint", "org/unknown", "picture.png")
	if status != exitFailed || !strings.Contains(stderr, "--checkpoint: no folder of this name here") || !strings.Contains(stderr, "HTTP 404") {
		t.Errorf("status %d: %s", status, stderr)
	}
	if status, _, stderr = runLine(t, "download", "not/a/model"); status != exitUsage || !strings.Contains(stderr, "ORG/NAME") {
		t.Errorf("status %d: %s", status, stderr)
	}
}
