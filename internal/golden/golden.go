// Package golden compares our numbers with what the reference implementations computed; for tests.
//
//	golden.go   cases: inputs, checkpoints and expected tensors under testdata (see its README.md)
//	compare.go  tolerances, and what to say when they do not hold
//	run.go      a graph over a checkpoint, strict about the tensors it uses
package golden

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"goblip/checkpoints"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// Case is one folder of testdata.
type Case struct {
	t                testing.TB
	dir              string
	inputs, expected *checkpoints.File
	abs, rel         float64 // |got-want| <= abs + rel*|want|
}

// Open opens the case of that name, with the tolerance of its case.json: 1e-4 and 1e-4*|want|
// where that gives none in numbers.
func Open(t testing.TB, name string) *Case {
	t.Helper()
	c := &Case{t: t, dir: filepath.Join(root(t), "internal", "golden", "testdata", name), abs: 1e-4, rel: 1e-4}
	c.inputs, c.expected = open(t, filepath.Join(c.dir, "inputs.safetensors")), open(t, filepath.Join(c.dir, "expected.safetensors"))
	var about struct {
		Tolerance struct{ Abs, Rel float64 }
	}
	c.JSON("case.json", &about)
	if about.Tolerance.Abs > 0 {
		c.abs, c.rel = about.Tolerance.Abs, about.Tolerance.Rel
	}
	return c
}

// Cases lists the names of all cases.
func Cases(t testing.TB) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root(t), "internal", "golden", "testdata", "*", "case.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases (%v)", err)
	}
	for _, f := range files {
		names = append(names, filepath.Base(filepath.Dir(f)))
	}
	return names
}

// Dir is the case's folder.
func (c *Case) Dir() string { return c.dir }

// root is the folder of go.mod; tests run in the folder of their package.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = up
	}
}

func open(t testing.TB, path string) *checkpoints.File {
	t.Helper()
	f, err := checkpoints.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // only read
	return f
}

// JSON reads a file of the case, "model/config.json" for example.
func (c *Case) JSON(file string, to any) {
	c.t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.dir, file))
	if err == nil {
		err = json.Unmarshal(raw, to)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// Weights reads all tensors of a folder of the case, in one file or several.
func (c *Case) Weights(folder string) map[string]*tensors.Tensor {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(c.dir, folder, "*.safetensors"))
	if err != nil || len(files) == 0 {
		c.t.Fatalf("%s: no safetensors files (%v)", folder, err)
	}
	all := map[string]*tensors.Tensor{}
	for _, path := range files {
		f := open(c.t, path)
		for _, name := range f.Names() {
			all[name] = read(c.t, f, name)
		}
	}
	return all
}

// Input reads an input; 64-bit integers become the int32 that our graphs take.
func (c *Case) Input(name string) *tensors.Tensor {
	c.t.Helper()
	return read(c.t, c.inputs, name)
}

// Want reads an expected tensor, likewise.
func (c *Case) Want(name string) *tensors.Tensor {
	c.t.Helper()
	return read(c.t, c.expected, name)
}

// Expected lists the names of expected tensors.
func (c *Case) Expected() []string { return c.expected.Names() }

func read(t testing.TB, f *checkpoints.File, name string) *tensors.Tensor {
	t.Helper()
	value, err := f.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	if value.DType() != dtypes.Int64 {
		return value
	}
	wide := tensors.MustCopyFlatData[int64](value)
	narrow := make([]int32, len(wide))
	for i, v := range wide {
		narrow[i] = int32(v)
	}
	return tensors.FromFlatDataAndDimensions(narrow, value.Shape().Dimensions...)
}
