package eval

import (
	"strings"
	"sync"
	"unicode"
)

// VQAAnswer brings an answer to the form in which the official VQA evaluation compares answers: punctuation, case,
// numbers to ten as digits, no articles, apostrophes in contractions.
func VQAAnswer(answer string) string {
	return vqaWords(vqaPunctuation(vqaStrip(answer)))
}

// vqaStrip is done to every answer, the others of [VQAAnswer] only where people disagree.
func vqaStrip(answer string) string {
	return strings.TrimFunc(strings.NewReplacer("\n", " ", "\t", " ").Replace(answer), isPythonSpace)
}

// isPythonSpace is what Python's str.strip and str.split take for white space.
func isPythonSpace(c rune) bool { return unicode.IsSpace(c) || 0x1c <= c && c <= 0x1f }

// vqaMarks are replaced one after the other, in this order.
const vqaMarks = ";/[]\"{}()=+\\_->" + "<@`,?!"

// vqaPunctuation drops a mark that stands beside a space, and all marks where a comma stands between two digits; other
// marks become spaces. Points go unless a digit follows, but no more than 32: the original passes a flag of that value
// as the count.
func vqaPunctuation(answer string) string {
	out, numbers := answer, hasDigitComma(answer)
	for _, mark := range vqaMarks {
		m := string(mark)
		if numbers || strings.Contains(answer, m+" ") || strings.Contains(answer, " "+m) {
			out = strings.ReplaceAll(out, m, "")
		} else {
			out = strings.ReplaceAll(out, m, " ")
		}
	}
	const mostPoints = 32
	var b strings.Builder
	runes, removed := []rune(out), 0
	for i, c := range runes {
		if c == '.' && removed < mostPoints && (i+1 == len(runes) || !unicode.IsDigit(runes[i+1])) {
			removed++
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

func hasDigitComma(s string) bool {
	runes := []rune(s)
	for i := 1; i+1 < len(runes); i++ {
		if runes[i] == ',' && unicode.IsDigit(runes[i-1]) && unicode.IsDigit(runes[i+1]) {
			return true
		}
	}
	return false
}

func vqaWords(answer string) string {
	words := strings.FieldsFunc(strings.ToLower(answer), isPythonSpace)
	kept := words[:0]
	for _, word := range words {
		if digits, ok := numberWords[word]; ok {
			word = digits
		}
		if word == "a" || word == "an" || word == "the" {
			continue
		}
		if whole, ok := vqaContractions()[word]; ok {
			word = whole
		}
		kept = append(kept, word)
	}
	return strings.Join(kept, " ")
}

// vqaContractions maps a contraction that lacks one of its apostrophes to the whole one.
var vqaContractions = sync.OnceValue(func() map[string]string {
	table := map[string]string{"somebody'd": "somebodyd"} // so in the original
	for word := range strings.FieldsSeq(`ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've
		hasn't haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't
		must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've
		somebody'll somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll that's
		there'd there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll
		what're what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't
		would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've`) {
		for i, c := range word {
			if c == '\'' {
				table[word[:i]+word[i+1:]] = word
			}
		}
	}
	return table
})
