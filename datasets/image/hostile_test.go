package image

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// promises are files of a few bytes that promise a picture of a size.
func promises(width, height int) map[string][]byte {
	w, h := uint32(width), uint32(height)
	le16 := func(b []byte, values ...int) []byte {
		for _, v := range values {
			b = le.AppendUint16(b, uint16(v))
		}
		return b
	}
	riff := func(chunk string, body []byte) []byte {
		b := le.AppendUint32([]byte("RIFF"), uint32(12+len(body)))
		b = append(b, "WEBP"+chunk...)
		return append(le.AppendUint32(b, uint32(len(body))), body...)
	}
	vp8 := le16([]byte{0x10, 0, 0, 0x9d, 1, 0x2a}, width, height)
	canvas := append(make([]byte, 4), byte(w-1), byte((w-1)>>8), byte((w-1)>>16), byte(h-1), byte((h-1)>>8), byte((h-1)>>16))
	extended := riff("VP8X", canvas)
	extended = append(le.AppendUint32(append(extended, "VP8 "...), 10), vp8...)
	jpeg := []byte{0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), 1, 1, 0x11, 0}
	jpeg = append(jpeg, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0)
	bmp := append([]byte("BM"), make([]byte, 52)...)
	le.PutUint32(bmp[10:], 54)
	le.PutUint32(bmp[14:], 40)
	le.PutUint32(bmp[18:], w)
	le.PutUint32(bmp[22:], h)
	le.PutUint16(bmp[28:], 24)
	runs := slices.Clone(bmp)
	le.PutUint16(runs[28:], 8)
	le.PutUint32(runs[30:], bmpRLE8)
	return map[string][]byte{
		"bomb.png":      pngPromise(w, h),
		"bomb.jpg":      jpeg,
		"bomb.gif":      append(le16([]byte("GIF89a"), width, height), 0, 0, 0, 0x2c, 0, 0, 0, 0, byte(w), byte(w>>8), byte(h), byte(h>>8), 0, 8, 0),
		"bomb.bmp":      bmp,
		"runs.bmp":      runs,
		"lossy.webp":    riff("VP8 ", vp8),
		"lossless.webp": riff("VP8L", append([]byte{0x2f}, le.AppendUint32(nil, (w-1)&0x3fff|(h-1)&0x3fff<<14)...)),
		"canvas.webp":   extended,
	}
}

// TestHostileSizes wants files that promise too much, or much and hold nothing,
// to be refused at once and without the memory they ask for.
func TestHostileSizes(t *testing.T) {
	for _, tc := range []struct {
		name          string
		width, height int
		want          string
		only          string // files that can say such a size
	}{
		{"over any limit", 1 << 30, 1 << 30, "out of bounds", "bomb.png bomb.bmp runs.bmp"},
		{"100,000 squared", 100_000, 100_000, "out of bounds", "bomb.png bomb.bmp runs.bmp"},
		{"16 bits", 65_535, 65_535, "out of bounds", "bomb.png bomb.jpg bomb.gif bomb.bmp runs.bmp"},
		{"14 bits", 16_383, 16_383, "out of bounds", ""},
		{"a long strip", 1, 1 << 31, "", "bomb.png bomb.bmp"},
		{"within bounds, without pixels", 9_000, 9_000, "ends too early", "bomb.png bomb.gif bomb.bmp runs.bmp lossy.webp"},
		{"within bounds, without tables", 9_000, 9_000, "missing", ""},
	} {
		dir := t.TempDir()
		for name, data := range promises(tc.width, tc.height) {
			if tc.only != "" && !strings.Contains(tc.only, name) {
				continue
			}
			if tc.want == "missing" && name != "bomb.jpg" {
				continue
			}
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			_, err := Open(path, Options{Alpha: AlphaWhite})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.HasPrefix(err.Error(), path+": ") {
				t.Errorf("%s: %s: error %v", tc.name, name, err)
				continue
			}
			if tc.want == "missing" {
				if !strings.Contains(err.Error(), "missing") && !strings.Contains(err.Error(), "too few") {
					t.Errorf("%s: %s: error %v", tc.name, name, err)
				}
			} else if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %s: error %v, want %q", tc.name, name, err, tc.want)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
				t.Errorf("%s: %s: took %d bytes of memory", tc.name, name, used)
			}
			if took > time.Second { // milliseconds, on a machine that does nothing else
				t.Errorf("%s: %s: took %s", tc.name, name, took)
			}
		}
	}
}

// TestEveryCutIsNoticed cuts pictures at every length: an error, or Pillow's
// bytes where only what follows the picture is missing; never a panic.
func TestEveryCutIsNoticed(t *testing.T) {
	for _, name := range []string{"rgb.png", "palette.png", "photo420.jpg", "progressive.jpg", "lossy.webp", "lossless.webp", "palette.gif", "bitmap.bmp"} {
		whole, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := Decode(whole, Options{})
		if err != nil {
			t.Fatal(err)
		}
		opened := 0
		for n := range whole {
			got, err := Decode(whole[:n], Options{})
			if err == nil {
				opened++
				if !slices.Equal(got.Pix, want.Pix) {
					t.Errorf("%s: %d of %d bytes give another picture", name, n, len(whole))
				}
			} else if strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: error of several lines: %v", name, err)
			}
		}
		if opened > 20 {
			t.Errorf("%s: opens at %d lengths of %d", name, opened, len(whole))
		}
	}
}

// fuzzFormat feeds one format with the files of testdata that have the extension.
func fuzzFormat(f *testing.F, extension string, prepare func([]byte) []byte) {
	files, err := filepath.Glob("testdata/*." + extension)
	if err != nil {
		f.Fatal(err)
	}
	variety, err := filepath.Glob("testdata/variety/*." + extension)
	if err != nil {
		f.Fatal(err)
	}
	if len(files)+len(variety) == 0 {
		f.Fatal("no seeds")
	}
	for _, file := range append(files, variety...) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for name, data := range promises(300, 200) {
		if strings.HasSuffix(name, extension) {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		data = prepare(data)
		width, height, err := SizeOf(data)
		if err != nil || width*height > 1<<20 {
			return // legal, and too slow for a fuzzer
		}
		for _, options := range []Options{{}, {Alpha: AlphaWhite, Upright: true}} {
			img, err := Decode(data, options)
			if err == nil && (img.Width*img.Height != width*height || len(img.Pix) != width*height*3) {
				t.Errorf("%dx%d with %d bytes, the header says %dx%d", img.Width, img.Height, len(img.Pix), width, height)
			}
		}
	})
}

func asItIs(data []byte) []byte { return data }

func FuzzJPEG(f *testing.F) { fuzzFormat(f, "jpg", asItIs) }
func FuzzGIF(f *testing.F)  { fuzzFormat(f, "gif", asItIs) }
func FuzzWebP(f *testing.F) { fuzzFormat(f, "webp", asItIs) }
func FuzzBMP(f *testing.F)  { fuzzFormat(f, "bmp", asItIs) }

// FuzzPNG sets the checksums right, which a fuzzer would never guess.
func FuzzPNG(f *testing.F) { fuzzFormat(f, "png", withChecksums) }
