package infer

import (
	"goblip/checkpoints"
)

// Tensors that some files have twice, under the second name of a tied weight.
var (
	blipCopies = map[string]string{
		"text_decoder.cls.predictions.decoder.weight": "text_decoder.bert.embeddings.word_embeddings.weight",
		"text_decoder.cls.predictions.decoder.bias":   "text_decoder.cls.predictions.bias",
	}
	optCopies = map[string]string{
		"lm_head.weight": "model.decoder.embed_tokens.weight",
	}
)

// OPTCopies checks that the head of an OPT, whose names in the folder begin with prefix, is a copy of its
// table, and returns the test that leaves such copies and position numbers out.
func OPTCopies(folder *checkpoints.Folder, prefix string) (leaveOut func(name string) bool, err error) {
	copies := map[string]string{}
	for second, first := range optCopies {
		copies[prefix+second] = prefix + first
	}
	return knownCopies(folder, copies)
}

// knownCopies checks that second copies in a folder are equal to the first, and returns the test that
// leaves them out: a head that differs from the table is none that we build.
func knownCopies(folder *checkpoints.Folder, copies map[string]string) (leaveOut func(name string) bool, err error) {
	for second, first := range copies {
		if folder.File(second) != nil && folder.File(first) != nil {
			if err := sameTensor(folder, second, first); err != nil {
				return nil, err
			}
		}
	}
	return func(name string) bool { return copies[name] != "" || IsPositionIDs(name) }, nil
}
