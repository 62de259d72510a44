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

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"goblip/internal/bounded"
)

// Files of a model folder.
const (
	ConfigFile = "config.json"
	ModelFile  = "model.safetensors"
	IndexFile  = ModelFile + indexSuffix

	// TorchFile is what folders of older libraries have instead.
	TorchFile      = "pytorch_model.bin"
	TorchIndexFile = TorchFile + indexSuffix

	// PretrainingFile holds the tensors that training needs and Hugging Face's class does not have.
	// Apart from the others they do not disturb it.
	PretrainingFile = "pretraining.safetensors"

	indexSuffix = ".index.json"
)

// SideFiles are what may lie beside configuration and weights in a model folder: the files of the
// tokenizer, the processors and generation.
var SideFiles = []string{
	"generation_config.json", "preprocessor_config.json", "processor_config.json", "image_processor_config.json",
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt",
	"spiece.model", "tokenizer.model", "chat_template.json", "chat_template.jinja",
}

// maxJSONBytes bounds the JSON files that are read. The index of the largest models has some
// hundred kilobytes.
const maxJSONBytes = 64 << 20

// Folder is an open model folder in Hugging Face's layout: config.json, and model.safetensors or
// several files with an index, or else pytorch_model.bin likewise; and pretraining.safetensors if
// there is one.
type Folder struct {
	dir   string
	open  []Tensors
	files map[string]Tensors // by tensor name
}

// OpenFolder opens a model folder and checks the headers of its files. Close releases it.
func OpenFolder(dir string) (*Folder, error) {
	f := &Folder{dir: dir, files: map[string]Tensors{}}
	if err := f.openFiles(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// NewFolder makes a folder of files that are open already, wherever they are, beside the config.json
// of dir. Close closes them.
func NewFolder(dir string, files []Tensors) (*Folder, error) {
	f := &Folder{dir: dir, open: files, files: map[string]Tensors{}}
	for _, file := range files {
		if err := f.index(file); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *Folder) openFiles() error {
	stat, err := os.Stat(f.dir)
	if err != nil {
		return err
	}
	if !stat.IsDir() {
		return fmt.Errorf("%s: not a folder (goblip convert makes one of a file)", f.dir)
	}
	found, err := f.addWeights()
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%s: no %s, %s, %s or %s in this folder", f.dir, ModelFile, IndexFile, TorchFile, TorchIndexFile)
	}
	if err := f.add(PretrainingFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// addWeights opens the weights, of the first kind that there is. An index goes before the single
// file: a folder that was split anew may still have that.
func (f *Folder) addWeights() (bool, error) {
	for _, name := range []string{ModelFile, TorchFile} {
		if found, err := f.openIndex(name + indexSuffix); found || err != nil {
			return found, err
		}
		if err := f.add(name); !errors.Is(err, fs.ErrNotExist) {
			return err == nil, err
		}
	}
	return false, nil
}

// add opens one file of the folder.
func (f *Folder) add(name string) error {
	file, err := openFile(filepath.Join(f.dir, name))
	if err != nil {
		return err
	}
	f.open = append(f.open, file)
	return f.index(file)
}

// index notes which tensors a file has.
func (f *Folder) index(file Tensors) error {
	for _, tensor := range file.Names() {
		if other := f.files[tensor]; other != nil {
			return fmt.Errorf("%s: tensor %s is in %s too", file.Path(), tensor, filepath.Base(other.Path()))
		}
		f.files[tensor] = file
	}
	return nil
}

// openIndex opens the files that an index lists; false if there is no index.
func (f *Folder) openIndex(name string) (bool, error) {
	path := filepath.Join(f.dir, name)
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
		if file == nil || filepath.Base(file.Path()) != index.WeightMap[tensor] {
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

// Path is Dir, for Tensors.
func (f *Folder) Path() string { return f.dir }

// Names returns the names of all tensors, sorted.
func (f *Folder) Names() []string { return slices.Sorted(maps.Keys(f.files)) }

// File returns the file that a tensor lies in, nil if there is no such tensor.
func (f *Folder) File(tensor string) Tensors { return f.files[tensor] }

// Shape returns dimensions and element type of a tensor without reading it.
func (f *Folder) Shape(tensor string) (shapes.Shape, bool) {
	file := f.files[tensor]
	if file == nil {
		return shapes.Shape{}, false
	}
	return file.Shape(tensor)
}

// Tensor reads a tensor, in the element type that it has on disk.
func (f *Folder) Tensor(tensor string) (*tensors.Tensor, error) {
	file := f.files[tensor]
	if file == nil {
		return nil, fmt.Errorf("%s: no tensor %s", f.dir, tensor)
	}
	return file.Tensor(tensor)
}

// Config reads config.json into a struct. Keys that the struct lacks are skipped, for such a file
// holds many.
func (f *Folder) Config(into any) error { return ReadConfig(f.dir, into) }

// ReadConfig reads the config.json of a folder, whose weights need not be there, into a struct.
func ReadConfig(dir string, into any) error { return readJSON(filepath.Join(dir, ConfigFile), into) }

// readJSON reads a JSON file of bounded size, and says where it is wrong.
// ReadConfigFile is ReadConfig for a file of any name.
func ReadConfigFile(path string, into any) error { return readJSON(path, into) }

func readJSON(path string, into any) error {
	data, err := bounded.ReadFile(path, maxJSONBytes)
	if err != nil {
		return err
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
