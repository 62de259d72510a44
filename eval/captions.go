package eval

import (
	"fmt"

	"goblip/eval/meteor"
	"goblip/eval/ptb"
)

// Tokenize splits a caption into the tokens that caption metrics count, joined by single spaces: see package ptb.
func Tokenize(caption string) string { return ptb.Tokenize(caption) }

// CaptionScores holds the caption metrics of a corpus or of one image, under coco-caption's names. A metric that was
// not computed is nil.
type CaptionScores struct {
	BLEU1  float64  `json:"Bleu_1"`
	BLEU2  float64  `json:"Bleu_2"`
	BLEU3  float64  `json:"Bleu_3"`
	BLEU4  float64  `json:"Bleu_4"`
	METEOR *float64 `json:"METEOR,omitempty"`
	ROUGEL float64  `json:"ROUGE_L"`
	CIDEr  float64  `json:"CIDEr"`       // CIDEr-D, which papers report
	Plain  float64  `json:"CIDEr_plain"` // CIDEr without the D

	// METEOR without some of its lists is another metric: see package meteor.
	METEORStem    *float64 `json:"METEOR_exact_stem,omitempty"`
	METEORSynonym *float64 `json:"METEOR_exact_stem_synonym,omitempty"`
	SPICE         *float64 `json:"SPICE,omitempty"`
}

// CaptionMetric is a metric of a set of images, of any part of it, and of each image.
type CaptionMetric struct {
	Name   string    // as in the JSON of [CaptionScores]
	Of     Statistic // of images
	Images []float64
}

// Captions tokenises captions and their references as written by people and returns the metrics of the corpus and of
// each image. hyps[i] is the caption of image i and refs[i] its references, at least one.
func Captions(hyps []string, refs [][]string) (corpus CaptionScores, images []CaptionScores, err error) {
	tokenHyps, tokenRefs := TokenizeCaptions(hyps, refs)
	return TokenizedCaptions(tokenHyps, tokenRefs)
}

// TokenizeCaptions tokenises the captions of a corpus as coco-caption does: all references in their order as one text,
// and all captions as another (see [ptb.Lines]).
func TokenizeCaptions(hyps []string, refs [][]string) (tokenHyps []string, tokenRefs [][]string) {
	var all []string
	for _, imageRefs := range refs {
		all = append(all, imageRefs...)
	}
	tokens := tokenizeAll(all)
	tokenRefs = make([][]string, len(refs))
	for i, imageRefs := range refs {
		tokenRefs[i], tokens = tokens[:len(imageRefs):len(imageRefs)], tokens[len(imageRefs):]
	}
	return tokenizeAll(hyps), tokenRefs
}

// tokenizeAll is ptb.Lines on all processors.
func tokenizeAll(lines []string) []string {
	const block = 64
	out := make([]string, len(lines))
	parallel((len(lines)+block-1)/block, func(b int) {
		from, to := b*block, min((b+1)*block, len(lines))
		copy(out[from:to], ptb.Lines(lines[from:min(to+1, len(lines))])) // with the line behind, which the last looks at
	})
	return out
}

// TokenizedCaptions is [Captions] for texts that were tokenised already: tokens joined by single spaces.
func TokenizedCaptions(hyps []string, refs [][]string) (corpus CaptionScores, images []CaptionScores, err error) {
	metrics, err := CaptionMetrics(hyps, refs)
	if err != nil {
		return corpus, nil, err
	}
	return ScoresOf(metrics, nil), imageScores(metrics, len(hyps)), nil
}

// CaptionMetrics returns the metrics of tokenised captions, each of the corpus, of its parts and of its images:
// BLEU-1..4, ROUGE-L, CIDEr-D and plain CIDEr.
//
// The document frequencies of both CIDErs are those of the whole corpus, also for a part of it.
func CaptionMetrics(hyps []string, refs [][]string) ([]CaptionMetric, error) {
	c, err := newCorpus(hyps, refs)
	if err != nil {
		return nil, err
	}
	counts := c.bleu()
	var metrics []CaptionMetric
	for n := range maxOrder {
		images := make([]float64, len(counts))
		for i := range counts {
			images[i] = counts[i].score()[n]
		}
		metrics = append(metrics, CaptionMetric{fmt.Sprintf("Bleu_%d", n+1),
			func(draw []int) float64 { return sumBLEU(counts, draw).score()[n] }, images})
	}
	mean := func(name string, images []float64) {
		metrics = append(metrics, CaptionMetric{name, MeanOf(images), images})
	}
	mean("ROUGE_L", c.rouge())
	d, plain := c.cider()
	mean("CIDEr", d)
	mean("CIDEr_plain", plain)
	return metrics, nil
}

