package checkpoints

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Contents is what WriteFolder writes.
type Contents struct {
	// Config becomes config.json; nil: there is none.
	Config any

	// Tensors are the weights, under the names that they get in the file.
	Tensors []Named

	// Deferred are weights that are read when their turn to be written comes.
	Deferred []Deferred

	// ShardBytes is the size above which the weights are split into several files with an index;
	// 0: never.
	ShardBytes int64

	// Pretraining, if not nil, tells which tensors go into PretrainingFile.
	Pretraining func(name string) bool

	// Files are further files, by name.
	Files map[string][]byte

	// Fill, if not nil, writes further files into the folder it is given, which is not under its
	// final name yet: a tokenizer's Save, for instance.
	Fill func(dir string) error
}

// WriteFolder writes a model folder. It appears under dir whole or not at all. A model folder that is
// there already is replaced, once the new one is complete; anything else there is left alone and an error.
func WriteFolder(dir string, contents Contents) error {
	if err := mayReplace(dir); err != nil {
		return err
	}
	dir = filepath.Clean(dir)
	if err := removeTemporaries(filepath.Dir(dir), filepath.Base(dir)); err != nil {
		return err
	}
	return writeFolderAtomic(dir, func(temporary string) error {
		return final(dir, temporary, contents.write(temporary))
	})
}

func (c *Contents) write(dir string) error {
	all, err := deferred(c.Tensors)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	var weights, pretraining []Deferred
	for _, d := range append(all, c.Deferred...) {
		if c.Pretraining != nil && c.Pretraining(d.Name) {
			pretraining = append(pretraining, d)
		} else {
			weights = append(weights, d)
		}
	}
	if err := writeShards(dir, weights, c.ShardBytes); err != nil {
		return err
	}
	if len(pretraining) > 0 {
		if err := WriteDeferred(filepath.Join(dir, PretrainingFile), pretraining, torchFormat()); err != nil {
			return err
		}
	}
	if c.Config != nil {
		config, err := marshal(c.Config)
		if err == nil {
			err = WriteFile(filepath.Join(dir, ConfigFile), config)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(dir, ConfigFile), err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Files)) {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%s: %q is not the name of a file in this folder", dir, name)
		}
		if err := WriteFile(filepath.Join(dir, name), c.Files[name]); err != nil {
			return err
		}
	}
	if c.Fill != nil {
		return c.Fill(dir)
	}
	return nil
}

// final puts the folder's final name into an error that has its temporary one.
func final(dir, temporary string, err error) error {
	if err == nil {
		return nil
	}
	return &renamedError{err, strings.ReplaceAll(err.Error(), temporary, dir)}
}

type renamedError struct {
	error
	text string
}

func (e *renamedError) Error() string { return e.text }
func (e *renamedError) Unwrap() error { return e.error }

// mayReplace refuses to replace what is not a model folder: a mistyped output path must not cost
// anybody their files.
func mayReplace(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	isModel := false
	for _, entry := range entries {
		if entry.IsDir() {
			return fmt.Errorf("%s: exists and holds the folder %s: it is not replaced by a model folder", dir, entry.Name())
		}
		isModel = isModel || entry.Name() == ConfigFile
	}
	if !isModel {
		return fmt.Errorf("%s: exists and has no %s: it is not replaced by a model folder", dir, ConfigFile)
	}
	return nil
}

func marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(value)
	return b.Bytes(), err
}
