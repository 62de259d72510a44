package checkpoints

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestHostile opens what scripts/golden_hostile.py wrote: each file is refused for what is wrong
// with it, at once and with little memory.
func TestHostile(t *testing.T) {
	wants := map[string]string{
		"a_list.pth":                   `is a list, not a state dict`,
		"big_endian.pth":               `only little-endian`,
		"billion_laughs.pth":           `is a list, not a state dict`,
		"climbing_storage.pth":         `storage "../../etc/passwd" is not in the file`,
		"contains_itself.pth":          `no tensors`,
		"deep_json.safetensors":        `exceeded max depth`,
		"deep_nesting.pth":             `is a list`,
		"deep_tuples.pth":              `is a list`,
		"empty.pth":                    `0 bytes are too few`,
		"empty_stack.pth":              `byte 3: the stack has nothing`,
		"eval.pth":                     `"__builtin__.eval"`,
		"expanded_bomb.pth":            `w: a tensor of size [1000000 1000000] repeats`,
		"extension.pth":                `instruction 0x82`,
		"getattr.pth":                  `"__builtin__.getattr"`,
		"header_2_63.safetensors":      `9223372036854775808 bytes long`,
		"header_2_64.safetensors":      `18446744073709551615 bytes long`,
		"header_of_zeros.safetensors":  `not a JSON object`,
		"hole.safetensors":             `tensor b: 4 bytes in front of it`,
		"huge_dims.pth":                `w: size [2147483647 2147483647`,
		"huge_dims.safetensors":        `tensor a: shape [2147483647`,
		"huge_storage.pth":             `storage "0": 4611686018427387904 elements`,
		"instance.pth":                 `"os.system"`,
		"legacy_short.pth":             `truncated`,
		"legacy_without_storage.pth":   `storage "0" is not in the file`,
		"long_bytes.pth":               `4294967295 bytes of data: longer`,
		"long_digits.pth":              `5001 digits`,
		"long_integer.pth":             `2147483647 bytes: longer`,
		"long_string.pth":              `4611686018427387904 bytes of data: longer`,
		"many_dims.pth":                `w: 1000 dimensions`,
		"many_dims.safetensors":        `tensor a: 1000 dimensions`,
		"memo_index.pth":               `value 1 is not there yet`,
		"missing_storage.pth":          `storage "7" is not in the file`,
		"negative_dim.safetensors":     `tensor a: dimension -1`,
		"negative_offset.pth":          `w: a tensor's offset`,
		"negative_offset.safetensors":  `tensor a: data_offsets [-4, 0]`,
		"negative_stride.pth":          `w: dimension 0 of size [4] with stride [-1]`,
		"no_archive.pth":               `not a zip archive`,
		"no_tensors.pth":               `keys epoch, lr`,
		"object.pth":                   `"os.system"`,
		"os_system_0.pth":              `"posix.system"`,
		"os_system_2.pth":              `"posix.system"`,
		"os_system_4.pth":              `"posix.system"`,
		"os_system_legacy.pth":         `"posix.system"`,
		"outside.pth":                  `w: a tensor of size [4], offset 1`,
		"overflowing_dims.safetensors": `tensor a: dimension 8589934592`,
		"overflowing_stride.pth":       `w: dimension 0`,
		"overlapping.safetensors":      `tensor b overlaps tensor a`,
		"popen.pth":                    `Popen"`,
		"protocol_9.pth":               `protocol 9`,
		"quantized.pth":                `torch.QInt8Storage`,
		"same_bytes.safetensors":       `overlaps`,
		"small_storage.pth":            `it has 16 bytes, 5 elements`,
		"tail.safetensors":             `8 bytes at the end`,
		"truncated.pth":                `truncated`,
		"truncated.safetensors":        `tensor a: truncated`,
		"truncated_pickle.pth":         `truncated`,
		"twice.safetensors":            `tensor a is listed twice`,
		"two_indexes.pth":              `is there twice`,
		"unfinished_marks.pth":         `the stack has nothing`,
		"zip_bomb.pth":                 `record archive/data.pkl is compressed`,
		"zip_bomb_storage.pth":         `record archive/data/0 is compressed`,
	}
	paths, err := filepath.Glob(filepath.Join("testdata", "hostile", "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) != len(wants) {
		t.Errorf("%d files, %d expectations", len(paths), len(wants))
	}
	for _, path := range paths {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			err := readAll(path)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), wants[name]) || !strings.HasPrefix(err.Error(), path) || wants[name] == "" {
				t.Errorf("got %v, want an error with %q", err, wants[name])
			}
			if took > 500*time.Millisecond {
				t.Errorf("took %s", took)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
				t.Errorf("allocated %d bytes", n)
			}
		})
	}
	for _, dir := range []string{".", filepath.Join("testdata", "hostile")} {
		if _, err := os.Stat(filepath.Join(dir, "HACKED")); err == nil {
			t.Errorf("code of a file was run in %s", dir)
		}
	}
}

// readAll opens a file and reads all its tensors.
func readAll(path string) error {
	f, err := OpenTensors(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, name := range f.Names() {
		if _, err := f.Tensor(name); err != nil {
			return err
		}
	}
	return nil
}
