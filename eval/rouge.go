package eval

import "strings"

// rougeBeta weighs recall against precision.
const rougeBeta = 1.2

// ROUGEL returns ROUGE-L of the corpus (the mean over images) and of each image, between 0 and 1.
//
// As in coco-caption the best precision and the best recall may come from different references, and captions are
// split at single spaces, so that an empty caption is one empty token.
func ROUGEL(hyps []string, refs [][]string) (corpus float64, images []float64, err error) {
	c, err := newCorpus(hyps, refs)
	if err != nil {
		return 0, nil, err
	}
	images = c.rouge()
	return meanOf(images, nil), images, nil
}

func (c *captionCorpus) rouge() []float64 {
	images := make([]float64, len(c.hyps))
	parallel(len(images), func(i int) {
		words := strings.Split(c.hyps[i].text, " ")
		precision, recall := 0.0, 0.0
		for _, ref := range c.refs[i] {
			refWords := strings.Split(ref.text, " ")
			common := float64(longestCommonSubsequence(words, refWords))
			precision = max(precision, common/float64(len(words)))
			recall = max(recall, common/float64(len(refWords)))
		}
		if precision != 0 && recall != 0 {
			images[i] = (1 + rougeBeta*rougeBeta) * precision * recall / (recall + rougeBeta*rougeBeta*precision)
		}
	})
	return images
}

// longestCommonSubsequence returns the length of the longest sequence of words that both hold in order.
func longestCommonSubsequence(a, b []string) int {
	previous, current := make([]int, len(b)+1), make([]int, len(b)+1)
	for _, x := range a {
		for j, y := range b {
			if x == y {
				current[j+1] = previous[j] + 1
			} else {
				current[j+1] = max(previous[j+1], current[j])
			}
		}
		previous, current = current, previous
	}
	return previous[len(b)]
}
