package checkpoints

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// allTypes has a tensor of each type that is read and written, with values that a conversion
// anywhere would change.
func allTypes() []Named {
	nan := math.Float32frombits(0x7fc12345)
	return []Named{
		{"f32", tensors.FromFlatDataAndDimensions([]float32{nan, float32(math.Copysign(0, -1)), 1e-45, math.MaxFloat32, 0.1, -2}, 2, 3)},
		{"f64", tensors.FromFlatDataAndDimensions([]float64{math.Pi, math.Inf(-1)}, 2)},
		{"f16", tensors.FromFlatDataAndDimensions([]float16.Float16{float16.FromBits(0x3c00), float16.FromBits(0x0001), float16.FromBits(0xfc00)}, 3)},
		{"bf16", tensors.FromFlatDataAndDimensions([]bfloat16.BFloat16{bfloat16.FromBits(0x3f80), bfloat16.FromBits(0xc049)}, 1, 2)},
		{"i64", tensors.FromFlatDataAndDimensions([]int64{math.MinInt64, math.MaxInt64}, 2)},
		{"i32", tensors.FromFlatDataAndDimensions([]int32{math.MinInt32, 7}, 2)},
		{"i16", tensors.FromFlatDataAndDimensions([]int16{-1}, 1)},
		{"i8", tensors.FromFlatDataAndDimensions([]int8{-128, 127, 3}, 3)},
		{"u16", tensors.FromFlatDataAndDimensions([]uint16{65535, 1}, 2)},
		{"u32", tensors.FromFlatDataAndDimensions([]uint32{1 << 31}, 1)},
		{"u64", tensors.FromFlatDataAndDimensions([]uint64{1 << 63}, 1)},
		{"u8", tensors.FromFlatDataAndDimensions([]uint8{0, 255, 1}, 3)},
		{"bool", tensors.FromFlatDataAndDimensions([]bool{true, false, true}, 3)},
		{"scalar", tensors.FromScalar(float32(0.07))},
		{"empty", tensors.FromShape(shapes.Make(dtypes.Float32, 0, 4))},
		{"/optimizer/step ü\"", tensors.FromScalar(int64(12))},
	}
}

func rawBytes(t testing.TB, x *tensors.Tensor) []byte {
	t.Helper()
	if x.Size() == 0 {
		return nil
	}
	var out []byte
	if err := x.ConstBytes(func(data []byte) { out = slices.Clone(data) }); err != nil {
		t.Fatal(err)
	}
	return out
}

func sameTensor(t testing.TB, name string, got, want *tensors.Tensor) {
	t.Helper()
	if !got.Shape().Equal(want.Shape()) {
		t.Errorf("%s has shape %s, want %s", name, got.Shape(), want.Shape())
		return
	}
	if g, w := rawBytes(t, got), rawBytes(t, want); !slices.Equal(g, w) {
		t.Errorf("%s is % x, want % x", name, g, w)
	}
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.safetensors")
	named := allTypes()
	metadata := map[string]string{"format": "pt", "a": "b"}
	if err := Write(path, named, metadata); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Names()) != len(named) {
		t.Errorf("names %v", f.Names())
	}
	if fmt.Sprint(f.Metadata()) != fmt.Sprint(metadata) {
		t.Errorf("metadata %v", f.Metadata())
	}
	var read []*tensors.Tensor
	for _, n := range named {
		got, err := f.Tensor(n.Name)
		if err != nil {
			t.Fatal(err)
		}
		if shape, ok := f.Shape(n.Name); !ok || !shape.Equal(n.Tensor.Shape()) {
			t.Errorf("Shape(%s) = %v, %v", n.Name, shape, ok)
		}
		if info := f.infos[n.Name]; n.Tensor.Size() > 0 && (8+len(f.data))%8 == 0 && info.begin%int64(n.Tensor.DType().Size()) != 0 {
			t.Errorf("%s is not aligned: byte %d", n.Name, info.begin)
		}
		read = append(read, got)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for i, n := range named {
		sameTensor(t, n.Name, read[i], n.Tensor) // also after Close
	}
	if _, err := f.Tensor("f32"); err == nil {
		t.Error("a closed file was read")
	}

	slices.Reverse(named)
	other := filepath.Join(dir, "b.safetensors")
	if err := Write(other, named, metadata); err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(path)
	b, _ := os.ReadFile(other)
	if !slices.Equal(a, b) {
		t.Error("the order of the tensors changes the file")
	}
	if headerSize := binary.LittleEndian.Uint64(a); headerSize%8 != 0 {
		t.Errorf("header of %d bytes: the data are not aligned to 8", headerSize)
	}
}

