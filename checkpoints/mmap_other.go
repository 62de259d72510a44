//go:build !unix

package checkpoints

import "os"

// mapFile makes a file's bytes readable in memory.
func mapFile(f *os.File, size int64) (data []byte, unmap func() error, err error) {
	return readWhole(f, size)
}
