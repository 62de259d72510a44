package checkpoints

import "os"

// mapping is a file whose bytes are readable in memory.
type mapping struct {
	data  []byte
	unmap func() error

	// release says that a part of data is not needed in memory any more: else the whole of a large
	// checkpoint would count as this process' memory once it was read. It stays readable.
	release func(part []byte)
}

// readWhole is mapFile for systems that cannot map files.
func readWhole(f *os.File, size int64) (*mapping, error) {
	data := make([]byte, size)
	if _, err := f.ReadAt(data, 0); err != nil {
		return nil, err
	}
	return &mapping{data, func() error { return nil }, func([]byte) {}}, nil
}