func TestWriteErrors(t *testing.T) {
	one := tensors.FromScalar(float32(1))
	for _, c := range []struct {
		name  string
		named []Named
		want  string
	}{
		{"twice", []Named{{"a", one}, {"a", one}}, "tensor a is given twice"},
		{"no value", []Named{{"a", nil}}, "tensor a has no value"},
		{"no name", []Named{{"", one}}, `"" cannot be`},
		{"metadata", []Named{{metadataKey, one}}, "cannot be"},
		{"type", []Named{{"a", tensors.FromScalar(complex64(1))}}, "tensor a"},
	} {
		dir := t.TempDir()
		err := Write(filepath.Join(dir, "x.safetensors"), c.named, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "x.safetensors") {
			t.Errorf("%s: error %v", c.name, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("%s: %v was left behind", c.name, entries)
		}
	}
}

// raw is a file with this header and so many bytes of data.
func raw(header string, data int) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), make([]byte, data)...)
}

func TestOpenErrors(t *testing.T) {
	huge := binary.LittleEndian.AppendUint64(nil, 1<<40)
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "0 bytes are too few"},
		{"short", []byte{1, 2}, "2 bytes are too few"},
		{"huge header", huge, "more than 100 MB"},
		{"cut header", raw(`{"a"`, 0)[:10], "truncated"},
		{"no JSON", raw(`hello`, 0), "not a safetensors file"},
		{"array", raw(`[]`, 0), "not a JSON object"},
		{"something behind", raw(`{}x`, 0), "not a safetensors file"},
		{"no dtype", raw(`{"a":{"shape":[],"data_offsets":[0,4]}}`, 4), "tensor a: dtype is missing"},
		{"no shape", raw(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4), "tensor a: shape is missing"},
		{"no offsets", raw(`{"a":{"dtype":"F32","shape":[]}}`, 4), "tensor a: data_offsets"},
		{"unknown dtype", raw(`{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}`, 1), `tensor a: dtype "F8_E4M3"`},
		{"cut data", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 7), "tensor a: truncated"},
		{"backwards", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4), "tensor a: data_offsets"},
		{"negative", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}`, 4), "tensor a: data_offsets"},
		{"wrong size", raw(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8), "tensor a: F32 of shape [3] takes 12 bytes, data_offsets give 8"},
		{"overflow", raw(`{"a":{"dtype":"F32","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,8]}}`, 8), "tensor a: shape"},
		{"dimension", raw(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4), "tensor a: dimension -1"},
		{"fraction", raw(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, 4), "tensor a"},
		{"twice", raw(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"a":{}}`, 4), "tensor a is listed twice"},
		{"overlap", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}`, 8), "tensor b overlaps tensor a"},
		{"gap", raw(`{"a":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}`, 8), "tensor a: 4 bytes in front"},
		{"rest", raw(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 8), "4 bytes at the end"},
		{"metadata", raw(`{"__metadata__":{"a":1}}`, 0), "__metadata__"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.safetensors")
			if err := os.WriteFile(path, c.file, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q and the path", err, c.want)
			}
		})
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: error %v", err)
	}
}

func TestBadBool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	file := raw(`{"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}`, 1)
	file[len(file)-1] = 2
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Tensor("a"); err == nil || !strings.Contains(err.Error(), "tensor a") {
		t.Errorf("error %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed.safetensors")
	if err := Write(path, allTypes(), map[string]string{"format": "pt"}); err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(raw(`{}`, 0))
	f.Add(raw(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		file, err := Open(path)
		if err != nil {
			return
		}
		defer file.Close()
		for _, name := range file.Names() {
			if x, err := file.Tensor(name); err == nil && x.ByteSize() > int64(len(data)) {
				t.Errorf("%s has %d bytes, the file %d", name, x.ByteSize(), len(data))
			}
			file.Float32Tensor(name)
		}
	})
}
