package shapes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	stdimage "image"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"goblip/datasets"
)

// Config says how large a corpus is; zero fields take the defaults.
type Config struct {
	Train int    `json:"train"` // pictures
	Val   int    `json:"val"`
	Test  int    `json:"test"`
	Size  int    `json:"size"` // pixels, both sides
	Seed  uint64 `json:"seed"`

	// Noise is the share of spoilt texts in web.jsonl, which shows the training pictures with one text each,
	// as pages of the web have it; 0: no such file.
	Noise float64 `json:"noise,omitempty"`
	Human int     `json:"human,omitempty"` // pictures of human.jsonl, a clean set beside the noisy one
}

// DefaultHuman is the size of the clean set beside a noisy one.
const DefaultHuman = 500

// Default is the corpus of the quickstart.
func Default() Config { return Config{Train: 24000, Val: 500, Test: 1000, Size: 48, Seed: 1} }

// withDefaults fills zero fields, the seed excepted: 0 is a seed.
func (c Config) withDefaults() Config {
	d := Default()
	for _, f := range []struct{ field, value *int }{
		{&c.Train, &d.Train}, {&c.Val, &d.Val}, {&c.Test, &d.Test}, {&c.Size, &d.Size},
	} {
		if *f.field == 0 {
			*f.field = *f.value
		}
	}
	if c.Noise > 0 && c.Human == 0 {
		c.Human = DefaultHuman
	}
	return c
}

// Validate reports the first field that is out of bounds.
func (c Config) Validate() error {
	for _, f := range []struct {
		name             string
		value, low, high int
	}{
		{"train", c.Train, 1, 10_000_000},
		{"val", c.Val, 1, 5000}, // all scenes of these two differ
		{"test", c.Test, 1, 5000},
		{"size", c.Size, 24, 512}, // below 24 pixels a small shape is a blot
		{"human", c.Human, 0, 10_000_000},
	} {
		if f.value < f.low || f.value > f.high {
			return fmt.Errorf("shapes: %s: %d is out of range %d..%d", f.name, f.value, f.low, f.high)
		}
	}
	if !(c.Noise >= 0 && c.Noise <= 1) {
		return fmt.Errorf("shapes: noise: %g is out of range 0..1", c.Noise)
	}
	if c.Human > 0 && c.Noise == 0 {
		return errors.New("shapes: human: the clean set belongs to a noisy one, and noise is 0")
	}
	return nil
}

// The files of a corpus. The marker is written last: where it is, all is there.
const (
	markerFile = "corpus.json"
	imagesDir  = "images"
	webFile    = "web.jsonl" // train.jsonl's pictures with noisy texts
)

var splits = []struct {
	name string
	id   int
	size func(Config) int
}{
	{"train", splitTrain, func(c Config) int { return c.Train }},
	{"val", splitVal, func(c Config) int { return c.Val }},
	{"test", splitTest, func(c Config) int { return c.Test }},
	{"human", splitHuman, func(c Config) int { return c.Human }},
}

// Files are the names of the sets that a corpus of this config has.
func (c Config) Files() []string {
	var names []string
	for _, split := range splits {
		if split.size(c.withDefaults()) > 0 {
			names = append(names, split.name+".jsonl")
		}
	}
	if c.Noise > 0 {
		names = append(names, webFile)
	}
	return names
}

// marker is the content of corpus.json. Version changes with the pictures.
type marker struct {
	Corpus  string `json:"corpus"`
	Version int    `json:"version"`
	Config
}

// Generate writes dir/{train,val,test}.jsonl and dir/images; with noise also web.jsonl and human.jsonl. The bytes depend
// on the config only, not on the number of processors. A corpus of the same
// config is left as it is, one of another config is replaced; any other folder
// that holds something is refused. progress may be nil.
func Generate(dir string, config Config, progress func(done, total int)) error {
	config = config.withDefaults()
	if err := config.Validate(); err != nil {
		return err
	}
	want, err := json.Marshal(marker{"shapes", 1, config})
	if err != nil {
		return err
	}
	want = append(want, '\n')
	have, err := os.ReadFile(filepath.Join(dir, markerFile))
	switch {
	case err == nil && bytes.Equal(have, want):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			return fmt.Errorf("%s: holds files that are not a generated corpus; choose another folder", dir)
		}
	case err != nil:
		return err
	}
	// Everything is made beside dir and moved when complete.
	work := filepath.Clean(dir) + ".partial"
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	done, total := 0, config.Train+config.Val+config.Test+config.Human
	for _, split := range splits {
		if split.size(config) == 0 {
			continue
		}
		err := generateSplit(work, config, split.name, split.id, split.size(config), func() {
			done++
			if progress != nil {
				progress(done, total)
			}
		})
		if err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(work, markerFile), want, 0o644); err != nil {
		return err
	}
	return install(work, dir)
}

