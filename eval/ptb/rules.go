package ptb

import (
	"slices"
	"strings"
	"sync"
)

// rules are all rules; among equally long matches the first wins.
var rules = []*rule{
	{first: asciiLetters, match: joined},
	re("<", tag, nil), // SGML
	re(string(rune(dash))+"&", "\x11|&(?:MD|mdash|ndash);", written("--")),
	re("&", "&amp;", written("&")),
	re("&", "&(?:HT|TL|UR|LR|QC|QL|QR|odq|cdq|#[0-9]+);", nil),
	before("'", `'[tT]`, literal("is", "was"), nil),               // 't is
	need(apostrophes, before(wordStarts, word, suffix, nil)),      // dog|'s
	need(apostrophes, &rule{first: asciiLetters, match: negated}), // do|n't
	re(wordStarts, word, nil),
	need(",;:", before(wordStarts, word+`\.`, inSentence, nil)), // "can.;"
	need(",;:", before(asciiAlphanumeric, hyphened+`\.`, inSentence, nil)),
	need(",;:", before("", thing+`\.`, inSentence, nil)),
	need(apostrophes, re("", apostropheWords, nil)),
	need(apostrophes, before("yY", `[yY]{A}`, isLetter, nil)), // y'|all
	need(":", re("hH", `https?://[^ \t<>|(){}"\x0e]+[^ \t<>|.!?(){},"\x0e-]`, asIs)),
	need(".", re("", `(?:www\.(?:[^ "<>|.!?(){},\x0e]+\.)+[a-zA-Z]{2,4}|(?:[^ "'<>|!?(){}\x60\x0e$,-_]+\.)+(?:com|net|org|edu))(?:/[^ "<>|()\x0e]+[^ "<>|.!?(){},\x0e-])?`, asIs)),
	need("@", re(asciiAlphanumeric+"&<", `(?:&lt;|<)?[a-zA-Z0-9][^ "<>|(){}\x0e\x16]*@(?:[^ "<>|(){}.\x0e\x16]+\.)*[^ "<>|(){}.\x0e\x16]+(?:&gt;|>)?`, asIs)),
	re("@", "@+", nil),
	re("@", `@[a-zA-Z_][a-zA-Z_0-9]*`, nil),
	re("#", `#[a-zA-Z\x01]+`, nil),
	upTo("'\x13&", `{A}(?:[msdMSD]|[rR][eE]|[vV][eE]|[lL][lL])`, `[^A-Za-z]`, plainApostrophe),
	before("'", "'", wordBehind, written("'")), // opens a quotation
	re("'\x13&", `{A}(?:[msdMSD]|[rR][eE]|[vV][eE]|[lL][lL])`, plainApostrophe),
	need(apostrophes, re("nN", `[nN]{Q}[tT]`, plainApostrophe)),
	need("-/", re("0123456789\x03", `{D}{1,2}[-/]{D}{1,2}[-/]{D}{2,4}`, nil)), // date
	re("0123456789\x03+-.,:", `[-+]?(?:{D}+|{D}*(?:[.:,\x04]{D}+)+)`, nil),
	re("\x0f", "\x0f+", nil),
	re("0123456789\x03", `(?:{D}{1,4}[- \x16])?{D}{1,4}(?:\\?/|\x17){D}{1,4}`, noBreak),
	re("-", `-(?:RRB|LRB|RCB|LCB|RSB|LSB)-`, nil),
	re("C", `C\.D\.s`, nil),
	need("-", re("pPaA", `(?:pro|anti)-`, nil)),
	re("S", `S(?:&|&amp;)(?:P-500|Ls)`, ampersand),
	upTo("'\x13&", `{A}[0-9][0-9]`, `[ \x0e\x16]`, nil), // '95
	need("/", re(asciiAlphanumeric, `[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}(?:\\?/[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}){1,2}`, nil)),
	need("$#", re("", `[A-Z]*\$|#+`, nil)),
	need(".", &rule{first: asciiLetters, match: abbreviated}),
	need(".", re("CSKEJnU", `(?:(?:Canada|Sino|Korean|EU|Japan|non)-U\.S|U\.S\.-(?:U\.K|U\.S\.S\.R))\.`, nil)),
	need(".", &rule{first: asciiLetters, match: initials}),
	need(".", upTo(asciiAlphanumeric+"\x01\x02\x03", fileName, `[ \x0e\x16.?!,]`, asIs)),
	need(".", re("eEpP", `(?:[eE][dD]|[pP][hH])\.D\.`, nil)),
	re("cC", `[cC](?:\+\+|#)`, nil),
	re("(+0123456789", `(?:\([0-9]{2,3}\)[ \x16]?|(?:\+\+?)?(?:[0-9]{2,4}[- \x16])?[0-9]{2,4}[- \x16])[0-9]{3,4}[- \x16]?[0-9]{3,5}|(?:(?:\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}`, phone),
	upTo("<>:;=", `[<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]]`, `[^A-Za-z0-9]`, parentheses), // smiley
	re("^x=~<>-'(", `[\^x=~<>]\.\[\^x=~<>]|[-\^x=~<>']_[-\^x=~<>']|\([-\^x=~<>'][_.]?[-\^x=~<>']\)|\([\^x=~<>']-[\^x=~<>'\x60]\)`, brackets),
	re("()[]{}", `[()\[\]{}]`, brackets),
	re("-", `-+`, hyphens),
	re(".\x14", `\.{3,5}|(?:\. ){2,4}\.|\x14`, written("...")),
	re("*\\", `\*+|(?:\\\*){1,3}`, nil),
	re("?!", `[?!]+`, nil),
	re(",;:.=/", `[,;:.=/]`, nil),
	need("-", re("", hyphened, nil)),
	re("", thing, nil),
	need("+&", re(asciiLetters, `[A-Z]+(?:(?:[+&]|&amp;)[A-Z]+)+`, ampersand)),
	re(`"&`, `"|&quot;`, written("''")),
	re("'\x13`\x10\x15&", `''|'|&apos;|[\x13\x60\x10\x15]{1,2}`, quotes),
	re("<>", `<<|>>|<|>`, nil),
	re("&", "&lt;", written("<")),
	re("&", "&gt;", written(">")),
	re("+%&~^|\\\x06\x17_@`$", `[+%&~^|\\\x06\x17_@]`, symbols),
	re("_", "_+", nil),
	re("\x04", "\x04", written("-")),
}

