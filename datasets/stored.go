package datasets

import (
	"errors"
	"fmt"
	"io"

	"goblip/datasets/blob"
	"goblip/datasets/image"
)

// readStored reads a picture's bytes out of a larger file.
func readStored(file blob.Blob, offset, size int64) ([]byte, error) {
	if size > image.MaxFileBytes {
		return nil, fmt.Errorf("picture of %d bytes is over the limit of %d", size, image.MaxFileBytes)
	}
	data := make([]byte, size)
	if _, err := file.ReadAt(data, offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data, nil
}
