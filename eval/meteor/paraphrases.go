package meteor

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"hash/maphash"
	"io"
	"os"
)

// longestPhrase is that of the table, in words.
const longestPhrase = 7

// phrases are the phrases of some captions, by hash: which part of the table they need. A phrase that is taken for one of
// them by chance only takes memory.
type phrases struct {
	seed maphash.Seed
	seen map[uint64]struct{}
}

func newPhrases() *phrases { return &phrases{maphash.MakeSeed(), map[uint64]struct{}{}} }

func (p *phrases) add(words []*word) {
	eachPhrase(words, func(phrase string, _, _ int) { p.seen[maphash.String(p.seed, phrase)] = struct{}{} })
}

func (p *phrases) has(phrase []byte) bool {
	_, there := p.seen[maphash.Bytes(p.seed, phrase)]
	return there
}

// paraphrases are a table's entries: a phrase, and others that may stand in its place.
type paraphrases map[string][]string

// readParaphrases reads the entries of a table both of whose phrases occur in captions. An entry is three lines:
// a probability, a phrase, and its paraphrase.
func readParaphrases(path string, wanted *phrases) (paraphrases, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(bufio.NewReaderSize(file, 1<<16))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	table, err := parseParaphrases(unpacked, wanted)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return table, nil
}

func parseParaphrases(in io.Reader, wanted *phrases) (paraphrases, error) {
	table := paraphrases{}
	lines := bufio.NewScanner(in)
	var phrase []byte
	use := false
	n := 0
	for ; lines.Scan(); n++ {
		switch n % 3 {
		case 1:
			if use = wanted.has(lines.Bytes()); use {
				phrase = append(phrase[:0], lines.Bytes()...)
			}
		case 2:
			if use && wanted.has(lines.Bytes()) {
				table[string(phrase)] = append(table[string(phrase)], lines.Text())
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	if n%3 != 0 {
		return nil, fmt.Errorf("ends after %d lines, entries have three", n)
	}
	return table, nil
}
