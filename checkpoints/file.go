package checkpoints

import "io"

// WriteFile writes a file whole or not at all: under a temporary name, synced, then renamed.
func WriteFile(path string, data []byte) error {
	return writeAtomic(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
