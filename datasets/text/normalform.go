package text

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalForm brings s into a Unicode normalization form, as the reference does. What Go's tables
// hold for normal already is so for the reference's older ones, which know a part of theirs.
func normalForm(form norm.Form, s string) string {
	if isASCII(s) || form.IsNormalString(s) {
		return s
	}
	marks := 0
	for _, r := range s {
		if r < utf8.RuneSelf {
			marks = 0
			continue
		}
		ccc, newer := combining(r)
		if marks++; ccc == 0 {
			marks = 0
		}
		if newer || marks > maxMarks {
			return carefulForm(form, s)
		}
	}
	return form.String(s)
}

// maxMarks is how many marks in a row the fast way may meet, fewer than the 30 after which it
// inserts a joiner, which the reference does not. A letter may hold three more.
const maxMarks = 20

// combining returns the combining class of a rune: 0 for what marks cannot be moved over. newer
// tells that Go's tables do something to a rune that the reference does nothing to.
func combining(r rune) (ccc uint8, newer bool) {
	var buf [utf8.UTFMax]byte
	p := norm.NFKD.Properties(buf[:utf8.EncodeRune(buf[:], r)])
	if classOf(r)&inertBit != 0 {
		return 0, p.CCC() != 0 || p.Decomposition() != nil || !norm.NFC.Properties(buf[:]).BoundaryBefore()
	}
	return p.CCC(), false
}

// carefulForm is normalForm rune by rune: decompose, order the marks, compose.
func carefulForm(form norm.Form, s string) string {
	compatible := form == norm.NFKC || form == norm.NFKD
	type mark struct {
		r   rune
		ccc uint8
	}
	var all []mark
	for _, r := range s {
		if classOf(r)&inertBit != 0 {
			all = append(all, mark{r, 0})
			continue
		}
		parts := norm.NFD.String(string(r))
		if compatible {
			parts = norm.NFKD.String(string(r))
		}
		for _, part := range parts {
			ccc, _ := combining(part)
			all = append(all, mark{part, ccc})
		}
	}
	for i := 0; i < len(all); i++ {
		first := i
		for i < len(all) && all[i].ccc != 0 {
			i++
		}
		slices.SortStableFunc(all[first:i], func(a, b mark) int { return int(a.ccc) - int(b.ccc) })
	}
	if form == norm.NFC || form == norm.NFKC {
		kept, starter := all[:0], -1
		last := uint8(0) // class of the mark before, among those behind the starter
		for _, m := range all {
			if starter >= 0 && (last < m.ccc || len(kept) == starter+1) {
				if r, ok := compose(kept[starter].r, m.r); ok {
					kept[starter].r = r
					continue
				}
			}
			if last = m.ccc; m.ccc == 0 {
				starter = len(kept)
			}
			kept = append(kept, m)
		}
		all = kept
	}
	out := make([]byte, 0, len(s))
	for _, m := range all {
		out = utf8.AppendRune(out, m.r)
	}
	return string(out)
}

// compose returns the rune that a and b are together, if there is one.
func compose(a, b rune) (rune, bool) {
	if classOf(a)&inertBit != 0 || classOf(b)&inertBit != 0 {
		return 0, false
	}
	s := norm.NFC.String(string(a) + string(b))
	r, size := utf8.DecodeRuneInString(s)
	return r, size == len(s)
}
