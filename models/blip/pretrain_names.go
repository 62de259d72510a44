package blip

import "regexp"

var (
	momentumName = regexp.MustCompile(`^(visual_encoder|text_encoder|vision_proj|text_proj)_m\.`)
	sharedName   = regexp.MustCompile(`^text_decoder\.bert\.(embeddings\..*|encoder\.layer\.\d+\.(crossattention|intermediate|output)\..*)$`)
)

// FromPretraining gives our name of a tensor of the BLIP source's pre-training checkpoint. shared is
// true for the decoder's second copies of what it shares with the encoder, whose name they get; hf is
// "" for counters and for the word head's copies of the word table and its bias.
func FromPretraining(name string) (hf string, shared bool) {
	hf, keep := FromOriginal(name)
	if !keep {
		return "", false
	}
	if found := momentumName.FindStringSubmatch(name); found != nil {
		hf, _ = FromPretraining(found[1] + "." + name[len(found[0]):])
		return "momentum." + hf, false
	}
	if found := sharedName.FindStringSubmatch(name); found != nil {
		return "text_encoder." + found[1], true
	}
	return hf, false
}