// install moves a finished corpus into place. A kill in the middle leaves no corpus, or one whose
// marker says that it must be made again.
func install(work, dir string) error {
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(dir)), 0o755); err != nil {
		return err
	}
	// Into an empty place: in one step.
	if err := os.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
		return os.Rename(work, dir)
	}
	names := []string{imagesDir, webFile}
	for _, split := range splits {
		names = append(names, split.name+".jsonl")
	}
	if err := os.WriteFile(filepath.Join(dir, markerFile), []byte("{\"corpus\":\"shapes\",\"version\":0}\n"), 0o644); err != nil {
		return err
	}
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for _, name := range append(names, markerFile) {
		err := os.Rename(filepath.Join(work, name), filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // not every corpus has every file
			return err
		}
	}
	return nil
}

func generateSplit(dir string, config Config, name string, split, n int, step func()) error {
	scenes, err := sampleScenes(config.Seed, split, n)
	if err != nil {
		return err
	}
	folder := filepath.Join(imagesDir, name)
	if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
		return err
	}
	lines := make([][]byte, n)
	var next atomic.Int64
	var mu sync.Mutex
	var firstErr error
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			encoder := newEncoder()
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				file := pictureFile(folder, i)
				pixels := Draw(scenes[i], config.Size, newRand(config.Seed, split, i, streamPicture))
				err := encoder.write(filepath.Join(dir, file), pixels, config.Size)
				if err == nil {
					lines[i], err = recordLine(config.Seed, name, file, split, i, scenes[i])
				}
				mu.Lock()
				if err != nil && firstErr == nil {
					firstErr = err
				}
				failed := firstErr != nil
				if !failed {
					step()
				}
				mu.Unlock()
				if failed {
					return
				}
			}
		})
	}
	workers.Wait()
	if firstErr != nil {
		return firstErr
	}
	if err := os.WriteFile(filepath.Join(dir, name+".jsonl"), bytes.Join(lines, nil), 0o644); err != nil {
		return err
	}
	if split != splitTrain || config.Noise == 0 {
		return nil
	}
	for i := range lines {
		if lines[i], err = webLine(config, folder, i, scenes); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, webFile), bytes.Join(lines, nil), 0o644)
}

// recordLine is one line of JSONL, its new line included.
func recordLine(seed uint64, name, file string, split, index int, scene Scene) ([]byte, error) {
	truth, err := json.Marshal(scene)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(datasets.Record{
		ID:        recordID(name, index),
		Image:     filepath.ToSlash(file),
		Captions:  Captions(scene, newRand(seed, split, index, streamCaptions)),
		Questions: Questions(scene, newRand(seed, split, index, streamQuestions)),
		Scene:     truth,
	})
	return append(text, '\n'), err
}

func recordID(split string, index int) string { return fmt.Sprintf("%s-%06d", split, index) }

func pictureFile(folder string, index int) string {
	return filepath.Join(folder, fmt.Sprintf("%06d.png", index))
}

// webLine is a line of web.jsonl: a training picture with one text, which may be spoilt.
func webLine(config Config, folder string, index int, scenes []Scene) ([]byte, error) {
	truth, err := json.Marshal(scenes[index])
	if err != nil {
		return nil, err
	}
	text, noise := webText(config.Noise, scenes, index, newRand(config.Seed, splitTrain, index, streamNoise))
	line, err := json.Marshal(datasets.Record{
		ID: recordID("train", index), Image: filepath.ToSlash(pictureFile(folder, index)), Captions: []string{text}, Noise: []string{noise}, Scene: truth,
	})
	return append(line, '\n'), err
}

// encoder keeps a PNG encoder's buffers between pictures.
type encoder struct {
	png    png.Encoder
	buffer bytes.Buffer
	img    *stdimage.NRGBA
}

// newEncoder stores pixels as they are: compression takes most of the time of
// a corpus and, as noise does not compress, saves no block of the disk.
func newEncoder() *encoder {
	return &encoder{png: png.Encoder{CompressionLevel: png.NoCompression, BufferPool: new(onePool)}}
}

func (e *encoder) write(path string, pixels []byte, size int) error {
	if e.img == nil {
		e.img = stdimage.NewNRGBA(stdimage.Rect(0, 0, size, size))
	}
	for i := range size * size {
		p := e.img.Pix[4*i : 4*i+4]
		p[0], p[1], p[2], p[3] = pixels[3*i], pixels[3*i+1], pixels[3*i+2], 255
	}
	e.buffer.Reset()
	if err := e.png.Encode(&e.buffer, e.img); err != nil {
		return err
	}
	return os.WriteFile(path, e.buffer.Bytes(), 0o644)
}

// onePool is a pool for one goroutine.
type onePool struct{ kept *png.EncoderBuffer }

func (p *onePool) Get() *png.EncoderBuffer  { return p.kept }
func (p *onePool) Put(b *png.EncoderBuffer) { p.kept = b }
