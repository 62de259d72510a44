// Package bounded reads files whose size nothing else bounds: those that others made.
package bounded

import (
	"fmt"
	"io"
	"os"
)

// ReadFile is os.ReadFile for a file of at most limit bytes, whole MiB. It does not ask for the size
// first, which a pipe does not have and another program may change.
func ReadFile(path string, limit int) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, int64(limit)+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("larger than %d MiB", limit>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}
