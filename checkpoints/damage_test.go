package checkpoints

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDamagedBit flips one bit of a tensor, which no header or size shows.
func TestDamagedBit(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, 3)
	path := filepath.Join(save(t, dir, 7), "optimizer.safetensors")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 4
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	step, _, damaged, err := LatestUsable(dir)
	if err != nil || step != 3 || len(damaged) != 1 || !strings.Contains(damaged[0].Error(), path+": damaged") {
		t.Errorf("got step %d, damaged %v, %v", step, damaged, err)
	}
	if err := os.RemoveAll(filepath.Join(dir, stepName(3))); err != nil {
		t.Fatal(err)
	}
	if _, _, damaged, err = LatestUsable(dir); !errors.Is(err, ErrNoCheckpoint) || len(damaged) != 1 {
		t.Errorf("nothing usable: got damaged %v, %v", damaged, err)
	}
}

// TestWithoutChecksums reads a checkpoint of a version that wrote none.
func TestWithoutChecksums(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(save(t, dir, 3), stateFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if data = []byte(strings.Replace(string(data), "crc32c", "other", 1)); !strings.Contains(string(data), "other") {
		t.Fatal("no checksums were written")
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if step := latest(t, dir); step != 3 {
		t.Errorf("got step %d", step)
	}
}