const (
	asciiLetters      = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	asciiAlphanumeric = asciiLetters + "0123456789"
	apostrophes       = "'\x13`\x15&" // and what is written for one
	wordStarts        = asciiLetters + "\x01\x02\x04"

	fileName = `(?:{W}|{D})+(?:\.(?:{W}|{D})+)*\.(?i:bat|bmp|c|class|cgi|cpp|dll|docx?|exe|gif|gz|h|html?|jar|java|jpe?g|mov|` +
		`mp3|pdf|php|pl|png|ppt|ps|py|sql|tar|txt|wav|x|xml|zip)`

	tag = `<(?:[!?][A-Za-z-][^>]*|/?[A-Za-z][A-Za-z0-9:.-]*(?: +(?:[A-Za-z][A-Za-z0-9:.-]*|[A-Za-z][A-Za-z0-9:.-]* *= *["'][^"']*["']))* */?) *>`

	word = `{W}(?:{W}|{D})*(?:[.!?]{W}(?:{W}|{D})*)*`

	// apostropheWords are written with an apostrophe and stay whole.
	apostropheWords = `{A}[nN]{A}?|[lLdDjJ]{A}|[dD]unkin{A}|[sS]omethin{A}|[oO]l{A}|{A}em|[A-HJ-XZn]{Q}{L}{2,}|{A}[2-9]0s|` +
		`{L}+[aeiouyAEIOUY]{Q}[aeiouA-Z]{L}*|{A}[cC]ause|[cC]ont{A}d\.?|[cC]{A}mon|[oO]{Q}o`

	hyphened = `[A-Za-z0-9][A-Za-z0-9.,\x04]*(?:-(?:[A-Za-z0-9\x04]+|[A-Za-z](?:\.[A-Za-z])+\.))+`
	thing    = `(?:[dDoOlL]{Q}[A-Za-z0-9\x01])?[A-Za-z0-9\x01\x03]+(?:[-_\x12](?:[dDoOlL]{Q}[A-Za-z0-9\x01])?[A-Za-z0-9\x01\x03]+)*`
)

var byFirst = sync.OnceValue(func() *[256][]*rule {
	var table [256][]*rule
	for _, r := range rules {
		for c := range 256 {
			if r.first == "" || strings.IndexByte(r.first, byte(c)) >= 0 {
				table[c] = append(table[c], r)
			}
		}
	}
	return &table
})

// rulesFor are the rules whose tokens may start with a shape.
func rulesFor(c byte) []*rule { return byFirst()[c] }

// joined splits cannot, gonna and the like.
func joined(l *lexer, at int) (matched, taken int) {
	n := l.asciiLetters(at)
	if first, ok := joinedWords[strings.ToLower(string(l.text[at:at+n]))]; ok {
		return n, first
	}
	return 0, 0
}

// asciiLetters is the number of ASCII letters at a position.
func (l *lexer) asciiLetters(at int) int {
	n := 0
	for isASCIILetter(l.at(at + n)) {
		n++
	}
	return n
}

