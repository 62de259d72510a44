package datasets

import (
	"archive/tar"
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"goblip/datasets/image"
	"goblip/internal/bounded"
)

// ManifestFile of a packed data set names its shards; it is written last, and
// is a data source itself.
const ManifestFile = "manifest.json"

// Manifest is the content of ManifestFile.
type Manifest struct {
	Source  string  `json:"source"`
	Records int     `json:"records"`
	Bytes   int64   `json:"bytes"`
	Shards  []Shard `json:"shards"`
}

// Shard is one tar file of a packed data set.
type Shard struct {
	Name    string `json:"name"`
	Records int    `json:"records"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"`
}

// PackOptions say how a source is packed.
type PackOptions struct {
	Dir      string
	Shards   int                   // 0: as many as ShardBytes asks for
	Bytes    int64                 // of a shard, at most about; 0: 256 MiB
	Shuffle  uint64                // seed of a random order; 0: the source's own
	Source   string                // for the manifest
	SkipBad  bool                  // leave out what cannot be read
	Progress func(done, total int) // may be nil
}

const defaultShardBytes = 256 << 20

// Pack writes a source as tar shards of about equal size. The same source and
// options give the same bytes. A picture is stored as it is; what else is known
// of it, as JSON beside it.
func Pack(source Source, o PackOptions) (Manifest, int, error) {
	m := Manifest{Source: o.Source}
	if _, err := os.Stat(filepath.Join(o.Dir, ManifestFile)); err == nil {
		return m, 0, fmt.Errorf("%s holds a packed data set already", o.Dir)
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return m, 0, err
	}
	sizes, err := packedSizes(source, o)
	if err != nil {
		return m, 0, err
	}
	order := make([]int, 0, len(sizes))
	total := int64(0)
	for i, size := range sizes {
		if size > 0 {
			order = append(order, i)
			total += size
		}
	}
	skipped := len(sizes) - len(order)
	if len(order) == 0 {
		return m, skipped, errors.New("nothing to pack")
	}
	if o.Shuffle != 0 {
		Rand(o.Shuffle, streamOrder).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	shards := o.Shards
	if shards == 0 {
		limit := cmp.Or(o.Bytes, defaultShardBytes)
		shards = int((total + limit - 1) / limit)
	}
	shards = min(shards, len(order))
	digits := max(3, len(fmt.Sprint(shards-1)))
	for k, part := range balance(order, sizes, shards) {
		shard, err := packShard(source, part, filepath.Join(o.Dir, fmt.Sprintf("shard-%0*d.tar", digits, k)), m.Records)
		if err != nil {
			return m, skipped, err
		}
		m.Shards = append(m.Shards, shard)
		m.Records += shard.Records
		m.Bytes += shard.Bytes
		if o.Progress != nil {
			o.Progress(m.Records, len(order))
		}
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, skipped, err
	}
	return m, skipped, atomically(filepath.Join(o.Dir, ManifestFile), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// packedSizes is what each record will take; 0 for one that is skipped.
func packedSizes(source Source, o PackOptions) ([]int64, error) {
	sizes := make([]int64, source.Len())
	err := forEach(len(sizes), nil, func(i int) error {
		r, err := source.Record(i)
		var picture, text []byte
		if err == nil {
			picture, err = r.PictureFile()
		}
		if err == nil {
			_, _, err = image.SizeOf(picture)
		}
		if err == nil {
			text, err = packedText(&r)
		}
		if err != nil {
			if o.SkipBad {
				return nil
			}
			return r.named(err)
		}
		sizes[i] = packedSize(len(picture)) + packedSize(len(text))
		return nil
	})
	return sizes, err
}

// packedSize is that of a tar member: a header, and whole blocks.
func packedSize(n int) int64 { return 512 + (int64(n)+511)/512*512 }

// balance cuts an order into runs of about the same number of bytes, none empty.
func balance(order []int, sizes []int64, shards int) [][]int {
	total := int64(0)
	for _, i := range order {
		total += sizes[i]
	}
	var parts [][]int
	first, sum := 0, int64(0)
	for at, i := range order {
		left := shards - len(parts) // shards to fill, this one too
		if left == 1 {
			break
		}
		// The record goes where its middle falls.
		end := total * int64(len(parts)+1) / int64(shards)
		if at > first && (2*sum+sizes[i] > 2*end || len(order)-at < left) {
			parts = append(parts, order[first:at])
			first = at
		}
		sum += sizes[i]
	}
	return append(parts, order[first:])
}

// packedText is the JSON beside a picture.
func packedText(r *Record) ([]byte, error) {
	type text struct { // Record without its picture's path
		ID        string          `json:"id,omitempty"`
		Captions  []string        `json:"captions,omitempty"`
		Questions []Question      `json:"questions,omitempty"`
		Scene     json.RawMessage `json:"scene,omitempty"`
	}
	return json.Marshal(text{r.ID, r.Captions, r.Questions, r.Scene})
}

// packShard writes one shard; its samples are numbered from first.
func packShard(source Source, records []int, path string, first int) (Shard, error) {
	shard := Shard{Name: filepath.Base(path), Records: len(records)}
	err := atomically(path, func(w io.Writer) error {
		hash := sha256.New()
		t := tar.NewWriter(io.MultiWriter(w, hash, (*counter)(&shard.Bytes)))
		add := func(name string, data []byte) error {
			// The oldest layout that all readers know, without times and owners.
			if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), Format: tar.FormatUSTAR}); err != nil {
				return err
			}
			_, err := t.Write(data)
			return err
		}
		for k, i := range records {
			r, err := source.Record(i)
			if err != nil {
				return err
			}
			picture, err := r.PictureFile()
			if err != nil {
				return r.named(err)
			}
			extension, err := image.Extension(picture)
			if err != nil {
				return r.named(fmt.Errorf("%s: %w", r.Image, err))
			}
			text, err := packedText(&r)
			if err != nil {
				return err
			}
			key := fmt.Sprintf("%09d", first+k)
			if err := errors.Join(add(key+extension, picture), add(key+".json", text)); err != nil {
				return err
			}
		}
		err := t.Close()
		shard.SHA256 = hex.EncodeToString(hash.Sum(nil))
		return err
	})
	return shard, err
}

