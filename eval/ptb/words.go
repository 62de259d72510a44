package ptb

import (
	"strings"
	"unicode"
)

// joinedWords are written as one word and counted as two: where the second begins.
var joinedWords = map[string]int{"cannot": 3, "gonna": 3, "gotta": 3, "lemme": 3, "gimme": 3, "wanna": 3}

// capitalOnly are abbreviations that must begin with a capital.
var capitalOnly = map[string]bool{}

// Abbreviations keep their point. Some may end a sentence, then there is a point more, which does not count; some
// never do; some are abbreviations before a number only.
const (
	mayEnd = iota + 1
	neverEnds
	beforeNumber
)

// Those written with a capital here are words in small letters (a miss, to wash).
var abbreviations = func() map[string]int {
	table := map[string]int{}
	for kind, words := range map[int]string{
		mayEnd: `al ala apr ariz Ark assn aug Az bancorp bhd bldg blvd bros calif co colo conn corp cos ct dak dec Del esq est
			etc ext feb fla fri ga Ill inc ind intl jan jr jul jun kan kans ky La ltd mar Mass md mich minn Miss mo mon mont
			neb nev nov oct okla Ore Pa penn plc ppte ppty pptys pte ptes pty ptys rd rt sep sept seq sq sr sys tel tenn Tex
			thu thurs tue tues univ va vt Wash wed wis wisc wyo`,
		neverEnds: `adj adm adv alex assoc asst atty attys ave brig capt cf cie cmdr col comdr cpl dept det dr drs elec ens ft gen
			gov govs hon insp invt jos lieut lt maj messrs mfg mlle mme mr mrs ms msgr mt mtg natl pfc ph pres prof profs
			pvt rep reps rev sen sens sfc sgt spc st ste supt supts treas vs wm`,
		beforeNumber: `ca no op pp art fig nos figs prop`,
	} {
		for word := range strings.FieldsSeq(words) {
			table[strings.ToLower(word)] = kind
			if unicode.IsUpper(rune(word[0])) {
				capitalOnly[strings.ToLower(word)] = true
			}
		}
	}
	return table
}()

// sentenceStarts are words that begin a sentence: behind "I." or "U.S." they make the point one of the sentence.
var sentenceStarts = func() map[string]bool {
	table := map[string]bool{}
	for word := range strings.FieldsSeq(`A About According Additionally After An As At But Earlier He Her Here However If In
		It Last Many More Mr. Ms. Now Once One Other Our She Since So Some Such That The Their Then There These They This We
		What When While Yet You`) {
		table[word] = true
	}
	return table
}()

// abbreviation is the kind of a word as it is written before its point; 0 if it is none.
func abbreviation(word string) int {
	lower := strings.ToLower(word)
	if capitalOnly[lower] && word[0] == lower[0] {
		return 0
	}
	return abbreviations[lower]
}
