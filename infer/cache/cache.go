// Package cache keeps the states of a frozen image encoder in files, so that they are computed once
// for a data set, whatever its size, and read a batch at a time.
//
//	cache.go  what a cache is of, its folder, finding it again
//	row.go    a picture's states as bytes: float32, bfloat16 or int8, with a checksum
//	build.go  writing what is missing; a kill loses the shard under way
//	read.go   rows of a batch
//
// A cache is a folder of one folder per Key, named by its hash:
//
//	DIR/KEY/index.json       the key, and how the rows are divided
//	DIR/KEY/shard-00000.bin  rows of equal size, one after the other
//
// A shard appears when it is whole, so what is there can be used, and a build that was killed goes on
// where it stopped. Features of other weights, pictures or transforms have another key and lie beside.
package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"goblip/checkpoints"
	"goblip/internal/bounded"
)

// Key says what the rows of a cache are: each of the fields changes them.
type Key struct {
	Weights   string `json:"weights"`   // hash of the encoder's tensors and config
	Transform string `json:"transform"` // hash of how pictures become pixel values
	Pictures  string `json:"pictures"`  // hash of the pictures
	Type      string `json:"type"`      // of Types
	Rows      int    `json:"rows"`      // pictures times crops
	Tokens    int    `json:"tokens"`    // of a picture
	Width     int    `json:"width"`     // of a token
}

// Types are how numbers are kept. bf16 has half of the bytes of f32, int8 a quarter: each column of a
// picture's states has a scale of its own.
var Types = []string{"bf16", "int8", "f32"}

const (
	// version is of the layout, and of what decodes and encodes pictures.
	version   = 1
	indexFile = "index.json"

	// shardBytes is about what a shard has, and what a kill loses at most.
	shardBytes = 64 << 20
	// shardStep divides the rows of a shard: encoders run on batches of 64.
	shardStep = 64

	maxIndex = 1 << 20
	maxRows  = 1 << 32
	maxRow   = 1 << 30 // bytes
)

// index is the content of indexFile.
type index struct {
	Version   int    `json:"version"`
	Key       Key    `json:"key"`
	ShardRows int    `json:"shard_rows"`
	Stamp     string `json:"stamp,omitempty"` // of the pictures when they were last read: see Find
}

// Cache is the rows of one key.
type Cache struct {
	dir   string
	index index
	row   layout
}

// Validate refuses keys that no cache can have.
func (k *Key) Validate() error {
	if _, err := layoutOf(k); err != nil {
		return err
	}
	if k.Rows < 1 || k.Rows > maxRows {
		return fmt.Errorf("%d rows", k.Rows)
	}
	if k.Weights == "" || k.Transform == "" || k.Pictures == "" {
		return errors.New("weights, transform and pictures must be given")
	}
	return nil
}

