package image

import (
	"bytes"
	"errors"
	"fmt"
	stdimage "image"
	"io"
	"io/fs"
	"os"

	_ "image/gif" // the first frame only
	_ "image/jpeg"
	_ "image/png"

	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/webp"
)

const (
	// MaxPixels bounds a picture's width x height: a header of a few bytes
	// can otherwise ask for gigabytes.
	MaxPixels = 64 << 20
	// MaxSide bounds each side; no supported camera or screen comes near it.
	MaxSide = 1 << 16
	// MaxFileBytes bounds the encoded file.
	MaxFileBytes = 256 << 20
)

// RGB is a picture as packed bytes, [height, width, 3].
type RGB struct {
	Pix           []byte
	Width, Height int
}

// Decode reads a JPEG, PNG, GIF (first frame), WebP or BMP. Sizes are checked
// before pixels are allocated.
func Decode(data []byte, alpha Alpha) (RGB, error) {
	config, format, err := stdimage.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		if errors.Is(err, stdimage.ErrFormat) {
			return RGB{}, errors.New("not a JPEG, PNG, GIF, WebP or BMP picture")
		}
		return RGB{}, fmt.Errorf("damaged picture header: %w", plainEOF(err))
	}
	if err := checkSize(config.Width, config.Height); err != nil {
		return RGB{}, err
	}
	img, _, err := stdimage.Decode(bytes.NewReader(data))
	if err != nil {
		return RGB{}, fmt.Errorf("damaged or truncated %s picture: %w", format, plainEOF(err))
	}
	// A GIF's first frame may be smaller than the screen its header promises,
	// and a damaged file may hold no pixel at all.
	if b := img.Bounds(); b.Dx() <= 0 || b.Dy() <= 0 {
		return RGB{}, fmt.Errorf("%s picture without pixels", format)
	}
	return toRGB(img, format, alpha), nil
}

// Open reads and decodes a picture file; its errors name the file.
func Open(path string, alpha Alpha) (RGB, error) {
	info, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return RGB{}, fmt.Errorf("picture path does not exist: %s", path)
		}
		return RGB{}, err
	}
	if !info.Mode().IsRegular() {
		return RGB{}, fmt.Errorf("%s: not a file", path)
	}
	if info.Size() > MaxFileBytes {
		return RGB{}, fmt.Errorf("%s: picture file of %d bytes is over the limit of %d", path, info.Size(), MaxFileBytes)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return RGB{}, err
	}
	rgb, err := Decode(data, alpha)
	if err != nil {
		return RGB{}, fmt.Errorf("%s: %w", path, err)
	}
	return rgb, nil
}

// Size reads a picture's width and height from its header.
func Size(path string) (width, height int, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, fmt.Errorf("picture path does not exist: %s", path)
	}
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	config, _, err := stdimage.DecodeConfig(file)
	if err == nil {
		err = checkSize(config.Width, config.Height)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", path, plainEOF(err))
	}
	return config.Width, config.Height, nil
}

func checkSize(width, height int) error {
	if width < 1 || height < 1 || width > MaxSide || height > MaxSide || width*height > MaxPixels {
		return fmt.Errorf("picture size %dx%d is out of bounds (at most %d pixels)", width, height, MaxPixels)
	}
	return nil
}

// plainEOF words the end of a file as users know it.
func plainEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file ends too early")
	}
	return err
}
