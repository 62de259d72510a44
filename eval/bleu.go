package eval

import "math"

// The two constants keep the reference program's precisions finite: an order without a single match is tiny, not 0.
const (
	bleuTiny  = 1e-15
	bleuSmall = 1e-9
)

// bleuCounts is what BLEU needs to know of one image; corpus BLEU sums it over all images.
type bleuCounts struct {
	length, refLength int
	guess, correct    [maxOrder]int
}

// BLEU returns BLEU-1..4 of the corpus and of each image, between 0 and 1.
//
// hyps holds one tokenised caption for each image and refs its tokenised references (see [Tokenize]). The reference
// length is the one closest to the caption's, the shorter of two equally close. Corpus BLEU comes from summed counts:
// it is not the mean of the images.
func BLEU(hyps []string, refs [][]string) (corpus [maxOrder]float64, images [][maxOrder]float64, err error) {
	c, err := newCorpus(hyps, refs)
	if err != nil {
		return corpus, nil, err
	}
	counts := c.bleu()
	images = make([][maxOrder]float64, len(hyps))
	for i := range counts {
		images[i] = counts[i].score()
	}
	return sumBLEU(counts, nil).score(), images, nil
}

// bleu counts each image.
func (c *captionCorpus) bleu() []bleuCounts {
	counts := make([]bleuCounts, len(c.hyps))
	parallel(len(counts), func(i int) { counts[i] = countBLEU(&c.hyps[i], c.refs[i]) })
	return counts
}

// sumBLEU adds up the counts of the images drawn; nil: of all.
func sumBLEU(counts []bleuCounts, draw []int) (total bleuCounts) {
	if draw == nil {
		for i := range counts {
			total.add(&counts[i])
		}
		return total
	}
	for _, i := range draw {
		total.add(&counts[i])
	}
	return total
}

func (c *bleuCounts) add(other *bleuCounts) {
	c.length += other.length
	c.refLength += other.refLength
	for n := range maxOrder {
		c.guess[n] += other.guess[n]
		c.correct[n] += other.correct[n]
	}
}

func countBLEU(hyp *sentence, refs []sentence) bleuCounts {
	c := bleuCounts{length: len(hyp.words), refLength: -1}
	most, at := make([]int, len(hyp.grams)), places(hyp.grams) // of the caption's n-grams, the largest count in one reference
	for j := range refs {
		if n := len(refs[j].words); c.refLength < 0 || closer(n, c.refLength, c.length) {
			c.refLength = n
		}
		for _, g := range refs[j].grams {
			if k, there := at[g.id]; there {
				most[k] = max(most[k], g.count)
			}
		}
	}
	for n := range maxOrder {
		c.guess[n] = max(0, len(hyp.words)-n)
	}
	for k, g := range hyp.grams {
		c.correct[g.order] += min(g.count, most[k])
	}
	return c
}

// closer tells whether length a is a better reference length than b for a caption of the given length.
func closer(a, b, length int) bool {
	da, db := max(a-length, length-a), max(b-length, length-b)
	return da < db || da == db && a < b
}

func (c bleuCounts) score() [maxOrder]float64 {
	var scores [maxOrder]float64
	penalty := 1.0
	if ratio := (float64(c.length) + bleuTiny) / (float64(c.refLength) + bleuSmall); ratio < 1 {
		penalty = math.Exp(1 - 1/ratio)
	}
	product := 1.0
	for n := range maxOrder {
		product *= (float64(c.correct[n]) + bleuTiny) / (float64(c.guess[n]) + bleuSmall)
		scores[n] = penalty * math.Pow(product, 1/float64(n+1))
	}
	return scores
}
