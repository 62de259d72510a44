package capfilt

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Kinds of scores.
const (
	ITM  = "itm"  // probability that picture and text match, 0 to 1
	ITC  = "itc"  // cosine in the contrastive space of a BLIP or BLIP-2
	CLIP = "clip" // cosine of a dual encoder
)

// How the scores of several filters become one.
const (
	Mean = "mean"
	Min  = "min" // all filters must be content
	Max  = "max"
)

// Rule decides which texts of a picture stay: those whose score reaches Threshold, and of these the best TopK.
type Rule struct {
	Score     string   `json:"score"`    // ITM, ITC or CLIP
	Ensemble  string   `json:"ensemble"` // Mean, Min or Max
	Threshold *float64 `json:"threshold,omitempty"`
	TopK      int      `json:"top_k,omitempty"` // 0: all
}

// BLIPRule is BLIP's: a text stays if the filter's ITM head says that it matches (section 3.3).
func BLIPRule() Rule {
	half := 0.5
	return Rule{Score: ITM, Ensemble: Mean, Threshold: &half}
}

// BLIP2Rule is BLIP-2's: of all texts the two that CLIP finds closest to the picture (section 3.4).
func BLIP2Rule() Rule { return Rule{Score: CLIP, Ensemble: Mean, TopK: 2} }

// KeepAll keeps what is not empty and not said before: a captioner without a filter.
func KeepAll() Rule { return Rule{Ensemble: Mean} }

func (r Rule) needsScores() bool { return r.Threshold != nil || r.TopK > 0 }

// Validate says what makes no sense.
func (r Rule) Validate() error {
	switch {
	case (r.needsScores() || r.Score != "") && !slices.Contains([]string{ITM, ITC, CLIP}, r.Score):
		return fmt.Errorf("score %q is not %s, %s or %s", r.Score, ITM, ITC, CLIP)
	case !slices.Contains([]string{Mean, Min, Max}, r.Ensemble):
		return fmt.Errorf("ensemble %q is not %s, %s or %s", r.Ensemble, Mean, Min, Max)
	case r.Threshold != nil && (math.IsNaN(*r.Threshold) || math.IsInf(*r.Threshold, 0)):
		return errors.New("the threshold is not a number")
	case r.TopK < 0:
		return fmt.Errorf("top-k %d must not be negative", r.TopK)
	}
	return nil
}

// Text is one text of a picture before the decision.
type Text struct {
	Text   string `json:"text"`
	Origin string `json:"origin"` // Web, or the captioner's name
	// Truth says what is known to be wrong with the text, Right if nothing is; empty where nobody knows.
	Truth string `json:"truth,omitempty"`
	// Scores by filter and kind; none of texts that are empty or repeat another of the picture.
	Scores map[string]map[string]float64 `json:"scores,omitempty"`
	// Reason is why a text was not scored: ReasonEmpty or ReasonDuplicate.
	Reason string `json:"reason,omitempty"`
}

// Origins of texts that no captioner wrote.
const (
	Web   = "web"   // came with the pictures of the source
	Human = "human" // of the set that people wrote
)

// Reasons of decisions.
const (
	ReasonMatches   = "matches"
	ReasonLow       = "score below threshold"
	ReasonRank      = "not among the best"
	ReasonEmpty     = "empty"
	ReasonDuplicate = "repeats a text of its picture"
	ReasonHuman     = "written by people"
)

// Decision is what the rule says of one text.
type Decision struct {
	Score  *float64 // of all filters together; nil: not scored
	Keep   bool
	Reason string
}

// combined is the score of all filters together.
func (r Rule) combined(t Text) *float64 {
	var values []float64
	for _, kinds := range t.Scores {
		if v, ok := kinds[r.Score]; ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values) // a map has no order, a sum of floats does
	v := 0.0
	switch r.Ensemble {
	case Min:
		v = values[0]
	case Max:
		v = values[len(values)-1]
	default:
		for _, x := range values {
			v += x
		}
		v = round(v / float64(len(values)))
	}
	return &v
}

// Decide decides over the texts of one picture, in their order; of equal scores the earlier text is better.
func (r Rule) Decide(texts []Text) []Decision {
	out := make([]Decision, len(texts))
	var ranked []int
	for i, t := range texts {
		d := &out[i]
		if d.Score = r.combined(t); t.Reason != "" {
			d.Reason = t.Reason
			continue
		}
		if r.Threshold != nil && (d.Score == nil || *d.Score < *r.Threshold) {
			d.Reason = ReasonLow
			continue
		}
		d.Keep, d.Reason = true, ReasonMatches
		ranked = append(ranked, i)
	}
	if r.TopK == 0 || len(ranked) <= r.TopK {
		return out
	}
	slices.SortStableFunc(ranked, func(a, b int) int {
		switch x, y := *out[a].Score, *out[b].Score; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	for _, i := range ranked[r.TopK:] {
		out[i].Keep, out[i].Reason = false, ReasonRank
	}
	return out
}

// screen marks texts that need no score: empty ones, and those that an earlier text of the picture says too.
func screen(texts []Text) {
	seen := map[string]bool{}
	for i := range texts {
		key := plain(texts[i].Text)
		switch {
		case key == "":
			texts[i].Reason = ReasonEmpty
		case seen[key]:
			texts[i].Reason = ReasonDuplicate
		}
		seen[key] = true
	}
}

// plain is a text without case and spacing, as duplicates are compared.
func plain(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }

// round drops the digits that a batch's size or another processor can change.
func round(v float64) float64 { return math.Round(v*1e6) / 1e6 }
