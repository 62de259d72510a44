package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"
)

// Read gathers rows -> states [len(rows), tokens, width], with tokens fewer than a row has if states is
// shorter: the first of each, whose checksum is then not looked at. It reads those rows and keeps
// nothing; rows are divided among processors. The error is that of the first bad row.
func (c *Cache) Read(rows []int, states []float32) error {
	if len(rows) == 0 {
		return nil
	}
	size := len(states) / len(rows)
	if size*len(rows) != len(states) || size%c.row.width != 0 || size > c.row.tokens*c.row.width {
		return fmt.Errorf("%s: room for %d numbers, for %d rows of %d x %d", c.dir, len(states), len(rows), c.row.tokens, c.row.width)
	}
	failed := make([]error, len(rows))
	workers := min(len(rows), runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			row := make([]byte, c.row.size)
			if size < c.row.tokens*c.row.width {
				row = row[:c.row.prefix(size)]
			}
			for i := len(rows) * w / workers; i < len(rows)*(w+1)/workers; i++ {
				failed[i] = c.read(rows[i], row, states[i*size:(i+1)*size])
			}
		})
	}
	all.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// read reads one row. A shard is opened for each, which costs microseconds: there may be more than a
// process may have files open.
func (c *Cache) read(number int, row []byte, states []float32) error {
	if number < 0 || number >= c.Len() {
		return fmt.Errorf("%s: no row %d of %d", c.dir, number, c.Len())
	}
	shard := number / c.index.ShardRows
	path := c.shardPath(shard)
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: is gone, or was never built", path)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	at := number % c.index.ShardRows
	if _, err := file.ReadAt(row, int64(at)*int64(c.row.size)); err != nil {
		return fmt.Errorf("%s: row %d: %w", path, at, err)
	}
	if len(row) == c.row.size {
		if err := c.row.check(row); err != nil {
			return fmt.Errorf("%s: row %d %w; remove the file to build it anew", path, at, err)
		}
	}
	c.row.decode(row, states)
	return nil
}
