package eval

import "math"

// ciderSigma is the width of the penalty on a difference of lengths.
const ciderSigma = 6

// ciderVector is a caption as CIDEr sees it: its n-grams weighted by how rare they are among the images.
type ciderVector struct {
	grams  []nGram
	weight []float64 // of each
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
	c, err := newCorpus(hyps, refs)
	if err != nil {
		return 0, nil, err
	}
	images, _ = c.cider()
	return meanOf(images, nil), images, nil
}

// PlainCIDEr is CIDEr as its paper defines it first: the cosine of the weighted n-gram counts, times 10, without the
// clipping and the penalty of CIDEr-D (see [CIDEr]).
func PlainCIDEr(hyps []string, refs [][]string) (corpus float64, images []float64, err error) {
	c, err := newCorpus(hyps, refs)
	if err != nil {
		return 0, nil, err
	}
	_, images = c.cider()
	return meanOf(images, nil), images, nil
}

// cider returns CIDEr-D and plain CIDEr of each image.
func (c *captionCorpus) cider() (d, plain []float64) {
	logImages := math.Log(float64(len(c.refs)))
	d, plain = make([]float64, len(c.hyps)), make([]float64, len(c.hyps))
	idf := make([]float64, len(c.frequency))
	for id, n := range c.frequency {
		idf[id] = logImages - math.Log(max(1, float64(n)))
	}
	parallel(len(c.hyps), func(i int) {
		hyp, at := ciderVectorOf(c.hyps[i].grams, idf), places(c.hyps[i].grams)
		var clipped, whole [maxOrder]float64
		for j := range c.refs[i] {
			sc, sw := ciderSimilarity(&hyp, at, ciderVectorOf(c.refs[i][j].grams, idf))
			for n := range maxOrder {
				clipped[n] += sc[n]
				whole[n] += sw[n]
			}
		}
		mean := func(orders [maxOrder]float64) float64 {
			sum := 0.0
			for _, o := range orders {
				sum += o
			}
			return 10 * sum / maxOrder / float64(len(c.refs[i]))
		}
		d[i], plain[i] = mean(clipped), mean(whole)
	})
	return d, plain
}

// ciderVectorOf weighs n-grams by idf, of n-grams by number.
func ciderVectorOf(grams []nGram, idf []float64) ciderVector {
	v := ciderVector{grams: grams, weight: make([]float64, len(grams))}
	for k, g := range grams {
		w := float64(g.count) * idf[g.id]
		v.weight[k] = w
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

// ciderSimilarity compares by n-grams of each order: as CIDEr-D, and by the cosine alone. at are the places of the
// caption's n-grams.
func ciderSimilarity(hyp *ciderVector, at map[uint32]int, ref ciderVector) (clipped, whole [maxOrder]float64) {
	for k, g := range ref.grams {
		in, there := at[g.id]
		if !there {
			continue
		}
		h, r := hyp.weight[in], ref.weight[k]
		clipped[g.order] += min(h, r) * r
		whole[g.order] += h * r
	}
	delta := float64(hyp.length - ref.length)
	penalty := math.Exp(-delta * delta / (2 * ciderSigma * ciderSigma))
	for n := range maxOrder {
		if hyp.norm[n] != 0 && ref.norm[n] != 0 {
			clipped[n] /= hyp.norm[n] * ref.norm[n]
			whole[n] /= hyp.norm[n] * ref.norm[n]
		}
		clipped[n] *= penalty
	}
	return clipped, whole
}
