package eval

import "fmt"

// CaptionScores holds the caption metrics of a corpus or of one image, under coco-caption's names.
type CaptionScores struct {
	BLEU1  float64 `json:"Bleu_1"`
	BLEU2  float64 `json:"Bleu_2"`
	BLEU3  float64 `json:"Bleu_3"`
	BLEU4  float64 `json:"Bleu_4"`
	ROUGEL float64 `json:"ROUGE_L"`
	CIDEr  float64 `json:"CIDEr"`
}

// Captions tokenises captions and their references as written by people and returns the metrics of the corpus and of
// each image. hyps[i] is the caption of image i and refs[i] its references, at least one.
func Captions(hyps []string, refs [][]string) (corpus CaptionScores, images []CaptionScores, err error) {
	tokenHyps, tokenRefs := make([]string, len(hyps)), make([][]string, len(refs))
	for i, hyp := range hyps {
		tokenHyps[i] = Tokenize(hyp)
	}
	for i, imageRefs := range refs {
		for _, ref := range imageRefs {
			tokenRefs[i] = append(tokenRefs[i], Tokenize(ref))
		}
	}
	return TokenizedCaptions(tokenHyps, tokenRefs)
}

// TokenizedCaptions is [Captions] for texts that were tokenised already: tokens joined by single spaces.
func TokenizedCaptions(hyps []string, refs [][]string) (corpus CaptionScores, images []CaptionScores, err error) {
	bleu, imageBLEU, err := BLEU(hyps, refs)
	if err != nil {
		return corpus, nil, err
	}
	rouge, imageROUGE, err := ROUGEL(hyps, refs)
	if err != nil {
		return corpus, nil, err
	}
	cider, imageCIDEr, err := CIDEr(hyps, refs)
	if err != nil {
		return corpus, nil, err
	}
	images = make([]CaptionScores, len(hyps))
	for i := range images {
		images[i] = captionScores(imageBLEU[i], imageROUGE[i], imageCIDEr[i])
	}
	return captionScores(bleu, rouge, cider), images, nil
}

func captionScores(bleu [maxOrder]float64, rouge, cider float64) CaptionScores {
	return CaptionScores{BLEU1: bleu[0], BLEU2: bleu[1], BLEU3: bleu[2], BLEU4: bleu[3], ROUGEL: rouge, CIDEr: cider}
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
