package meteor

import (
	"runtime"
	"strings"
	"sync"
)

// Score aligns captions with their references, tokenised as for all caption metrics, and returns the statistics of each
// image's best reference.
func (d *Data) Score(hyps []string, refs [][]string) ([]Stats, error) {
	v := &vocabulary{data: d, words: map[string]*word{}}
	texts, refTexts := make([][]*word, len(hyps)), make([][][]*word, len(hyps))
	for i := range hyps {
		texts[i] = v.read(hyps[i])
		for _, ref := range refs[i] {
			refTexts[i] = append(refTexts[i], v.read(ref))
		}
	}
	var table paraphrases
	if d.paraphrases != "" {
		wanted := newPhrases()
		for i := range texts {
			wanted.add(texts[i])
			for _, ref := range refTexts[i] {
				wanted.add(ref)
			}
		}
		var err error
		if table, err = readParaphrases(d.paraphrases, wanted); err != nil {
			return nil, err
		}
	}
	stats := make([]Stats, len(hyps))
	var wait sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		wait.Go(func() {
			for i := worker; i < len(hyps); i += workers {
				stats[i] = best(texts[i], refTexts[i], table)
			}
		})
	}
	wait.Wait()
	return stats, nil
}

// best are the statistics of the first of the references that give the largest score.
func best(words []*word, refs [][]*word, table paraphrases) (most Stats) {
	for j, ref := range refs {
		if s := count(newCandidates(words, ref, table)); j == 0 || s.Score() > most.Score() {
			most = s
		}
	}
	return most
}

// count aligns and counts.
func count(c *candidates) (s Stats) {
	s.Length, s.Function = lengths(c.words)
	s.RefLength, s.RefFunction = lengths(c.refs)
	chosen, chunks := c.align()
	s.Chunks = float64(chunks)
	for _, m := range chosen {
		of := &s.Matches[m.module]
		all, function := lengths(c.words[m.place : m.place+m.words])
		refAll, refFunction := lengths(c.refs[m.ref : m.ref+m.refs])
		of.content += all - function
		of.function += function
		of.refContent += refAll - refFunction
		of.refFunction += refFunction
		s.Matched += all
		s.RefMatched += refAll
	}
	return s
}

// lengths are the numbers of words and of function words.
func lengths(words []*word) (all, function float64) {
	for _, w := range words {
		if w.function {
			function++
		}
	}
	return float64(len(words)), function
}

// vocabulary holds each word of a corpus once.
type vocabulary struct {
	data  *Data
	words map[string]*word
}

func (v *vocabulary) read(text string) []*word {
	texts := normalize(strings.ToLower(text))
	out := make([]*word, len(texts))
	for i, t := range texts {
		w, known := v.words[t]
		if !known {
			w = &word{text: t, stem: stem(t), function: v.data.function[t]}
			if v.data.wordNet != nil {
				w.synonyms = v.data.wordNet.of(t)
			}
			v.words[strings.Clone(t)] = w
		}
		out[i] = w
	}
	return out
}
