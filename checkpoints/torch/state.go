package torch

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"goblip/checkpoints/pickle"
)

// modelKeys are where training programs put the state dict in what they save, LAVIS and BLIP under
// the first.
var modelKeys = []string{"model", "state_dict", "model_state_dict", "module"}

// filesKey is where Write puts files, as tensors of bytes.
const filesKey = "files"

// find takes the state dict out of what was saved: the whole of it, or the value of one of modelKeys.
func (f *File) find(saved any) error {
	top, ok := saved.(*pickle.Dict)
	if !ok {
		return fmt.Errorf("what was saved is %s, not a state dict", describe(saved))
	}
	state, at := top, ""
	for _, key := range modelKeys {
		if value, ok := top.Get(key); ok {
			if d, isDict := value.(*pickle.Dict); isDict {
				state, at = d, key
				break
			}
		}
	}
	var err error
	if f.tensors, err = f.collect(state, at == ""); err != nil {
		return err
	}
	if at != "" {
		for _, e := range top.Entries {
			key, ok := e.Key.(string)
			if files, isDict := e.Value.(*pickle.Dict); ok && key == filesKey && isDict && isFiles(files) {
				if f.files, err = f.collect(files, false); err != nil {
					return err
				}
				continue
			}
			if key != at {
				f.skipped = append(f.skipped, fmt.Sprint(describeKey(e.Key)))
			}
		}
	}
	slices.Sort(f.skipped)
	if len(f.tensors) == 0 {
		return fmt.Errorf("no tensors where a state dict has them; what was saved has the keys %s", keys(top))
	}
	return nil
}

// collect takes the tensors out of a dictionary, and notes what else is in it.
func (f *File) collect(d *pickle.Dict, isTop bool) (map[string]*tensor, error) {
	found := make(map[string]*tensor, len(d.Entries))
	for _, e := range d.Entries {
		t, isTensor := e.Value.(*tensor)
		if !isTensor {
			if isTop || e.Value != nil {
				f.skipped = append(f.skipped, describeKey(e.Key))
			}
			continue
		}
		name, ok := e.Key.(string)
		if !ok || name == "" {
			return nil, errors.New("a tensor has no name")
		}
		if found[name] != nil {
			return nil, fmt.Errorf("tensor %s is there twice", name)
		}
		found[name] = t
	}
	return found, nil
}

// isFiles tells Write's files from something else that has the key.
func isFiles(d *pickle.Dict) bool {
	for _, e := range d.Entries {
		t, ok := e.Value.(*tensor)
		if !ok || t.shape.DType != dtypes.Uint8 || t.shape.Rank() != 1 {
			return false
		}
	}
	return true
}

// keys lists the first few keys of a dictionary.
func keys(d *pickle.Dict) string {
	const few = 8
	var names []string
	for i, e := range d.Entries {
		if i == few {
			names = append(names, "...")
			break
		}
		names = append(names, describeKey(e.Key))
	}
	return strings.Join(names, ", ")
}

func describeKey(key any) string {
	if s, ok := key.(string); ok {
		return fmt.Sprintf("%.60s", s)
	}
	return describe(key)
}

// describe says what a value is without walking into it.
func describe(value any) string {
	switch value := value.(type) {
	case nil:
		return "None"
	case *tensor:
		return "a single tensor"
	case *pickle.List, pickle.Tuple:
		return "a list"
	case *pickle.Object:
		return "a " + value.Class.String()
	case int64:
		return fmt.Sprint(value)
	}
	return fmt.Sprintf("a %T", value)
}
