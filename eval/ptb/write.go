package ptb

import "strings"

// What the reference program prints for a token.

func asIs(token []rune) string { return strings.ToLower(string(token)) }

func written(text string) func([]rune) string { return func([]rune) string { return text } }

var bracketNames = strings.NewReplacer("(", "-lrb-", ")", "-rrb-", "[", "-lsb-", "]", "-rsb-", "{", "-lcb-", "}", "-rcb-")

func brackets(token []rune) string { return strings.ToLower(bracketNames.Replace(string(token))) }

func parentheses(token []rune) string {
	return strings.ToLower(strings.NewReplacer("(", "-lrb-", ")", "-rrb-").Replace(string(token)))
}

// quotes writes marks other than ASCII's as the Penn Treebank does.
func quotes(token []rune) string { return quoteNames.Replace(string(token)) }

var quoteNames = strings.NewReplacer("&apos;", "'", "\u0091", "`", "‘", "`", "‛", "`", "‹", "`", "\u0092", "'", "’", "'", "›", "'",
	"\u0093", "``", "“", "``", "«", "``", "\u0094", "''", "”", "''", "»", "''")

// noBreak keeps a fraction's parts together.
func noBreak(token []rune) string { return strings.ReplaceAll(string(token), " ", "\u00a0") }

func phone(token []rune) string { return noBreak([]rune(brackets(token))) }

func ampersand(token []rune) string {
	return strings.ToLower(strings.ReplaceAll(string(token), "&amp;", "&"))
}

// hyphens writes dashes of up to four hyphens alike.
func hyphens(token []rune) string {
	if len(token) == 3 || len(token) == 4 {
		return "--"
	}
	return string(token)
}

var symbolTexts = map[rune]string{
	'\u0080': "$", '¤': "$", '\u20a0': "$", '€': "$", '¢': "cents", '£': "#", '¼': "1/4", '½': "1/2", '¾': "3/4",
	'⅓': "1/3", '⅔': "2/3",
}

func symbols(token []rune) string {
	if text := symbolTexts[token[0]]; text != "" {
		return text
	}
	return strings.ToLower(string(token))
}

// plainApostrophe writes an apostrophe as ASCII's.
func plainApostrophe(token []rune) string {
	return strings.ToLower(apostropheNames.Replace(withoutSoftHyphens(token)))
}

var apostropheNames = strings.NewReplacer("\u0092", "'", "’", "'", "&apos;", "'")
