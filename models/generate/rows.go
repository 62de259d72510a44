package generate

import "slices"

// Rows lays sequences out as transformers returns them: prompt, new tokens, and then a filler up to
// the longest. The filler is pad, but beam search fills with the end token where pad is 0, as it is
// in BLIP and T5.
func (o *Options) Rows(prompts [][]int32, sequences []Sequence, pad int32) [][]int32 {
	if o.NumBeams > 1 && pad == 0 {
		pad = int32(o.EOSTokenID)
	}
	rows, longest := make([][]int32, len(sequences)), 0
	for i, s := range sequences {
		rows[i] = slices.Concat(prompts[i], s.IDs)
		longest = max(longest, len(rows[i]))
	}
	for i, row := range rows {
		rows[i] = append(row, slices.Repeat([]int32{pad}, longest-len(row))...)
	}
	return rows
}
