package forward

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"goblip/checkpoints"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// Files of a case, beside the folder model/.
const (
	caseFile   = "case.json"
	inputsFile = "inputs.safetensors"
	modelDir   = "model"
)

// maxJSONBytes bounds case.json and the config files beside weights.
const maxJSONBytes = 64 << 20

// Case is an open case folder.
type Case struct {
	dir, model, only string
	about            about
	raw              []byte // case.json
	inputs           *checkpoints.File
	weights          checkpoints.Tensors // instead of the files in model, if not nil
}

// about is case.json, as far as every family reads it.
type about struct {
	Model      string                     `json:"model"` // where the checkpoint is, if not in model/
	Generation map[string]json.RawMessage `json:"generation"`
	Schedule   json.RawMessage            `json:"schedule"`
	Expected   map[string]spec            `json:"expected"`
}

// spec is what case.json says of an expected tensor.
type spec struct {
	Shape []int  `json:"shape"`
	DType string `json:"dtype"`
}

func open(dir string, o Options) (*Case, error) {
	c := &Case{dir: dir, only: o.Only}
	raw, err := readBounded(filepath.Join(dir, caseFile))
	if err != nil {
		return nil, err
	}
	c.raw = raw
	if err := c.JSON(&c.about); err != nil {
		return nil, err
	}
	if len(c.about.Expected) == 0 {
		return nil, fmt.Errorf("%s: expected lists no tensors", filepath.Join(dir, caseFile))
	}
	if _, err := path.Match(o.Only, ""); err != nil {
		return nil, fmt.Errorf("pattern %q: %w", o.Only, err)
	}
	if c.model, err = c.findModel(o.Model); err != nil {
		return nil, err
	}
	c.inputs, err = checkpoints.Open(filepath.Join(dir, inputsFile))
	return c, err
}

// findModel is the folder of the checkpoint: the one asked for, the case's own, or what case.json
// names beside the case.
func (c *Case) findModel(asked string) (string, error) {
	candidates := []string{asked}
	if asked == "" {
		candidates = []string{filepath.Join(c.dir, modelDir)}
		if c.about.Model != "" && !filepath.IsAbs(c.about.Model) {
			candidates = append(candidates, filepath.Join(c.dir, c.about.Model))
		}
	}
	for _, dir := range candidates {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir, nil
		}
	}
	if asked != "" {
		return "", fmt.Errorf("%s: not a folder", asked)
	}
	hint := ""
	if c.about.Model != "" {
		hint = fmt.Sprintf(" (case.json: %s)", c.about.Model)
	}
	return "", fmt.Errorf("%s: no folder %s: say with --model where the checkpoint is%s", c.dir, modelDir, hint)
}

func (c *Case) close() { _ = c.inputs.Close() } // only read

// JSON reads case.json.
func (c *Case) JSON(to any) error {
	if err := json.Unmarshal(c.raw, to); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(c.dir, caseFile), err)
	}
	return nil
}

// folder opens the checkpoint.
func (c *Case) folder() (*checkpoints.Folder, error) {
	if c.weights != nil {
		return checkpoints.NewFolder(c.model, []checkpoints.Tensors{lent{c.weights}})
	}
	return checkpoints.OpenFolder(c.model)
}

// lent are tensors that whoever opened them closes.
type lent struct{ checkpoints.Tensors }

func (lent) Close() error { return nil }

// has says whether the checkpoint's folder has a file.
func (c *Case) has(file string) bool {
	_, err := os.Stat(filepath.Join(c.model, file))
	return err == nil
}

// readModel reads a JSON file of the checkpoint's folder.
func (c *Case) readModel(file string, to any) error {
	return readJSON(filepath.Join(c.model, file), to)
}

func readJSON(path string, to any) error {
	raw, err := readBounded(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, to); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxJSONBytes {
		return nil, fmt.Errorf("%s: not a regular file of at most %d MB", path, maxJSONBytes>>20)
	}
	return os.ReadFile(path)
}

// hasInput says whether the case gives an input of that name.
func (c *Case) hasInput(name string) bool {
	_, ok := c.inputs.Info(name)
	return ok
}

// input reads an input; 64-bit integers become the int32 that graphs take.
func (c *Case) input(name string) (*tensors.Tensor, error) {
	value, err := c.inputs.Tensor(name)
	if err != nil {
		return nil, err
	}
	switch value.DType() {
	case dtypes.Float32, dtypes.Int32:
		return value, nil
	case dtypes.Int64:
		value, err = cast(value, "int32")
	case dtypes.Bool:
		value, err = maskOf(value)
	default:
		return c.inputs.Float32Tensor(name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: tensor %s: %w", c.inputs.Path(), name, err)
	}
	return value, nil
}

// rows reads an integer input [batch, text] row by row.
func (c *Case) rows(name string) ([][]int32, error) {
	value, err := c.input(name)
	if err != nil {
		return nil, err
	}
	if value.Rank() != 2 || value.DType() != dtypes.Int32 {
		return nil, fmt.Errorf("%s: tensor %s is %s, want integers [batch, text]", c.inputs.Path(), name, value.Shape())
	}
	return rowsOf(value)
}

func rowsOf(value *tensors.Tensor) ([][]int32, error) {
	flat, err := tensors.CopyFlatData[int32](value)
	if err != nil {
		return nil, err
	}
	width := value.Shape().Dim(1)
	out := make([][]int32, value.Shape().Dim(0))
	for i := range out {
		out[i] = flat[i*width : (i+1)*width]
	}
	return out, nil
}

// wants says whether a tensor of that name is to be computed.
func (c *Case) wants(name string) bool {
	if _, ok := c.about.Expected[name]; !ok {
		return false
	}
	matched, _ := path.Match(c.only, name) // the pattern was checked
	return c.only == "" || matched
}

// cast gives integers and floats the element type of a safetensors name as torch writes it.
func cast(value *tensors.Tensor, dtype string) (*tensors.Tensor, error) {
	dims := value.Shape().Dimensions
	switch {
	case dtype == "int64" && value.DType() == dtypes.Int32:
		return convert[int32, int64](value, dims)
	case dtype == "int32" && value.DType() == dtypes.Int64:
		return convert[int64, int32](value, dims)
	case dtype == "float64" && value.DType() == dtypes.Float32:
		return convert[float32, float64](value, dims)
	case dtype == "" || dtype == map[dtypes.DType]string{dtypes.Int32: "int32", dtypes.Int64: "int64", dtypes.Float32: "float32"}[value.DType()]:
		return value, nil
	}
	return nil, fmt.Errorf("case.json wants %s, the value is %s", dtype, value.DType())
}

func convert[From, To int32 | int64 | float32 | float64](value *tensors.Tensor, dims []int) (*tensors.Tensor, error) {
	flat, err := tensors.CopyFlatData[From](value)
	if err != nil {
		return nil, err
	}
	out := make([]To, len(flat))
	for i, v := range flat {
		if out[i] = To(v); From(out[i]) != v && v == v {
			return nil, errors.New("a value does not fit its element type")
		}
	}
	return tensors.FromFlatDataAndDimensions(out, dims...), nil
}

// maskOf turns booleans into the int32 masks that graphs take.
func maskOf(value *tensors.Tensor) (*tensors.Tensor, error) {
	flat, err := tensors.CopyFlatData[bool](value)
	if err != nil {
		return nil, err
	}
	out := make([]int32, len(flat))
	for i, v := range flat {
		if v {
			out[i] = 1
		}
	}
	return tensors.FromFlatDataAndDimensions(out, value.Shape().Dimensions...), nil
}
