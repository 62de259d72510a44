package meteor

import "strings"

// stem is the stem of an English word by the second version of M. Porter's rules, known as Snowball's "english".
func stem(word string) string {
	if s, irregular := irregularStems[word]; irregular {
		return s
	}
	w := &stemming{word: []rune(word)}
	if len(w.word) < 3 {
		return word
	}
	w.prepare()
	w.plural()
	if !keptAfterPlural[string(w.word)] {
		w.past()
		w.finalY()
		w.longSuffix()
		w.shortSuffix()
		w.residue()
		w.finalE()
	}
	return strings.ReplaceAll(string(w.word), "Y", "y")
}

// irregularStems are words that the rules do not fit, with their stems.
var irregularStems = map[string]string{
	"skis": "ski", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "idly": "idl", "gently": "gentl",
	"ugly": "ugli", "early": "earli", "only": "onli", "singly": "singl", "sky": "sky", "news": "news", "howe": "howe",
	"atlas": "atlas", "cosmos": "cosmos", "bias": "bias", "andes": "andes",
}

var keptAfterPlural = map[string]bool{
	"inning": true, "outing": true, "canning": true, "herring": true, "earring": true, "proceed": true, "exceed": true, "succeed": true,
}

// stemming is a word on its way to its stem, with "Y" where y is a consonant. r1 is where the part behind the first
// consonant that follows a vowel begins, r2 where that part's own such part does.
type stemming struct {
	word   []rune
	r1, r2 int
}

func (w *stemming) prepare() {
	if w.word[0] == '\'' {
		w.word = w.word[1:]
	}
	for i, c := range w.word {
		if c == 'y' && (i == 0 || vowel(w.word[i-1])) {
			w.word[i] = 'Y'
		}
	}
	w.r1 = w.behindSyllable(0)
	for _, prefix := range []string{"gener", "commun", "arsen"} {
		if strings.HasPrefix(string(w.word), prefix) {
			w.r1 = len(prefix)
		}
	}
	w.r2 = w.behindSyllable(w.r1)
}

func vowel(c rune) bool { return strings.ContainsRune("aeiouy", c) }

// behindSyllable is where the part behind the first consonant after a vowel begins, from a place on; the word's end if
// there is none.
func (w *stemming) behindSyllable(from int) int {
	for i := from + 1; i < len(w.word); i++ {
		if vowel(w.word[i-1]) && !vowel(w.word[i]) {
			return i + 1
		}
	}
	return len(w.word)
}

// ending is the longest of some endings that the word has; "" if none.
func (w *stemming) ending(of ...string) string {
	best := ""
	for _, e := range of {
		if len(e) > len(best) && w.endsIn(e) {
			best = e
		}
	}
	return best
}

func (w *stemming) endsIn(e string) bool { // endings are ASCII
	n := len(w.word) - len(e)
	return n >= 0 && string(w.word[n:]) == e
}

// replace puts something in place of an ending.
func (w *stemming) replace(ending, by string) {
	w.word = append(w.word[:len(w.word)-len(ending)], []rune(by)...)
}

// within tells that an ending lies in the part from a place on.
func (w *stemming) within(ending string, from int) bool { return len(w.word)-len(ending) >= from }

// before is the character before an ending; 0 if there is none.
func (w *stemming) before(ending string) rune {
	if n := len(w.word) - len(ending); n > 0 {
		return w.word[n-1]
	}
	return 0
}

// vowelBefore tells that there is a vowel before the last n characters.
func (w *stemming) vowelBefore(n int) bool {
	for i := range len(w.word) - n {
		if vowel(w.word[i]) {
			return true
		}
	}
	return false
}

// shortSyllable tells that the first n characters end in a short syllable.
func (w *stemming) shortSyllable(n int) bool {
	if n == 2 {
		return vowel(w.word[0]) && !vowel(w.word[1])
	}
	return n > 2 && !vowel(w.word[n-3]) && vowel(w.word[n-2]) && !vowel(w.word[n-1]) && !strings.ContainsRune("wxY", w.word[n-1])
}

