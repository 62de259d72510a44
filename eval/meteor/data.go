package meteor

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Data are the lists of METEOR's authors. The zero value has none of them: words match if they or their stems are the
// same, and all count alike.
type Data struct {
	function    map[string]bool // words that count less
	wordNet     *wordNet        // nil: no synonyms
	paraphrases string          // file of the table; "": no paraphrases
}

// paraphraseFile is where the table lies beside the jar.
const paraphraseFile = "data/paraphrase-en.gz"

// maxList bounds a list within the jar: the longest has 4 MB.
const maxList = 64 << 20

// Open reads the lists that the authors' program carries: path is its meteor-1.5.jar, or a folder with one, where the
// table of paraphrases lies in data/paraphrase-en.gz. Without the table there are no paraphrases, and [Data.Name] says so.
func Open(path string) (*Data, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		found, err := filepath.Glob(filepath.Join(path, "meteor-*.jar"))
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("%s: %d files meteor-*.jar, want one", path, len(found))
		}
		path = found[0]
	}
	jar, err := zip.OpenReader(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer jar.Close()
	d, err := readLists(jar)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	table := filepath.Join(filepath.Dir(path), filepath.FromSlash(paraphraseFile))
	if _, err := os.Stat(table); err == nil {
		d.paraphrases = table
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return d, nil
}

// readLists reads the function words and WordNet.
func readLists(jar fs.FS) (*Data, error) {
	d := &Data{function: map[string]bool{}, wordNet: newWordNet()}
	err := eachLine(jar, "function/english.words", func(word string) error {
		d.function[word] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := eachPair(jar, "synonym/english.exceptions", d.wordNet.addForms); err != nil {
		return nil, err
	}
	return d, eachPair(jar, "synonym/english.synsets", d.wordNet.addSets)
}

func eachLine(jar fs.FS, name string, use func(line string) error) error {
	file, err := jar.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(io.LimitReader(file, maxList))
	number := 0
	for lines.Scan() {
		number++
		if err := use(lines.Text()); err != nil {
			return fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// eachPair reads a list whose lines belong together by two: a word, and what there is about it.
func eachPair(jar fs.FS, name string, use func(word string, about []string) error) error {
	word, second := "", false
	err := eachLine(jar, name, func(line string) error {
		if second = !second; second {
			word = line
			return nil
		}
		return use(word, strings.Fields(line))
	})
	if err == nil && second {
		err = fmt.Errorf("%s: the last line is alone, lines come in pairs", name)
	}
	return err
}

// Name is what a score made with these data is called: "METEOR", or, where lists are missing, what can be matched.
func (d *Data) Name() string {
	switch {
	case d.wordNet == nil:
		return "METEOR_exact_stem"
	case d.paraphrases == "":
		return "METEOR_exact_stem_synonym"
	}
	return "METEOR"
}
