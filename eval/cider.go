package eval

import (
	"math"
	"strings"
)

// ciderSigma is the width of the penalty on a difference of lengths.
const ciderSigma = 6

// ciderVector is a caption as CIDEr sees it: its n-grams weighted by how rare they are among the images.
type ciderVector struct {
	grams  []nGram
	weight map[string]float64
	norm   [maxOrder]float64
	length int // number of bigrams: the reference program's idea of a length
}

// CIDEr returns CIDEr-D of the corpus (the mean over images) and of each image, between 0 and 10. It is what
// coco-caption and the papers call CIDEr: counts clipped, a Gaussian penalty on the difference of lengths, the mean
// over 1- to 4-grams and over the references, times 10.
//
// An n-gram is weighted by the number of images whose references hold it. So a score depends on the set of images:
// a subset has other scores, and a single image has 0.
func CIDEr(hyps []string, refs [][]string) (corpus float64, images []float64, err error) {
	if err := checkCaptions(hyps, refs); err != nil {
		return 0, nil, err
	}
	refGrams := make([][][]nGram, len(refs))
	frequency := map[string]int{} // n-gram -> images whose references hold it
	for i, imageRefs := range refs {
		seen := map[string]bool{}
		for _, ref := range imageRefs {
			grams := countNGrams(strings.Fields(ref))
			refGrams[i] = append(refGrams[i], grams)
			for _, g := range grams {
				if !seen[g.text] {
					seen[g.text] = true
					frequency[g.text]++
				}
			}
		}
	}
	logImages := math.Log(float64(len(refs)))
	images = make([]float64, len(hyps))
	for i, hyp := range hyps {
		h := ciderVectorOf(countNGrams(strings.Fields(hyp)), frequency, logImages)
		var orders [maxOrder]float64
		for _, grams := range refGrams[i] {
			similarity := ciderSimilarity(h, ciderVectorOf(grams, frequency, logImages))
			for n := range maxOrder {
				orders[n] += similarity[n]
			}
		}
		sum := 0.0
		for _, o := range orders {
			sum += o
		}
		images[i] = 10 * sum / maxOrder / float64(len(refs[i]))
		corpus += images[i]
	}
	return corpus / float64(len(hyps)), images, nil
}

func ciderVectorOf(grams []nGram, frequency map[string]int, logImages float64) ciderVector {
	v := ciderVector{grams: grams, weight: make(map[string]float64, len(grams))}
	for _, g := range grams {
		w := float64(g.count) * (logImages - math.Log(max(1, float64(frequency[g.text]))))
		v.weight[g.text] = w
		v.norm[g.order] += w * w
		if g.order == 1 {
			v.length += g.count
		}
	}
	for n := range maxOrder {
		v.norm[n] = math.Sqrt(v.norm[n])
	}
	return v
}

func ciderSimilarity(hyp, ref ciderVector) [maxOrder]float64 {
	var s [maxOrder]float64
	for _, g := range hyp.grams {
		r := ref.weight[g.text]
		s[g.order] += min(hyp.weight[g.text], r) * r
	}
	delta := float64(hyp.length - ref.length)
	penalty := math.Exp(-delta * delta / (2 * ciderSigma * ciderSigma))
	for n := range maxOrder {
		if hyp.norm[n] != 0 && ref.norm[n] != 0 {
			s[n] /= hyp.norm[n] * ref.norm[n]
		}
		s[n] *= penalty
	}
	return s
}