// abbreviated finds an abbreviation with its point.
func abbreviated(l *lexer, at int) (matched, taken int) {
	n := l.asciiLetters(at)
	if n == 0 || l.at(at+n) != '.' {
		return 0, 0
	}
	switch abbreviation(string(l.text[at : at+n])) {
	case mayEnd: // whatever follows, two characters of it
		return n + 3, n + 1
	case neverEnds:
		return n + 1, n + 1
	case beforeNumber: // with a space between, or at the start of the next line
		following := at + n + 1
		c := l.at(following)
		if isSpace(c) {
			following++
			c = l.ahead(following)
		}
		if '0' <= c && c <= '9' {
			return following - at + 1, n + 1
		}
	}
	return 0, 0
}

// initials finds "U.S." and "I."; before the first word of a sentence the point of a single letter is the sentence's.
func initials(l *lexer, at int) (matched, taken int) {
	n := 0
	for isASCIILetter(l.at(at+n)) && l.at(at+n+1) == '.' {
		n += 2
	}
	if n == 0 {
		return 0, 0
	}
	if start := l.sentenceStart(at + n); start > 0 {
		if n == 2 {
			return n + start, 1
		}
		return n + start, n
	}
	return n, n
}

// ahead is at, into the next line.
func (l *lexer) ahead(i int) byte {
	if i < len(l.shape) {
		return l.at(i)
	}
	return l.next[min(i-len(l.shape), len(l.next)-1)]
}

// sentenceStart is the length of white space, a word that starts sentences or a tag, and white space; 0 if they do not follow.
// They may lie on the next line.
func (l *lexer) sentenceStart(at int) int {
	rest := slices.Concat(l.shape[at:], l.next)
	n := 0
	for n < len(rest) && (isSpace(rest[n])) {
		n++
	}
	begin := n
	if begin > 0 && n < len(rest) && rest[n] == '<' {
		if m := tagPattern().FindIndex(rest[n:]); m != nil {
			n += m[1]
			if n < len(rest) && (isSpace(rest[n])) {
				return n + 1
			}
			return 0
		}
	}
	for n < len(rest) && !isSpace(rest[n]) {
		n++
	}
	if begin == 0 || n == len(rest) || !sentenceStarts[string(rest[begin:n])] {
		return 0
	}
	return n + 1
}

// suffix accepts 's, 'll and the like behind a word.
func suffix(l *lexer, end int) int { return matchLength(suffixPattern(), l, end) }

// negated finds the word before n't.
func negated(l *lexer, at int) (matched, taken int) {
	n := 0
	for isASCIILetter(l.at(at+n)) || l.at(at+n) == softHyphen {
		n++
	}
	if n < 2 || l.at(at+n-1)|0x20 != 'n' {
		return 0, 0
	}
	if more := matchLength(negationPattern(), l, at+n-1); more > 0 {
		return n - 1 + more, n - 1
	}
	return 0, 0
}

// inSentence accepts marks that do not end a sentence: a point before them belongs to its word.
func inSentence(l *lexer, end int) int {
	if c := l.at(end); c == ',' || c == ';' || c == ':' {
		return 1
	}
	return -1
}

// wordBehind accepts a letter and another character, as behind an opening quotation mark.
func wordBehind(l *lexer, end int) int {
	if c := l.at(end); (isASCIILetter(c) || c == letter) && !isSpace(l.at(end+1)) {
		return 2
	}
	return -1
}

var (
	tagPattern      = sync.OnceValue(func() matcher { return pattern(tag) })
	suffixPattern   = sync.OnceValue(func() matcher { return pattern(`{A}(?:[msdMSD]|[rR][eE]|[vV][eE]|[lL][lL])`) })
	negationPattern = sync.OnceValue(func() matcher { return pattern(`[nN]{Q}[tT]`) })
)

type matcher interface{ FindIndex([]byte) []int }

func matchLength(m matcher, l *lexer, at int) int {
	if at >= len(l.shape) {
		return -1
	}
	if found := m.FindIndex(l.shape[at:]); found != nil {
		return found[1]
	}
	return -1
}

func isLetter(l *lexer, end int) int {
	if c := l.at(end); isASCIILetter(c) || c == letter {
		return 1
	}
	return -1
}

// literal accepts one of some words, in any case.
func literal(words ...string) func(l *lexer, end int) int {
	return func(l *lexer, end int) int {
		n := l.asciiLetters(end)
		for _, w := range words {
			if n >= len(w) && strings.EqualFold(string(l.text[end:end+len(w)]), w) {
				return len(w)
			}
		}
		return -1
	}
}
