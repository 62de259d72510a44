package capfilt

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/infer"
)

// line is what a chunk's file says of one record.
type line struct {
	Record datasets.Record `json:"record"` // without captions, which are among the texts
	Where  string          `json:"where"`
	Bad    string          `json:"bad,omitempty"`
	Texts  []Text          `json:"texts,omitempty"`
}

// process writes and scores the texts of one chunk.
func (m *Models) process(ctx context.Context, u unit) ([]line, error) {
	lines := make([]line, len(u.entries))
	var good []int
	for i, e := range u.entries {
		lines[i] = line{Record: e.record, Where: e.where, Bad: e.bad}
		lines[i].Record.Captions, lines[i].Record.Noise = nil, nil
		if e.bad == "" {
			good = append(good, i)
			lines[i].Texts = webTexts(e.record)
		}
	}
	if len(good) == 0 {
		return lines, nil
	}
	processors := m.processors()
	pictures := func(kind int) *infer.Pictures {
		p := &infer.Pictures{Side: processors[kind].Side(), Processor: processors[kind], Set: &datasets.Set{}}
		count := (len(good) + m.batch - 1) / m.batch * m.batch
		p.Set.Records = make([]datasets.Record, count)
		for i := range count {
			p.Pixels = append(p.Pixels, u.entries[good[min(i, len(good)-1)]].pixels[kind]...)
		}
		return p
	}
	for k := range m.captioners {
		if ctx.Err() != nil {
			return nil, ErrStopped
		}
		c := &m.captioners[k]
		texts, err := c.write(pictures(indexOf(processors, c.processor)), m.captions, m.batch, m.writing.Options)
		if err != nil {
			return nil, fmt.Errorf("captioner %s: %w", c.name, err)
		}
		for n, i := range good {
			for _, text := range texts[n] {
				lines[i].Texts = append(lines[i].Texts, Text{Text: text, Origin: c.name, Truth: writtenTruth(lines[i].Record, text)})
			}
		}
	}
	var pairs []pair
	var of []*Text
	for n, i := range good {
		screen(lines[i].Texts)
		for k := range lines[i].Texts {
			if t := &lines[i].Texts[k]; t.Reason == "" {
				pairs, of = append(pairs, pair{n, t.Text}), append(of, t)
			}
		}
	}
	for _, f := range m.filters {
		if ctx.Err() != nil {
			return nil, ErrStopped
		}
		scores, err := score(f, pictures(indexOf(processors, f.wants())), pairs, m.batch)
		if err != nil {
			return nil, err
		}
		for i, t := range of {
			if t.Scores == nil {
				t.Scores = map[string]map[string]float64{}
			}
			kinds := map[string]float64{}
			for kind, values := range scores {
				kinds[kind] = values[i]
			}
			t.Scores[f.label()] = kinds
		}
	}
	return lines, nil
}

func webTexts(r datasets.Record) []Text {
	texts := make([]Text, len(r.Captions))
	for i, c := range r.Captions {
		texts[i] = Text{Text: c, Origin: Web}
		if len(r.Noise) > 0 {
			texts[i].Truth = noiseTruth(r.Noise[i])
		}
	}
	return texts
}

// chunkFiles are the files of finished chunks, a thousand in a folder.
type chunkFiles struct {
	dir   string
	count int
}

func (c chunkFiles) path(n int) string {
	return filepath.Join(c.dir, fmt.Sprintf("%04d", n/1000), fmt.Sprintf("%07d.jsonl", n))
}

// done says whether a chunk has its file.
func (c chunkFiles) done(n int) (bool, error) {
	_, err := os.Stat(c.path(n))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// clean removes what a killed run was writing.
func (c chunkFiles) clean() error {
	for n := 0; n < c.count; n += 1000 {
		if err := checkpoints.RemoveTemporaries(filepath.Dir(c.path(n))); err != nil {
			return err
		}
	}
	return checkpoints.RemoveTemporaries(filepath.Dir(c.dir))
}

func (c chunkFiles) write(n int, lines []line) error {
	path := c.path(n)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for i := range lines {
		if err := encoder.Encode(&lines[i]); err != nil {
			return fmt.Errorf("%s: %w", lines[i].Where, err)
		}
	}
	return checkpoints.WriteFile(path, b.Bytes())
}

// maxLineBytes bounds a line of a chunk's file: a source's line and what was added.
const maxLineBytes = 8 << 20

// read gives the lines of a chunk to use.
func (c chunkFiles) read(n int, use func(line) error) error {
	path := c.path(n)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	scanner := bufio.NewScanner(f)
	scanner.Buffer(make([]byte, 0, 64<<10), maxLineBytes)
	for row := 1; scanner.Scan(); row++ {
		var l line
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			return fmt.Errorf("%s:%d: damaged (%w); remove the file and run again", path, row, err)
		}
		if err := use(l); err != nil {
			return err
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