// plural is step 1a.
func (w *stemming) plural() {
	w.replace(w.ending("'", "'s", "'s'"), "")
	switch e := w.ending("sses", "ied", "ies", "us", "ss", "s"); e {
	case "sses":
		w.replace(e, "ss")
	case "ied", "ies":
		if len(w.word) > 4 {
			w.replace(e, "i")
		} else {
			w.replace(e, "ie")
		}
	case "s":
		if w.vowelBefore(2) {
			w.replace(e, "")
		}
	}
}

// past is step 1b.
func (w *stemming) past() {
	e := w.ending("eed", "eedly", "ed", "edly", "ing", "ingly")
	switch {
	case e == "":
		return
	case strings.HasPrefix(e, "ee"):
		if w.within(e, w.r1) {
			w.replace(e, "ee")
		}
		return
	case !w.vowelBefore(len(e)):
		return
	}
	w.replace(e, "")
	n := len(w.word)
	switch {
	case w.ending("at", "bl", "iz") != "":
		w.replace("", "e")
	case w.ending("bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt") != "":
		w.word = w.word[:n-1]
	case n <= w.r1 && w.shortSyllable(n):
		w.replace("", "e")
	}
}

// finalY is step 1c.
func (w *stemming) finalY() {
	if n := len(w.word); n > 2 && (w.word[n-1] == 'y' || w.word[n-1] == 'Y') && !vowel(w.word[n-2]) {
		w.word[n-1] = 'i'
	}
}

// longSuffixes are those of step 2, with what takes their place.
var longSuffixes = map[string]string{
	"tional": "tion", "enci": "ence", "anci": "ance", "abli": "able", "entli": "ent", "izer": "ize", "ization": "ize",
	"ational": "ate", "ation": "ate", "ator": "ate", "alism": "al", "aliti": "al", "alli": "al", "fulness": "ful",
	"ousli": "ous", "ousness": "ous", "iveness": "ive", "iviti": "ive", "biliti": "ble", "bli": "ble", "ogi": "og",
	"fulli": "ful", "lessli": "less", "li": "",
}

func (w *stemming) longSuffix() {
	e := w.longestOf(longSuffixes)
	switch {
	case e == "" || !w.within(e, w.r1):
	case e == "ogi" && w.before(e) != 'l':
	case e == "li" && !strings.ContainsRune("cdeghkmnrt", w.before(e)):
	default:
		w.replace(e, longSuffixes[e])
	}
}

// shortSuffixes are those of step 3.
var shortSuffixes = map[string]string{
	"tional": "tion", "ational": "ate", "alize": "al", "icate": "ic", "iciti": "ic", "ical": "ic", "ful": "", "ness": "", "ative": "",
}

func (w *stemming) shortSuffix() {
	e := w.longestOf(shortSuffixes)
	if e == "" || !w.within(e, w.r1) || e == "ative" && !w.within(e, w.r2) {
		return
	}
	w.replace(e, shortSuffixes[e])
}

func (w *stemming) longestOf(suffixes map[string]string) string {
	best := ""
	for e := range suffixes {
		if len(e) > len(best) && w.endsIn(e) {
			best = e
		}
	}
	return best
}

// residue is step 4.
func (w *stemming) residue() {
	e := w.ending("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ism", "ate", "iti", "ous", "ive", "ize", "ion")
	if e == "" || !w.within(e, w.r2) || e == "ion" && w.before(e) != 's' && w.before(e) != 't' {
		return
	}
	w.replace(e, "")
}

// finalE is step 5.
func (w *stemming) finalE() {
	switch e := w.ending("e", "l"); e {
	case "e":
		if w.within(e, w.r2) || w.within(e, w.r1) && !w.shortSyllable(len(w.word)-1) {
			w.replace(e, "")
		}
	case "l":
		if w.within(e, w.r2) && w.before(e) == 'l' {
			w.replace(e, "")
		}
	}
}
