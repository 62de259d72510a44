package checkpoints

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Files of a model folder.
const (
	ConfigFile = "config.json"
	ModelFile  = "model.safetensors"
	IndexFile  = "model.safetensors.index.json"

	// PretrainingFile holds the tensors that training needs and Hugging Face's class does not have.
	// Apart from the others they do not disturb it.
	PretrainingFile = "pretraining.safetensors"
)

// maxJSONBytes bounds the JSON files that are read. The index of the largest models has some
// hundred kilobytes.
const maxJSONBytes = 64 << 20

// Folder is an open model folder in Hugging Face's layout: config.json, and model.safetensors or
// several files with an index; and pretraining.safetensors if there is one.
type Folder struct {
	dir   string
	open  []*File
	files map[string]*File // by tensor name
}

// OpenFolder opens a model folder and checks the headers of its files. Close releases it.
func OpenFolder(dir string) (*Folder, error) {
	f := &Folder{dir: dir, files: map[string]*File{}}
	if err := f.openFiles(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Folder) openFiles() error {
	stat, err := os.Stat(f.dir)
	if err != nil {
		return err
	}
	if !stat.IsDir() {
		return fmt.Errorf("%s: not a folder", f.dir)
	}
	// The index goes first: a folder that was split anew may still have the old single file.
	indexed, err := f.openIndex()
	if err != nil {
		return err
	}
	if !indexed {
		err := f.add(ModelFile)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: neither %s nor %s in this folder", f.dir, ModelFile, IndexFile)
		}
		if err != nil {
			return err
		}
	}
	if err := f.add(PretrainingFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// add opens one file of the folder.
func (f *Folder) add(name string) error {
	file, err := Open(filepath.Join(f.dir, name))
	if err != nil {
		return err
	}
	f.open = append(f.open, file)
	for _, tensor := range file.Names() {
		if other := f.files[tensor]; other != nil {
			return fmt.Errorf("%s: tensor %s is in %s too", file.path, tensor, filepath.Base(other.path))
		}
		f.files[tensor] = file
	}
	return nil
}

// openIndex opens the files that an index lists; false if there is no index.
func (f *Folder) openIndex() (bool, error) {
	path := filepath.Join(f.dir, IndexFile)
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := readJSON(path, &index); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, err
	}
	if len(index.WeightMap) == 0 {
		return false, fmt.Errorf("%s: weight_map is missing or empty", path)
	}
	shards := map[string]bool{}
	for _, shard := range index.WeightMap {
		if shard != filepath.Base(shard) || shard == "." || shard == ".." || strings.ContainsAny(shard, `/\`) {
			return false, fmt.Errorf("%s: %q is not the name of a file in this folder", path, shard)
		}
		shards[shard] = true
	}
	for _, shard := range slices.Sorted(maps.Keys(shards)) {
		if err := f.add(shard); err != nil {
			return false, err
		}
	}
	for _, tensor := range slices.Sorted(maps.Keys(index.WeightMap)) {
		file := f.files[tensor]
		if file == nil || filepath.Base(file.path) != index.WeightMap[tensor] {
			return false, fmt.Errorf("%s: tensor %s is not in %s", path, tensor, index.WeightMap[tensor])
		}
	}
	return true, nil
}

// Close releases the folder's files. Tensors read from them stay valid.
func (f *Folder) Close() error {
	var all error
	for _, file := range f.open {
		all = errors.Join(all, file.Close())
	}
	return all
}

// Dir returns the path that the folder was opened with.
func (f *Folder) Dir() string { return f.dir }

// Names returns the names of all tensors, sorted.
func (f *Folder) Names() []string { return slices.Sorted(maps.Keys(f.files)) }

// File returns the file that a tensor lies in, nil if there is no such tensor.
func (f *Folder) File(tensor string) *File { return f.files[tensor] }

// Config reads config.json into a struct. Keys that the struct lacks are skipped, for such a file
// holds many.
func (f *Folder) Config(into any) error { return ReadConfig(f.dir, into) }

// ReadConfig reads the config.json of a folder, whose weights need not be there, into a struct.
func ReadConfig(dir string, into any) error { return readJSON(filepath.Join(dir, ConfigFile), into) }

// readJSON reads a JSON file of bounded size, and says where it is wrong.
func readJSON(path string, into any) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxJSONBytes+1))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(data) > maxJSONBytes {
		return fmt.Errorf("%s: larger than %d MiB", path, maxJSONBytes>>20)
	}
	err = json.Unmarshal(data, into)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line := 1 + bytes.Count(data[:min(syntax.Offset, int64(len(data)))], []byte("\n"))
		return fmt.Errorf("%s:%d: %w", path, line, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Contents is what WriteFolder writes.
type Contents struct {
	// Config becomes config.json.
	Config any

	// Tensors are the weights, under the names that they get in the file.
	Tensors []Named

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
	config, err := marshal(c.Config)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, ConfigFile), err)
	}
	var weights, pretraining []Named
	for _, n := range c.Tensors {
		if c.Pretraining != nil && c.Pretraining(n.Name) {
			pretraining = append(pretraining, n)
		} else {
			weights = append(weights, n)
		}
	}
	// Transformers refuses files without this entry. It says how tensors are laid out.
	metadata := map[string]string{"format": "pt"}
	if err := Write(filepath.Join(dir, ModelFile), weights, metadata); err != nil {
		return err
	}
	if len(pretraining) > 0 {
		if err := Write(filepath.Join(dir, PretrainingFile), pretraining, metadata); err != nil {
			return err
		}
	}
	if err := WriteFile(filepath.Join(dir, ConfigFile), config); err != nil {
		return err
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
