package eval

import (
	"fmt"
	"math"
	"slices"
)

// Float is the type of a score.
type Float interface{ ~float32 | ~float64 }

// TieRule says what becomes of a right answer whose score equals that of wrong ones.
type TieRule int

const (
	// Pessimistic counts ties against the right answer: a model that gives all pairs the same score finds nothing.
	// It is the rule of [Recalls].
	Pessimistic TieRule = iota
	// Optimistic counts ties for the right answer.
	Optimistic
	// Stable puts the higher index first among equal scores, which is what the papers' evaluation does when its
	// sort is made stable.
	Stable
)

// Recall is the share of queries, in percent, whose best-ranked right answer is among the first 1, 5 and 10.
type Recall struct {
	R1  float64 `json:"r1"`
	R5  float64 `json:"r5"`
	R10 float64 `json:"r10"`
}

// Recalls returns the recalls of image-to-text and text-to-image retrieval under the pessimistic tie rule.
// scores is [images][texts]; imageOfText[t] is the image that text t describes. With several texts to an image the
// best-ranked one counts.
func Recalls[F Float](scores [][]F, imageOfText []int) (imageToText, textToImage Recall, err error) {
	i2t, err := ImageToTextRanks(scores, imageOfText, Pessimistic)
	if err != nil {
		return Recall{}, Recall{}, err
	}
	t2i, err := TextToImageRanks(Transpose(scores), imageOfText, Pessimistic)
	if err != nil {
		return Recall{}, Recall{}, err
	}
	return RecallOf(i2t), RecallOf(t2i), nil
}

// ImageToTextRanks returns for each image how many texts rank before its best-ranked own text; 0 is a hit at 1.
// scores is [images][texts].
func ImageToTextRanks[F Float](scores [][]F, imageOfText []int, ties TieRule) ([]int, error) {
	if err := checkScores(scores, "image", len(scores), "text", len(imageOfText)); err != nil {
		return nil, err
	}
	texts := make([][]int, len(scores))
	for t, i := range imageOfText {
		if i < 0 || i >= len(scores) {
			return nil, fmt.Errorf("text %d describes image %d, but there are %d images", t, i, len(scores))
		}
		texts[i] = append(texts[i], t)
	}
	ranks := make([]int, len(scores))
	for i, row := range scores {
		if len(texts[i]) == 0 {
			return nil, fmt.Errorf("image %d has no text", i)
		}
		ranks[i] = rank(row, texts[i], ties)
	}
	return ranks, nil
}

// TextToImageRanks returns for each text how many images rank before its own; 0 is a hit at 1.
// scores is [texts][images].
func TextToImageRanks[F Float](scores [][]F, imageOfText []int, ties TieRule) ([]int, error) {
	images := 0
	if len(scores) > 0 {
		images = len(scores[0])
	}
	if err := checkScores(scores, "text", len(imageOfText), "image", images); err != nil {
		return nil, err
	}
	ranks := make([]int, len(scores))
	for t, row := range scores {
		if i := imageOfText[t]; i < 0 || i >= images {
			return nil, fmt.Errorf("text %d describes image %d, but there are %d images", t, i, images)
		}
		ranks[t] = rank(row, imageOfText[t:t+1], ties)
	}
	return ranks, nil
}

// rank returns how many entries of row come before the best of the right ones. right is in ascending order.
func rank[F Float](row []F, right []int, ties TieRule) int {
	best := right[0]
	for _, i := range right {
		if row[i] >= row[best] {
			best = i
		}
	}
	before, next := 0, 0
	for i, score := range row {
		if next < len(right) && right[next] == i { // a right answer never stands in the way of another
			next++
			continue
		}
		switch {
		case score > row[best], score == row[best] && (ties == Pessimistic || ties == Stable && i > best):
			before++
		}
	}
	return before
}

// RecallOf turns ranks into recalls in percent.
func RecallOf(ranks []int) Recall {
	return Recall{R1: shareWithin(ranks, 1), R5: shareWithin(ranks, 5), R10: shareWithin(ranks, 10)}
}

// MedianRank is the median of ranks, counted from 1; of an even number the mean of the two in the middle.
func MedianRank(ranks []int) float64 {
	if len(ranks) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(ranks))
	n := len(sorted)
	return float64(sorted[(n-1)/2]+sorted[n/2])/2 + 1
}

// ChanceRecall returns the recall of random ranking, in percent, with the given number of candidates of which right are
// right answers.
func ChanceRecall(candidates, right int) Recall {
	return Recall{R1: chanceAt(candidates, right, 1), R5: chanceAt(candidates, right, 5), R10: chanceAt(candidates, right, 10)}
}

func chanceAt(candidates, right, k int) float64 {
	miss := 1.0 // none of the first k is right
	for i := range min(k, candidates) {
		miss *= max(0, float64(candidates-right-i)) / float64(candidates-i)
	}
	return 100 * (1 - miss)
}

func shareWithin(ranks []int, k int) float64 {
	hits := 0
	for _, r := range ranks {
		if r < k {
			hits++
		}
	}
	if len(ranks) == 0 {
		return 0
	}
	return 100 * float64(hits) / float64(len(ranks))
}

// RecallInterval returns recall at k in percent with its bootstrap interval. groupOf[q] names the picture that query q
// belongs to; nil means that every query is one of its own.
func RecallInterval(ranks []int, k int, groupOf []int, seed uint64) Interval {
	values := make([]float64, len(ranks))
	for q, r := range ranks {
		if r < k {
			values[q] = 100
		}
	}
	if groupOf == nil {
		return Bootstrap(values, seed)
	}
	groups := map[int]int{} // picture -> its index among the groups, in order of appearance
	var grouped [][]float64
	for q, v := range values {
		g, seen := groups[groupOf[q]]
		if !seen {
			g = len(grouped)
			groups[groupOf[q]] = g
			grouped = append(grouped, nil)
		}
		grouped[g] = append(grouped[g], v)
	}
	return BootstrapGroups(grouped, seed)
}

// Transpose turns [rows][columns] into [columns][rows].
func Transpose[F Float](scores [][]F) [][]F {
	if len(scores) == 0 {
		return nil
	}
	columns := make([][]F, len(scores[0]))
	flat := make([]F, len(scores[0])*len(scores))
	for c := range columns {
		columns[c] = flat[c*len(scores) : (c+1)*len(scores)]
	}
	for r, row := range scores {
		for c := range min(len(row), len(columns)) {
			columns[c][r] = row[c]
		}
	}
	return columns
}

// checkScores refuses what no rank can be told of: no scores at all, a wrong shape, not-a-number.
func checkScores[F Float](scores [][]F, rowName string, rows int, columnName string, columns int) error {
	if rows == 0 || columns == 0 {
		return fmt.Errorf("no scores: %d %ss and %d %ss", rows, rowName, columns, columnName)
	}
	if len(scores) != rows {
		return fmt.Errorf("scores have %d rows, want one for each of %d %ss", len(scores), rows, rowName)
	}
	for r, row := range scores {
		if len(row) != columns {
			return fmt.Errorf("scores of %s %d: %d numbers, want one for each of %d %ss",
				rowName, r, len(row), columns, columnName)
		}
		for c, score := range row {
			if math.IsNaN(float64(score)) {
				return fmt.Errorf("score of %s %d and %s %d is not a number", rowName, r, columnName, c)
			}
		}
	}
	return nil
}
