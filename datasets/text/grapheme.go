package text

import "unicode/utf8"

// graphemeKind is the Grapheme_Cluster_Break property of a rune, and whether it is a pictograph.
type graphemeKind uint8

const (
	otherKind graphemeKind = iota
	crKind
	lfKind
	breakKind // Control: stands alone
	extendKind
	joinerKind // ZWJ
	spacingKind
	prependKind
	flagKind // regional indicator: two of them are a flag
	hangulL
	hangulV
	hangulT
	hangulLV
	hangulLVT
	pictureKind
)

func (c runeClass) grapheme() graphemeKind { return graphemeKind(c >> graphemeShift & 15) }

// graphemeLen returns the length of the first extended grapheme cluster of s (UAX 29): what a
// reader takes for one character, such as a letter with its accents. s is not empty.
func graphemeLen(s string) int {
	r, end := utf8.DecodeRuneInString(s)
	class := classOf(r)
	before := class.grapheme()
	picture, joined := before == pictureKind, false        // GB11: pictographs around a joiner
	consonant, linked := class&consonantBit != 0, false    // GB9c: consonants around a linker
	for flags := btoi(before == flagKind); end < len(s); { // GB12: pairs of indicators
		r, size := utf8.DecodeRuneInString(s[end:])
		class = classOf(r)
		kind := class.grapheme()
		switch {
		case before == crKind && kind == lfKind:
		case before >= crKind && before <= breakKind, kind >= crKind && kind <= breakKind:
			return end
		case kind == extendKind, kind == joinerKind, kind == spacingKind, before == prependKind:
		case before == hangulL && (kind == hangulL || kind == hangulV || kind == hangulLV || kind == hangulLVT):
		case (before == hangulLV || before == hangulV) && (kind == hangulV || kind == hangulT):
		case (before == hangulLVT || before == hangulT) && kind == hangulT:
		case linked && class&consonantBit != 0:
		case joined && kind == pictureKind:
		case before == flagKind && kind == flagKind && flags%2 == 1:
		default:
			return end
		}
		flags += btoi(kind == flagKind)
		joined = picture && kind == joinerKind
		picture = kind == pictureKind || picture && kind == extendKind
		linked = linked && (kind == extendKind || kind == joinerKind) || consonant && class&linkerBit != 0
		consonant = class&consonantBit != 0 || consonant && (kind == extendKind || kind == joinerKind)
		before = kind
		end += size
	}
	return end
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
