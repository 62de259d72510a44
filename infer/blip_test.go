package infer

import (
	"strings"
	"testing"

	"goblip/internal/golden"
	"goblip/models/blip"
	"goblip/models/blip2"
	"goblip/models/generate"
)

// TestQuestionOptions wants [ENC] and [CLS] to differ, and visible padding to make an answer depend on
// the question beside it.
func TestQuestionOptions(t *testing.T) {
	b, err := OpenBLIPWriter(golden.Go(t), tinyFolder(t, blip.VQAClass).write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	states, err := b.States(noise(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	o := generate.Default()
	o.MaxNewTokens, o.MinNewTokens = 6, 6
	score := func(questions ...string) float64 {
		t.Helper()
		var requests []Request
		for _, q := range questions {
			requests = append(requests, Request{Prompt: q})
		}
		texts, err := b.Write(states, requests, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		return texts[0].Score
	}
	const short, long = "a red circle", "two small blue squares on the left of a red circle"
	enc := score(short)
	if err := b.UseQuestionToken(TokenCls); err != nil {
		t.Fatal(err)
	}
	if cls := score(short); cls == enc {
		t.Errorf("[CLS] and [ENC] both give %g", cls)
	}
	if err := b.UseQuestionToken("dec"); err == nil {
		t.Error("token dec was accepted")
	}
	b.SeePadding = true
	alone, beside := score(short), score(short, long)
	if alone == beside {
		t.Errorf("visible padding changes nothing: %g", alone)
	}
}

// TestMatchToken wants [ENC] and [CLS] to differ in a BLIP, and BLIP-2 to have no choice.
func TestMatchToken(t *testing.T) {
	r, err := OpenRetriever(golden.Go(t), tinyFolder(t, blip.RetrievalClass).write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Finalize()
	states, err := r.States(noise(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	match := func() float32 {
		t.Helper()
		logits, err := r.Match(states, []string{"a red circle"}, []Pair{{}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return logits[0]
	}
	enc := match()
	if err := r.UseMatchToken(TokenCls); err != nil {
		t.Fatal(err)
	}
	if cls := match(); cls == enc {
		t.Errorf("[CLS] and [ENC] both give %g", cls)
	}
	r2, err := OpenRetriever(golden.Go(t), tinyFolder(t, blip2.RetrievalClass).write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer r2.Finalize()
	if err := r2.UseMatchToken(TokenEnc); err == nil || !strings.Contains(err.Error(), "no [ENC]") {
		t.Errorf("got %v", err)
	}
}

// TestBLIPPromptTooLong: what does not fit the text positions is an error before anything runs.
func TestBLIPPromptTooLong(t *testing.T) {
	for class, want := range map[string]string{blip.CaptionClass: "a prompt of", blip.VQAClass: "a prompt of"} {
		b, err := OpenBLIPWriter(golden.Go(t), tinyFolder(t, class).write(t))
		if err != nil {
			t.Fatal(err)
		}
		states, err := b.States(noise(1), nil)
		if err != nil {
			t.Fatal(err)
		}
		o := generate.Default()
		o.MaxNewTokens = 40
		if _, err := b.Write(states, []Request{{Prompt: strings.Repeat("circle ", 60)}}, o, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", class, err)
		}
		b.Finalize()
	}
}
