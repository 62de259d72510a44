package capfilt

import (
	"goblip/datasets"
	"goblip/datasets/shapes"
)

// Right is the truth of a text with which nothing is wrong.
const Right = "right"

func noiseTruth(noise string) string {
	if noise == "" {
		return Right
	}
	return noise
}

// writtenTruth checks a captioner's text against a generated scene; empty where there is none.
func writtenTruth(r datasets.Record, text string) string {
	scene, err := shapes.Parse(r.Scene)
	if err != nil {
		return ""
	}
	return noiseTruth(scene.Noise(text))
}

// Verdict compares the decisions over some texts with their truth.
type Verdict struct {
	Texts     int                 `json:"texts"` // whose truth is known
	Right     int                 `json:"right"` // of them
	Kept      int                 `json:"kept"`  // of all
	KeptRight int                 `json:"kept_right"`
	Precision *float64            `json:"precision"` // share of the kept that are right; null: none kept
	Recall    *float64            `json:"recall"`    // share of the right that are kept; null: none right
	AUC       *float64            `json:"auc"`       // chance that a right text scores above a wrong one; null: not known
	Kinds     map[string]*KindCut `json:"kinds"`     // by what is wrong
}

// KindCut counts the texts of one kind of noise.
type KindCut struct {
	Texts    int `json:"texts"`
	Rejected int `json:"rejected"`
}

func newVerdict() *Verdict { return &Verdict{Kinds: map[string]*KindCut{}} }

// add counts one text whose truth is known.
func (v *Verdict) add(truth string, kept bool) {
	v.Texts++
	if truth == Right {
		v.Right++
	}
	if kept {
		v.Kept++
		if truth == Right {
			v.KeptRight++
		}
	}
	k := v.Kinds[truth]
	if k == nil {
		k = &KindCut{}
		v.Kinds[truth] = k
	}
	k.Texts++
	if !kept {
		k.Rejected++
	}
}

// finish computes the shares; right and wrong are histograms of the deciding score, or nil.
func (v *Verdict) finish(right, wrong *Histogram) {
	v.Precision, v.Recall = share(v.KeptRight, v.Kept), share(v.KeptRight, v.Right)
	if right == nil || wrong == nil || right.total() == 0 || wrong.total() == 0 {
		return
	}
	// Texts of one bin count half, as equal scores do; a bin is a 200th of the scale.
	pairs, below := 0.0, 0
	for i := range right.Counts {
		pairs += float64(right.Counts[i]) * (float64(below) + float64(wrong.Counts[i])/2)
		below += wrong.Counts[i]
	}
	auc := round(pairs / float64(right.total()) / float64(wrong.total()))
	v.AUC = &auc
}

func share(part, whole int) *float64 {
	if whole == 0 {
		return nil
	}
	v := round(float64(part) / float64(whole))
	return &v
}
