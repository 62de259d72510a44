//go:build !unix

package checkpoints

import "os"

// mapFile makes a file's bytes readable in memory.
func mapFile(f *os.File, size int64) (*mapping, error) {
	return readWhole(f, size)
}
