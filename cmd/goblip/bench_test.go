package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goblip/checkpoints"
)

// tinyBench are configs of the three kinds; further keys follow.
var tinyBench = func() map[string]string {
	const sizes = `"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2`
	const common = `{"vision": {` + sizes + `, "image_size": 16, "patch_size": 8}, "image_text_hidden_size": 8, "text_length": 9, "batch": 4, "steps": 2`
	const qformer = `, "qformer": {` + sizes + `, "vocab_size": 40, "num_query_tokens": 3, "cross_attention_frequency": 2, "encoder_hidden_size": 16}`
	return map[string]string{
		"stage1": common + qformer,
		"stage2": common + qformer + `, "llm": {"hidden_size": 16, "ffn_dim": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 50}`,
		"blip":   common + `, "text": {` + sizes + `, "vocab_size": 40}, "queue_size": 8`,
	}
}()

func benchFile(t *testing.T, config string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(config+"}"), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBench times a step of each kind: losses are finite, and a loss of the batch that is trained on falls.
func TestBench(t *testing.T) {
	for kind, terms := range map[string]int{"stage1": 3, "stage2": 1, "blip": 3} {
		o := succeed(t, "bench", "--json", "--config", benchFile(t, tinyBench[kind]))
		var r benchResult
		if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
			t.Fatalf("%s: %v in %s", kind, err, o.stdout)
		}
		if len(r.Losses) != 3 || r.Median <= 0 || r.Parameters == 0 {
			t.Fatalf("%s: got %+v", kind, r)
		}
		for _, losses := range r.Losses {
			if len(losses) != terms {
				t.Errorf("%s: got %d losses, want %d", kind, len(losses), terms)
			}
			for _, l := range losses {
				if math.IsNaN(l) || math.IsInf(l, 0) || l <= 0 {
					t.Errorf("%s: losses %v", kind, losses)
				}
			}
		}
		if last := terms - 1; r.Losses[2][last] >= r.Losses[0][last] {
			t.Errorf("%s: the last of the losses does not fall: %v", kind, r.Losses)
		}
	}
}

// TestBenchWritesBLIP wants what other programs start from: copies equal to what they copy, and full queues.
func TestBenchWritesBLIP(t *testing.T) {
	dir := t.TempDir()
	succeed(t, "bench", "--config", benchFile(t, tinyBench["blip"]), "--write", dir)
	f, err := checkpoints.Open(filepath.Join(dir, "weights.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	copies := 0
	for _, name := range f.Names() {
		of, copied := strings.CutPrefix(name, "momentum.")
		if !copied {
			continue
		}
		copies++
		a, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := f.Tensor(of)
		if err != nil {
			t.Fatal(err)
		}
		if !a.Equal(b) {
			t.Errorf("%s is not %s", name, of)
		}
	}
	if copies == 0 {
		t.Error("no copies")
	}
	queue, err := f.Tensor("text_queue")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(queue.Shape().Dimensions); got != "[8 8]" {
		t.Errorf("text_queue has the shape %s", got)
	}
}

// TestBenchErrors wants one line for each mistake in a config.
func TestBenchErrors(t *testing.T) {
	for _, test := range []struct{ kind, old, new, want string }{
		{"blip", `"queue_size": 8`, `"queue_size": 6`, "queue_size 6"},
		{"blip", `, "queue_size": 8`, ``, "queue_size 0"},
		{"blip", `"queue_size": 8`, `"queue_size": 8, "llm": {"vocab_size": 50}`, `no "llm"`},
		{"blip", `"vocab_size": 40`, `"vocab_size": 4`, "vocab_size"},
		{"blip", `"text_length": 9`, `"text_length": 900`, "text_length"},
		{"blip", `"patch_size": 8`, `"patch_size": 7`, "patches of 7"},
		{"stage1", `"batch": 4`, `"batch": 1`, "batch"},
		{"stage1", `"num_attention_heads": 2`, `"num_attention_heads": 3`, "heads"},
		{"stage2", `"steps": 2`, `"steps": 2, "caption_lengths": {"5": 0}`, "caption_lengths"},
		{"stage2", `"steps": 2`, `"steps": 2, "seeds": 3`, "seeds"},
	} {
		config := strings.Replace(tinyBench[test.kind], test.old, test.new, 1)
		if status, stdout, stderr := runLine(t, "bench", "--config", benchFile(t, config)); status == 0 || stdout != "" || !strings.Contains(stderr, test.want) {
			t.Errorf("%s with %s: status %d, want %q, got %s%s", test.kind, test.new, status, test.want, stdout, stderr)
		}
	}
	if _, _, stderr := runLine(t, "bench", "--kept-states", "--config", benchFile(t, tinyBench["blip"])); !strings.Contains(stderr, "--kept-states") {
		t.Errorf("--kept-states: got %s", stderr)
	}
}
