package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"goblip/checkpoints"
)

// abandoned is how long nothing was written into a shard that a kill left unfinished.
const abandoned = time.Hour

// Missing is how many rows are yet to be computed. A shard of another size than its own, which no
// build leaves behind, is an error.
func (c *Cache) Missing() (rows int, err error) {
	for shard := range c.shards() {
		there, err := c.has(shard)
		if err != nil {
			return 0, err
		}
		if _, n := c.span(shard); !there {
			rows += n
		}
	}
	return rows, nil
}

func (c *Cache) has(shard int) (bool, error) {
	_, n := c.span(shard)
	info, err := os.Stat(c.shardPath(shard))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if want := int64(n) * int64(c.row.size); info.Size() != want {
		return false, fmt.Errorf("%s: has %d bytes, want %d; remove it to build it anew", c.shardPath(shard), info.Size(), want)
	}
	return true, nil
}

// Build computes the shards that are missing. encode gives the states of n rows from the first on, in
// their order, by calling put with one or several of them at a time: [rows, tokens, width]. Several
// programs may build one cache: each shard is one of theirs.
func (c *Cache) Build(encode func(first, n int, put func(states []float32) error) error) error {
	if err := checkpoints.RemoveOldTemporaries(c.dir, abandoned); err != nil {
		return err
	}
	for shard := range c.shards() {
		there, err := c.has(shard)
		if err != nil {
			return err
		}
		if !there {
			if err := c.buildShard(shard, encode); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Cache) buildShard(shard int, encode func(first, n int, put func(states []float32) error) error) error {
	file, err := checkpoints.CreateFile(c.shardPath(shard))
	if err != nil {
		return err
	}
	defer file.Abort()
	first, n := c.span(shard)
	size := c.row.tokens * c.row.width
	row := make([]byte, c.row.size)
	done := 0
	err = encode(first, n, func(states []float32) error {
		for ; len(states) >= size; states = states[size:] {
			if err := c.row.encode(states[:size], row); err != nil {
				return fmt.Errorf("features of row %d: %w", first+done, err)
			}
			if _, err := file.Write(row); err != nil {
				return err
			}
			done++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if done != n {
		return fmt.Errorf("%s: %d rows were computed, want %d", c.shardPath(shard), done, n)
	}
	return file.Commit()
}
