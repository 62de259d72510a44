//go:build unix

package checkpoints

import (
	"os"
	"syscall"
)

// mapFile makes a file's bytes readable in memory, by mapping it where the system can.
func mapFile(f *os.File, size int64) (*mapping, error) {
	data, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil { // some network and FUSE file systems cannot
		return readWhole(f, size)
	}
	return &mapping{data, func() error { return syscall.Munmap(data) }, release}, nil
}