// counter counts what is written.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// atomically writes a file that appears under its name when it is complete.
func atomically(path string, write func(io.Writer) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".writing-*"+filepath.Ext(path))
	if err != nil {
		return err
	}
	defer func() {
		file.Close()
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	w := bufio.NewWriterSize(file, 1<<20)
	if err := write(w); err != nil {
		return err
	}
	if err := errors.Join(w.Flush(), file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// Verify compares the shards of a packed data set with its manifest.
func Verify(manifest string, progress func(done, total int)) ([]Problem, error) {
	m, err := readManifest(manifest)
	if err != nil {
		return nil, err
	}
	found := make([]Problem, len(m.Shards))
	err = forEach(len(m.Shards), progress, func(i int) error {
		shard := m.Shards[i]
		path := filepath.Join(filepath.Dir(manifest), shard.Name)
		file, err := os.Open(path)
		if err != nil {
			found[i] = Problem{path, "the manifest has it, but it cannot be opened"}
			return nil
		}
		defer file.Close()
		hash := sha256.New()
		n, err := io.Copy(hash, file)
		switch {
		case err != nil:
			return err
		case n != shard.Bytes:
			found[i] = Problem{path, fmt.Sprintf("%d bytes, the manifest has %d", n, shard.Bytes)}
		case hex.EncodeToString(hash.Sum(nil)) != shard.SHA256:
			found[i] = Problem{path, "another checksum than the manifest's"}
		}
		return nil
	})
	return slices.DeleteFunc(found, func(p Problem) bool { return p.Where == "" }), err
}

// maxManifest holds that of a million shards.
const maxManifest = 256 << 20

func readManifest(path string) (m Manifest, err error) {
	data, err := bounded.ReadFile(path, maxManifest)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%s: %w", path, jsonError(err, nil))
	}
	for _, s := range m.Shards {
		if s.Name != filepath.Base(s.Name) || s.Name == "" {
			return m, fmt.Errorf("%s: shard name %q is not a file's", path, s.Name)
		}
	}
	return m, nil
}
