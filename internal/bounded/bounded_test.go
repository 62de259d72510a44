package bounded

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadFile(t *testing.T) {
	const limit = 1 << 20
	path := filepath.Join(t.TempDir(), "file")
	for _, size := range []int{0, limit, limit + 1} {
		if err := os.WriteFile(path, make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
		data, err := ReadFile(path, limit)
		if size <= limit && (err != nil || len(data) != size) {
			t.Errorf("%d bytes: got %d, %v", size, len(data), err)
		}
		if size > limit && (err == nil || !strings.Contains(err.Error(), path+": larger than 1 MiB")) {
			t.Errorf("%d bytes: got error %v", size, err)
		}
	}
	if _, err := ReadFile(path+"s", limit); !os.IsNotExist(err) {
		t.Errorf("no such file: got error %v", err)
	}
}