// MeteorMetric is METEOR of tokenised captions under the name that the lists at hand allow. That of a corpus comes from
// summed statistics.
func MeteorMetric(data *meteor.Data, hyps []string, refs [][]string) (CaptionMetric, error) {
	if err := checkCaptions(hyps, refs); err != nil {
		return CaptionMetric{}, err
	}
	stats, err := data.Score(hyps, refs)
	if err != nil {
		return CaptionMetric{}, err
	}
	images := make([]float64, len(stats))
	for i := range stats {
		images[i] = stats[i].Score()
	}
	of := func(draw []int) float64 {
		var total meteor.Stats
		if draw == nil {
			for i := range stats {
				total.Add(&stats[i])
			}
		}
		for _, i := range draw {
			total.Add(&stats[i])
		}
		return total.Score()
	}
	return CaptionMetric{data.Name(), of, images}, nil
}

// ScoresOf are the scores of the images drawn; nil: of all.
func ScoresOf(metrics []CaptionMetric, draw []int) (s CaptionScores) {
	for _, m := range metrics {
		s.set(m.Name, m.Of(draw))
	}
	return s
}

// ImageScores are the scores of one image.
func ImageScores(metrics []CaptionMetric, image int) (s CaptionScores) {
	for _, m := range metrics {
		s.set(m.Name, m.Images[image])
	}
	return s
}

func imageScores(metrics []CaptionMetric, n int) []CaptionScores {
	out := make([]CaptionScores, n)
	for i := range out {
		out[i] = ImageScores(metrics, i)
	}
	return out
}

func (s *CaptionScores) set(name string, value float64) {
	switch name {
	case "Bleu_1":
		s.BLEU1 = value
	case "Bleu_2":
		s.BLEU2 = value
	case "Bleu_3":
		s.BLEU3 = value
	case "Bleu_4":
		s.BLEU4 = value
	case "METEOR":
		s.METEOR = &value
	case "METEOR_exact_stem":
		s.METEORStem = &value
	case "METEOR_exact_stem_synonym":
		s.METEORSynonym = &value
	case "ROUGE_L":
		s.ROUGEL = value
	case "CIDEr":
		s.CIDEr = value
	case "CIDEr_plain":
		s.Plain = value
	case "SPICE":
		s.SPICE = &value
	}
}

// CaptionInterval returns a metric of captions as written by people (see [CaptionMetrics]) with its bootstrap interval:
// images are drawn, and with BLEU their counts summed, because corpus BLEU is not a mean.
func CaptionInterval(name string, hyps []string, refs [][]string, seed uint64) (Interval, error) {
	tokenHyps, tokenRefs := TokenizeCaptions(hyps, refs)
	metrics, err := CaptionMetrics(tokenHyps, tokenRefs)
	if err != nil {
		return Interval{}, err
	}
	for _, m := range metrics {
		if m.Name == name {
			return BootstrapOf(len(hyps), m.Of, bootstrapResamples, seed), nil
		}
	}
	return Interval{}, fmt.Errorf("no caption metric %q", name)
}

// checkCaptions is what every caption metric asks of its input.
func checkCaptions(hyps []string, refs [][]string) error {
	if len(hyps) == 0 {
		return fmt.Errorf("no captions to score")
	}
	if len(hyps) != len(refs) {
		return fmt.Errorf("%d captions but references of %d images", len(hyps), len(refs))
	}
	for i := range refs {
		if len(refs[i]) == 0 {
			return fmt.Errorf("image %d has no reference captions", i)
		}
	}
	return nil
}
