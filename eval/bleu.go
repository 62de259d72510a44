package eval

import (
	"math"
	"math/rand/v2"
	"strings"
)

// maxOrder is the longest n-gram that BLEU and CIDEr count.
const maxOrder = 4

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
	if err := checkCaptions(hyps, refs); err != nil {
		return corpus, nil, err
	}
	var total bleuCounts
	images = make([][maxOrder]float64, len(hyps))
	for i, hyp := range hyps {
		c := countBLEU(hyp, refs[i])
		images[i] = c.score()
		total.add(c)
	}
	return total.score(), images, nil
}

// BLEU4Interval returns BLEU-4 of the corpus with its percentile bootstrap interval: images are drawn, and their counts
// summed, because corpus BLEU is not a mean. Captions and references are as written by people.
func BLEU4Interval(hyps []string, refs [][]string, seed uint64) (Interval, error) {
	if err := checkCaptions(hyps, refs); err != nil {
		return Interval{}, err
	}
	counts := make([]bleuCounts, len(hyps))
	var total bleuCounts
	for i, hyp := range hyps {
		tokens := make([]string, len(refs[i]))
		for j, ref := range refs[i] {
			tokens[j] = Tokenize(ref)
		}
		counts[i] = countBLEU(Tokenize(hyp), tokens)
		total.add(counts[i])
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	scores := make([]float64, bootstrapResamples)
	for r := range scores {
		var drawn bleuCounts
		for range counts {
			drawn.add(counts[rng.IntN(len(counts))])
		}
		scores[r] = drawn.score()[maxOrder-1]
	}
	return percentiles(total.score()[maxOrder-1], scores), nil
}

func (c *bleuCounts) add(other bleuCounts) {
	c.length += other.length
	c.refLength += other.refLength
	for n := range maxOrder {
		c.guess[n] += other.guess[n]
		c.correct[n] += other.correct[n]
	}
}

func countBLEU(hyp string, refs []string) bleuCounts {
	words := strings.Fields(hyp)
	c := bleuCounts{length: len(words), refLength: -1}
	most := map[string]int{} // n-gram -> its largest count in one reference
	for _, ref := range refs {
		refWords := strings.Fields(ref)
		if n := len(refWords); c.refLength < 0 || closer(n, c.refLength, c.length) {
			c.refLength = n
		}
		for _, g := range countNGrams(refWords) {
			most[g.text] = max(most[g.text], g.count)
		}
	}
	for n := range maxOrder {
		c.guess[n] = max(0, len(words)-n)
	}
	for _, g := range countNGrams(words) {
		c.correct[g.order] += min(g.count, most[g.text])
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

// nGram is a run of order+1 words and how often it occurs.
type nGram struct {
	text  string
	order int // number of words - 1
	count int
}

// countNGrams lists the n-grams of all orders in the order of their first occurrence, so that sums over them do not
// depend on the order of a map.
func countNGrams(words []string) []nGram {
	var grams []nGram
	index := map[string]int{}
	for order := range maxOrder {
		for start := 0; start+order < len(words); start++ {
			text := strings.Join(words[start:start+order+1], " ")
			at, seen := index[text]
			if !seen {
				at = len(grams)
				index[text] = at
				grams = append(grams, nGram{text: text, order: order})
			}
			grams[at].count++
		}
	}
	return grams
}
