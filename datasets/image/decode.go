package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"goblip/datasets/image/jpeg"
)

const (
	// MaxPixels bounds a picture's width x height: a header of a few bytes can
	// otherwise ask for gigabytes. It is the size over which Pillow warns of a
	// decompression bomb.
	MaxPixels = 89_478_485
	// MaxFileBytes bounds the encoded file.
	MaxFileBytes = 256 << 20
)

// RGB is a picture as packed bytes, [height, width, 3].
type RGB struct {
	Pix           []byte
	Width, Height int
}

// Options say what a picture becomes beyond its plain colours.
type Options struct {
	Alpha Alpha // zero value: AlphaDrop
	// Upright turns a picture as its EXIF orientation says. Pillow's Image.open
	// does not, so models were trained and are evaluated without; cameras' photos
	// and transformers' load_image and pipelines want it.
	Upright bool
}

// picture is what a format's decoder gives.
type picture struct {
	RGB
	alpha []byte // [height, width]; nil: opaque
}

func newPicture(width, height int) *picture {
	return &picture{RGB: RGB{Pix: make([]byte, width*height*3), Width: width, Height: height}}
}

// format is one kind of file.
type format struct {
	name  string
	is    func(data []byte) bool
	size  func(data []byte) (width, height int, err error)
	read  func(data []byte, withAlpha bool) (*picture, error) // after size was found to be in bounds
	turns func(data []byte) metadata
}

func startsWith(magic string) func([]byte) bool {
	return func(data []byte) bool { return bytes.HasPrefix(data, []byte(magic)) }
}

var formats = []format{
	{"JPEG", startsWith("\xff\xd8"), jpeg.Size, readJPEG, jpegMetadata},
	{"PNG", startsWith(pngMagic), pngSize, readPNG, pngMetadata},
	{"GIF", startsWith("GIF8"), gifSize, readGIF, nil},
	{"WebP", func(data []byte) bool {
		return startsWith("RIFF")(data) && len(data) >= 12 && string(data[8:12]) == "WEBP"
	}, webpSize, readWebP, webpMetadata},
	{"BMP", startsWith("BM"), bmpSize, readBMP, nil},
}

var (
	errUnknown   = errors.New("not a JPEG, PNG, GIF, WebP or BMP picture")
	errTruncated = errors.New("the file ends too early")
)

func formatOf(data []byte) (*format, error) {
	for i := range formats {
		if formats[i].is(data) {
			return &formats[i], nil
		}
	}
	return nil, errUnknown
}

// IsPicture says whether data begins as the file of a picture does that Decode reads.
func IsPicture(data []byte) bool {
	_, err := formatOf(data)
	return err == nil
}

// Extension is that of files of the picture's format, ".jpg".
func Extension(data []byte) (string, error) {
	f, err := formatOf(data)
	if err != nil {
		return "", err
	}
	if f.name == "JPEG" {
		return ".jpg", nil
	}
	return "." + strings.ToLower(f.name), nil
}

// Decode reads a JPEG, PNG, GIF (first frame), WebP (first frame) or BMP. Sizes
// are checked before pixels are allocated.
func Decode(data []byte, options Options) (RGB, error) {
	f, err := formatOf(data)
	if err != nil {
		return RGB{}, err
	}
	width, height, err := f.size(data)
	if err != nil {
		return RGB{}, fmt.Errorf("damaged picture header: %w", err)
	}
	if err := checkSize(width, height); err != nil {
		return RGB{}, err
	}
	p, err := f.read(data, options.Alpha == AlphaWhite)
	if err != nil {
		return RGB{}, fmt.Errorf("damaged or truncated %s picture: %w", f.name, err)
	}
	if options.Alpha == AlphaWhite && p.alpha != nil {
		onWhite(p)
	}
	if options.Upright && f.turns != nil {
		return upright(p.RGB, f.turns(data).orientation()), nil
	}
	return p.RGB, nil
}

// Open reads and decodes a picture file; its errors name the file.
func Open(path string, options Options) (RGB, error) {
	data, err := ReadFile(path)
	if err != nil {
		return RGB{}, err
	}
	rgb, err := Decode(data, options)
	if err != nil {
		return RGB{}, fmt.Errorf("%s: %w", path, err)
	}
	return rgb, nil
}

// ReadFile reads a picture file without decoding it; its errors name the file.
func ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("picture path does not exist: %s", path)
		}
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a file", path)
	}
	if info.Size() > MaxFileBytes {
		return nil, fmt.Errorf("%s: picture file of %d bytes is over the limit of %d", path, info.Size(), MaxFileBytes)
	}
	return os.ReadFile(path)
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
	// Headers rarely need more, and files are many.
	const prefix = 64 << 10
	data, err := io.ReadAll(io.LimitReader(file, prefix))
	if err != nil {
		return 0, 0, err
	}
	width, height, err = SizeOf(data)
	if err != nil && len(data) == prefix {
		if data, err = ReadFile(path); err != nil {
			return 0, 0, err
		}
		width, height, err = SizeOf(data)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", path, err)
	}
	return width, height, nil
}

// SizeOf reads a picture's width and height from the bytes of its file.
func SizeOf(data []byte) (width, height int, err error) {
	f, err := formatOf(data)
	if err != nil {
		return 0, 0, err
	}
	if width, height, err = f.size(data); err != nil {
		return 0, 0, fmt.Errorf("damaged picture header: %w", err)
	}
	return width, height, checkSize(width, height)
}

func checkSize(width, height int) error {
	if width < 1 || height < 1 || width > MaxPixels || height > MaxPixels || width*height > MaxPixels {
		return fmt.Errorf("picture size %dx%d is out of bounds (at most %d pixels)", width, height, MaxPixels)
	}
	return nil
}

func readJPEG(data []byte, _ bool) (*picture, error) {
	pix, width, height, err := jpeg.Decode(data)
	if err != nil {
		return nil, err
	}
	return &picture{RGB: RGB{Pix: pix, Width: width, Height: height}}, nil
}