// id names the folder of a key.
func (k Key) id() string {
	text, err := json.Marshal(struct {
		Version int
		Key     Key
	}{version, k})
	if err != nil {
		panic(err) // strings and numbers always have a JSON form
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Open opens the rows of a key below dir, or begins them. others says in a few words what dir holds
// instead; empty if it holds them, or nothing.
func Open(dir string, key Key, stamp string) (c *Cache, others string, err error) {
	if err := key.Validate(); err != nil {
		return nil, "", fmt.Errorf("feature cache %s: %w", dir, err)
	}
	c = &Cache{dir: filepath.Join(dir, key.id())}
	c.row, _ = layoutOf(&key)
	known, err := readIndex(c.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if others, err = differences(dir, key); err != nil {
			return nil, "", err
		}
		if err := os.MkdirAll(c.dir, 0o755); err != nil {
			return nil, "", err
		}
		c.index = index{Version: version, Key: key, ShardRows: shardRows(c.row.size), Stamp: stamp}
		return c, others, c.writeIndex()
	case err != nil:
		return nil, "", err
	case known.Key != key:
		return nil, "", fmt.Errorf("%s: is of other features than its folder is named after", filepath.Join(c.dir, indexFile))
	}
	c.index = known
	if stamp != "" && known.Stamp != stamp {
		c.index.Stamp = stamp
		return c, "", c.writeIndex()
	}
	return c, "", nil
}

// Find opens the rows of a key whose pictures are known by their stamp alone, not by their hash, which
// takes reading them. Nil: there are none.
func Find(dir string, key Key, stamp string) (*Cache, error) {
	if stamp == "" {
		return nil, nil
	}
	all, err := readIndexes(dir)
	for _, known := range all {
		want := key
		want.Pictures = known.Key.Pictures
		if known.Stamp == stamp && known.Key == want {
			c, _, err := Open(dir, want, stamp)
			return c, err
		}
	}
	return nil, err
}

// differences says what the folders of dir are of, and the key is not.
func differences(dir string, key Key) (string, error) {
	all, err := readIndexes(dir)
	if err != nil || len(all) == 0 {
		return "", err
	}
	closest := ""
	for i, known := range all {
		var other []string
		for _, field := range []struct {
			name string
			same bool
		}{
			{"weights", known.Key.Weights == key.Weights && known.Key.Tokens == key.Tokens && known.Key.Width == key.Width},
			{"another transform", known.Key.Transform == key.Transform},
			{"pictures", known.Key.Pictures == key.Pictures && known.Key.Rows == key.Rows},
			{"another type (" + known.Key.Type + ")", known.Key.Type == key.Type},
		} {
			if !field.same {
				name := field.name
				if !strings.HasPrefix(name, "another") {
					name = "other " + name
				}
				other = append(other, name)
			}
		}
		if text := strings.Join(other, ", "); i == 0 || len(text) < len(closest) {
			closest = text
		}
	}
	return closest, nil
}

// readIndexes reads the indexes below dir; folders without one are passed over.
func readIndexes(dir string) ([]index, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []index
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		one, err := readIndex(filepath.Join(dir, entry.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func readIndex(dir string) (x index, err error) {
	path := filepath.Join(dir, indexFile)
	data, err := bounded.ReadFile(path, maxIndex)
	if err != nil {
		return x, err
	}
	if x, err = parseIndex(data); err != nil {
		return x, fmt.Errorf("%s: %w; remove %s to build it anew", path, err, dir)
	}
	return x, nil
}

// parseIndex reads an index and refuses what cannot be one.
func parseIndex(data []byte) (x index, err error) {
	if err := json.Unmarshal(data, &x); err != nil {
		return x, fmt.Errorf("bad JSON: %w", err)
	}
	if x.Version != version {
		return x, fmt.Errorf("a feature cache of version %d, this program has %d", x.Version, version)
	}
	if err := x.Key.Validate(); err != nil {
		return x, err
	}
	row, _ := layoutOf(&x.Key)
	if x.ShardRows != shardRows(row.size) {
		return x, fmt.Errorf("shards of %d rows, want %d", x.ShardRows, shardRows(row.size))
	}
	return x, nil
}

func (c *Cache) writeIndex() error {
	data, err := json.MarshalIndent(c.index, "", "  ")
	if err != nil {
		return err
	}
	return checkpoints.WriteFile(filepath.Join(c.dir, indexFile), append(data, '\n'))
}

// shardRows is how many rows of so many bytes a shard has.
func shardRows(size int) int { return max(shardBytes/size/shardStep, 1) * shardStep }

// Dir is the folder of the rows.
func (c *Cache) Dir() string { return c.dir }

// Len is the number of rows.
func (c *Cache) Len() int { return c.index.Key.Rows }

// Bytes is what all rows take on disk.
func (c *Cache) Bytes() int64 { return int64(c.Len()) * int64(c.row.size) }

func (c *Cache) shardPath(shard int) string {
	return filepath.Join(c.dir, fmt.Sprintf("shard-%05d.bin", shard))
}

// span is the rows of a shard: the first, and how many.
func (c *Cache) span(shard int) (first, n int) {
	first = shard * c.index.ShardRows
	return first, min(c.index.ShardRows, c.Len()-first)
}

func (c *Cache) shards() int { return (c.Len() + c.index.ShardRows - 1) / c.index.ShardRows }
