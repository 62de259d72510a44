package eval

import (
	"fmt"
	"slices"
)

// notRanked is the score of the pairs that were not looked at: after all others, as in the papers' evaluation.
const notRanked = -100

// ReRank scores the best candidates again with image-text matching, as BLIP and BLIP-2 do for retrieval (the k best
// texts of each image and the k best images of each text by contrastive similarity; matching logit + similarity for
// those, -100 for all others).
//
// similarities is [images][texts]. itm returns the matching logit of each of the given texts with one image; it is
// called once for each image that has candidates, so that the image is encoded once, with the texts of both directions
// in ascending order. It returns imageToText [images][texts] and textToImage [texts][images]: two matrices, because a
// pair may be a candidate in one direction only.
func ReRank(similarities [][]float32, itm func(image int, texts []int) ([]float32, error), k int) (
	imageToText, textToImage [][]float32, err error) {
	if k < 1 {
		return nil, nil, fmt.Errorf("re-ranking needs k of at least 1, got %d", k)
	}
	texts := 0
	if len(similarities) > 0 {
		texts = len(similarities[0])
	}
	if err := checkScores(similarities, "image", len(similarities), "text", texts); err != nil {
		return nil, nil, err
	}
	textsOfImage := make([][]int, len(similarities)) // candidates of image -> text
	imagesOfText := make([][]int, texts)             // candidates of text -> image
	wanted := make([][]int, len(similarities))       // the texts of both, by image
	for i, row := range similarities {
		textsOfImage[i] = Top(row, k)
		wanted[i] = slices.Clone(textsOfImage[i])
	}
	for t, column := range Transpose(similarities) {
		imagesOfText[t] = Top(column, k)
		for _, i := range imagesOfText[t] {
			wanted[i] = append(wanted[i], t)
		}
	}
	imageToText, textToImage = filled(len(similarities), texts), filled(texts, len(similarities))
	for i := range similarities {
		slices.Sort(wanted[i])
		pairs := slices.Compact(wanted[i])
		logits, err := itm(i, pairs)
		if err != nil {
			return nil, nil, fmt.Errorf("matching image %d: %w", i, err)
		}
		if len(logits) != len(pairs) {
			return nil, nil, fmt.Errorf("matching image %d: %d logits for %d texts", i, len(logits), len(pairs))
		}
		for p, t := range pairs {
			score := logits[p] + similarities[i][t]
			if slices.Contains(textsOfImage[i], t) {
				imageToText[i][t] = score
			}
			if slices.Contains(imagesOfText[t], i) {
				textToImage[t][i] = score
			}
		}
	}
	return imageToText, textToImage, nil
}

// Top returns the indices of the k largest scores, largest first and the lower index first among equal ones.
func Top(scores []float32, k int) []int {
	indices := make([]int, len(scores))
	for i := range indices {
		indices[i] = i
	}
	slices.SortStableFunc(indices, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	return indices[:min(k, len(indices))]
}

func filled(rows, columns int) [][]float32 {
	m := make([][]float32, rows)
	for r := range m {
		m[r] = slices.Repeat([]float32{notRanked}, columns)
	}
	return m
}
