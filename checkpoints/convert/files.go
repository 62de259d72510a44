package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gomlx/compute/dtypes"

	"goblip/checkpoints"
	"goblip/checkpoints/layout"
	"goblip/checkpoints/torch"
	"goblip/internal/bounded"
)

// maxFile bounds config.json and each of the files beside it.
const maxFile = 64 << 20

// readFiles takes config.json and the files beside it from where Options say, and then what that does
// not have from the source.
func (m *Model) readFiles(source checkpoints.Tensors, config string) error {
	if config != "" {
		stat, err := os.Stat(config)
		if err != nil {
			return err
		}
		if stat.IsDir() {
			err = m.takeFolder(config)
		} else {
			m.Config, err = bounded.ReadFile(config, maxFile)
		}
		if err != nil {
			return err
		}
	}
	switch source := source.(type) {
	case *checkpoints.Folder:
		return m.takeFolder(source.Dir())
	case *torch.File:
		if skipped := source.Skipped(); len(skipped) > 0 {
			m.note("%s: not converted: %s", source.Path(), list(skipped))
		}
		files, err := source.Files()
		for name, data := range files {
			m.takeFile(name, data)
		}
		return err
	}
	return nil
}

// takeFolder takes the files of a folder.
func (m *Model) takeFolder(dir string) error {
	for _, name := range append([]string{checkpoints.ConfigFile}, checkpoints.SideFiles...) {
		data, err := bounded.ReadFile(filepath.Join(dir, name), maxFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		m.takeFile(name, data)
	}
	return nil
}

// takeFile keeps a file unless there is one of its name.
func (m *Model) takeFile(name string, data []byte) {
	switch {
	case name == checkpoints.ConfigFile && m.Config == nil:
		m.Config = data
	case slices.Contains(checkpoints.SideFiles, name) && m.Files[name] == nil:
		m.Files[name] = data
	}
}

// readConfig finds out which family and class the model is of.
func (m *Model) readConfig(source string, names []string, fallback []byte) error {
	if m.Config == nil {
		m.Config = fallback
	}
	if m.Config == nil {
		m.family = familyByNames(names)
		m.Unchecked = "no config.json"
		return nil
	}
	var kind struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(m.Config, &kind); err != nil {
		return fmt.Errorf("%s: config.json: %w", source, err)
	}
	m.family = families[kind.ModelType]
	if m.family == nil {
		m.family = &family{}
	}
	l, err := layout.Read(m.Config)
	if errors.Is(err, layout.ErrUnknown) {
		m.Unchecked = "config.json: " + err.Error()
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: config.json: %w", source, err)
	}
	m.Layout = l
	return nil
}

// setDType says in config.json which precision the weights have, as transformers wants to know.
func (m *Model) setDType(dtype dtypes.DType) error {
	if m.Config == nil {
		return nil
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(m.Config, &config); err != nil {
		return err
	}
	key := "dtype"
	if _, old := config["torch_dtype"]; old {
		key = "torch_dtype"
	}
	name := map[dtypes.DType]string{dtypes.Float32: "float32", dtypes.Float16: "float16", dtypes.BFloat16: "bfloat16", dtypes.Float64: "float64"}[dtype]
	config[key] = fmt.Appendf(nil, "%q", name)
	data, err := json.MarshalIndent(config, "", "  ")
	m.Config = append(data, '\n')
	return err
}
