package capfilt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"goblip/checkpoints"
	"goblip/datasets"
)

// identity is what the texts and scores of a run depend on, and the content of settings.json.
type identity struct {
	Source     string          `json:"source"` // for people: the fingerprint is what counts
	Records    int             `json:"records"`
	Data       string          `json:"data"` // fingerprint of the records, pixels excepted
	Captioners []modelIdentity `json:"captioners"`
	Filters    []modelIdentity `json:"filters"`
	Captions   int             `json:"captions"`
	Writing    Writing         `json:"writing"`
	Chunk      int             `json:"chunk"`
}

type modelIdentity struct {
	Name        string `json:"name"`
	Dir         string `json:"dir"` // for people
	Fingerprint string `json:"fingerprint"`
}

// identify reads the whole source once, and the models' files.
func identify(ctx context.Context, c *Config) (*identity, error) {
	id := &identity{Source: c.Source, Captions: c.Captions, Writing: c.Writing, Chunk: c.Chunk}
	h := sha256.New()
	for record, err := range datasets.Stream(c.Source) {
		if ctx.Err() != nil {
			return nil, ErrStopped
		}
		var problem datasets.Problem
		if err != nil && !errors.As(err, &problem) {
			return nil, err
		}
		fmt.Fprintf(h, "%q %q %s %q %q %q\n", record.ID, record.Captions, record.Asked(), record.Noise, record.Scene, problem.What)
		id.Records++
	}
	if id.Records == 0 {
		return nil, fmt.Errorf("%s: no records", c.Source)
	}
	id.Data = short(h.Sum(nil))
	var err error
	if id.Captioners, err = identifyModels(ctx, c.Captioners); err != nil {
		return nil, err
	}
	id.Filters, err = identifyModels(ctx, c.Filters)
	return id, err
}

func short(sum []byte) string { return hex.EncodeToString(sum[:8]) }

func identifyModels(ctx context.Context, models []ModelDir) ([]modelIdentity, error) {
	out := make([]modelIdentity, 0, len(models))
	for _, m := range models {
		sum, err := folderSum(ctx, m.Dir)
		if err != nil {
			return nil, err
		}
		out = append(out, modelIdentity{m.Name, m.Dir, sum})
	}
	return out, nil
}

// folderSum is a fingerprint of a model folder's files.
func folderSum(ctx context.Context, dir string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			return ctx.Err()
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			return err
		}
		fmt.Fprintf(h, "%q\n", filepath.ToSlash(relative))
		_, err = io.Copy(h, f)
		return err
	})
	if ctx.Err() != nil {
		return "", ErrStopped
	}
	return short(h.Sum(nil)), err
}

// batch is the fixed number of rows in every graph of a run: a power of two, at most 64 (infer's largest), and
// no larger than a chunk needs. So few graphs are compiled, whatever number of pictures is bad.
func (id *identity) batch() int {
	b := 1
	for b < min(id.Chunk, id.Records, 64) {
		b *= 2
	}
	return b
}

// claim writes the settings of a new run, or refuses a folder that holds another one.
func (id *identity) claim(path string) error {
	have, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		data, err := json.MarshalIndent(id, "", "  ")
		if err != nil {
			return err
		}
		return checkpoints.WriteFile(path, append(data, '\n'))
	}
	if err != nil {
		return err
	}
	var old identity
	if err := json.Unmarshal(have, &old); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if what := old.differs(id); what != "" {
		return fmt.Errorf("%s: this folder holds work on another run (%s); choose another folder", filepath.Dir(path), what)
	}
	return nil
}

// differs names the first thing that makes other texts or scores.
func (id *identity) differs(other *identity) string {
	names := func(list []modelIdentity) (out []string) {
		for _, m := range list {
			out = append(out, m.Name+" "+m.Fingerprint)
		}
		return out
	}
	switch {
	case id.Records != other.Records:
		return fmt.Sprintf("%d records, now %d", id.Records, other.Records)
	case id.Data != other.Data:
		return "the records changed"
	case !slices.Equal(names(id.Captioners), names(other.Captioners)):
		return fmt.Sprintf("captioners %v, now %v", names(id.Captioners), names(other.Captioners))
	case !slices.Equal(names(id.Filters), names(other.Filters)):
		return fmt.Sprintf("filters %v, now %v", names(id.Filters), names(other.Filters))
	case id.Captions != other.Captions:
		return fmt.Sprintf("%d captions a picture, now %d", id.Captions, other.Captions)
	case id.Chunk != other.Chunk:
		return fmt.Sprintf("chunks of %d pictures, now %d", id.Chunk, other.Chunk)
	case !reflect.DeepEqual(id.Writing, other.Writing):
		return fmt.Sprintf("texts written with %+v, now %+v", id.Writing, other.Writing)
	}
	return ""
}
