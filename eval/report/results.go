package report

import (
	"encoding/json"
	"fmt"
)

// Results are the figures of results.json. A figure that was not computed is nil and absent from the file. Recalls and
// accuracies are in percent; CIDEr (0 to 10) and BLEU-4 (0 to 1) are on coco-caption's scale.
type Results struct {
	TestImages int `json:"test_images,omitempty"`
	TestTexts  int `json:"test_texts,omitempty"`

	ImageToTextR1    *float64 `json:"image_to_text_r1,omitempty"` // ITC
	TextToImageR1    *float64 `json:"text_to_image_r1,omitempty"`
	ImageToTextR1ITM *float64 `json:"image_to_text_r1_itm,omitempty"` // ITC, the best re-ranked by ITM
	TextToImageR1ITM *float64 `json:"text_to_image_r1_itm,omitempty"`

	CaptionFigures

	// QuestionBlindAccuracy is what an answerer reaches that does not see the pictures.
	QuestionBlindAccuracy *float64 `json:"question_blind_accuracy,omitempty"`

	// WithoutStage1 holds the figures of the ablation: stage 2 on a Q-Former that skipped stage 1.
	WithoutStage1 *CaptionFigures `json:"without_stage1,omitempty"`
	// ShortStage2 and ShortWithoutStage1 are the same comparison where stage 2 is short.
	ShortStage2        *CaptionFigures `json:"short_stage2,omitempty"`
	ShortWithoutStage1 *CaptionFigures `json:"short_stage2_without_stage1,omitempty"`

	ClipImageToTextR1 *float64 `json:"clip_image_to_text_r1,omitempty"` // the frozen image encoder's own recalls
	ClipTextToImageR1 *float64 `json:"clip_text_to_image_r1,omitempty"`

	ChanceImageToTextR1 *float64 `json:"chance_image_to_text_r1,omitempty"`
	ChanceTextToImageR1 *float64 `json:"chance_text_to_image_r1,omitempty"`

	Seconds         map[string]float64 `json:"seconds,omitempty"` // by phase
	PeakMemoryBytes uint64             `json:"peak_memory_bytes,omitempty"`
	Backend         string             `json:"backend,omitempty"`
	Devices         int                `json:"devices,omitempty"`
	Seed            int64              `json:"seed"`
}

// CaptionFigures are the figures of generated text.
type CaptionFigures struct {
	CaptionCIDEr             *float64           `json:"caption_cider,omitempty"`
	CaptionBLEU4             *float64           `json:"caption_bleu4,omitempty"`
	CaptionAttributeAccuracy *float64           `json:"caption_attribute_accuracy,omitempty"`
	CaptionAttributes        map[string]float64 `json:"caption_attributes,omitempty"` // by attribute
	QuestionAccuracy         *float64           `json:"question_accuracy,omitempty"`
	QuestionKinds            map[string]float64 `json:"question_kinds,omitempty"` // by kind of question
}

// WriteResults writes results.json, replacing it in one step.
func WriteResults(path string, r *Results) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil { // not-a-number, for one
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeFile(path, append(b, '\n'))
}

// Headlines turns the figures that are there into the large figures of the page.
func (r *Results) Headlines() []Headline {
	var list []Headline
	add := func(label string, value *float64, format, note string, against *float64) {
		if value == nil {
			return
		}
		h := Headline{Label: label, Value: fmt.Sprintf(format, *value)}
		if against != nil {
			h.Note = fmt.Sprintf("%s %s", note, formatPercent(*against))
		}
		list = append(list, h)
	}
	add("Picture to text, first hit", r.ImageToTextR1, "%.1f %%", "chance", r.ChanceImageToTextR1)
	add("Text to picture, first hit", r.TextToImageR1, "%.1f %%", "chance", r.ChanceTextToImageR1)
	add("Caption attributes right", r.CaptionAttributeAccuracy, "%.1f %%", "", nil)
	add("Caption CIDEr", r.CaptionCIDEr, "%.2f", "", nil)
	add("Questions answered right", r.QuestionAccuracy, "%.1f %%", "blind", r.QuestionBlindAccuracy)
	if with, without := r.ShortStage2, r.ShortWithoutStage1; with != nil && without != nil {
		add("Attributes, short stage 2", with.CaptionAttributeAccuracy, "%.1f %%", "without stage 1:", without.CaptionAttributeAccuracy)
	}
	if w := r.WithoutStage1; w != nil {
		for i := range list {
			switch {
			case list[i].Label == "Caption attributes right" && w.CaptionAttributeAccuracy != nil:
				list[i].Note = "without stage 1: " + formatPercent(*w.CaptionAttributeAccuracy)
			case list[i].Label == "Caption CIDEr" && w.CaptionCIDEr != nil:
				list[i].Note = fmt.Sprintf("without stage 1: %.2f", *w.CaptionCIDEr)
			}
		}
	}
	return list
}
