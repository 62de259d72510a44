package cache

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func testKey(kind string) Key {
	return Key{Weights: "w", Transform: "t", Pictures: "p", Type: kind, Rows: 150, Tokens: 3, Width: 5}
}

// statesOf are the states of a row: one column is a thousand times larger, as in vision transformers.
func statesOf(k Key, row int) []float32 {
	rng := rand.New(rand.NewPCG(uint64(row), 1))
	out := make([]float32, k.Tokens*k.Width)
	for i := range out {
		out[i] = float32(rng.NormFloat64())
		if i%k.Width == 2 {
			out[i] *= 1000
		}
	}
	return out
}

// open makes a cache with shards of 64 rows.
func open(t *testing.T, dir string, k Key, stamp string) (*Cache, string) {
	t.Helper()
	c, others, err := Open(dir, k, stamp)
	if err != nil {
		t.Fatal(err)
	}
	c.index.ShardRows = 64
	return c, others
}

func (c *Cache) fill(fail func(row int) error) error {
	return c.Build(func(first, n int, put func([]float32) error) error {
		for i := 0; i < n; i += 2 {
			var both []float32
			for row := first + i; row < first+min(i+2, n); row++ {
				if fail != nil {
					if err := fail(row); err != nil {
						return err
					}
				}
				both = append(both, statesOf(c.index.Key, row)...)
			}
			if err := put(both); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestRows builds and reads back, whole rows and their first tokens.
func TestRows(t *testing.T) {
	for _, kind := range Types {
		k := testKey(kind)
		c, _ := open(t, t.TempDir(), k, "")
		if err := c.fill(nil); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Missing(); n != 0 || err != nil {
			t.Errorf("%s: %d rows missing, %v", kind, n, err)
		}
		rows := []int{149, 0, 64, 63, 0, 128}
		got := make([]float32, len(rows)*k.Tokens*k.Width)
		if err := c.Read(rows, got); err != nil {
			t.Fatal(err)
		}
		first := make([]float32, len(rows)*k.Width)
		if err := c.Read(rows, first); err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			want := statesOf(k, row)
			for j, x := range want {
				y := got[i*len(want)+j]
				// int8 is off by half a step of 1/127 of its column, bf16 by half of 1/128 of the number.
				limit := math.Abs(float64(x)) / 256
				switch kind {
				case "f32":
					limit = 0
				case "int8":
					largest := 0.0
					for at := j % k.Width; at < len(want); at += k.Width {
						largest = max(largest, math.Abs(float64(want[at])))
					}
					limit = largest / 254 * 1.0001
				}
				if math.Abs(float64(x-y)) > limit {
					t.Errorf("%s: row %d, number %d: %g, want %g", kind, row, j, y, x)
				}
				if j < k.Width && first[i*k.Width+j] != y {
					t.Errorf("%s: row %d: the first token alone differs", kind, row)
				}
			}
		}
		if err := c.Read([]int{150}, got[:15]); err == nil || !strings.Contains(err.Error(), "no row 150 of 150") {
			t.Errorf("a row too many: %v", err)
		}
		if err := c.Read(rows, got[:7]); err == nil {
			t.Error("room for a part of a token was accepted")
		}
	}
}

// TestResume wants a build that failed to go on with the shard that it lost.
func TestResume(t *testing.T) {
	dir, k := t.TempDir(), testKey("bf16")
	c, _ := open(t, dir, k, "")
	broke := errors.New("out of power")
	if err := c.fill(func(row int) error {
		if row == 100 {
			return broke
		}
		return nil
	}); !errors.Is(err, broke) {
		t.Fatal(err)
	}
	if n, err := c.Missing(); n != 150-64 || err != nil {
		t.Fatalf("%d rows missing, %v", n, err)
	}
	if err := c.Read([]int{64}, make([]float32, 15)); err == nil || !strings.Contains(err.Error(), "shard-00001.bin: is gone, or was never built") {
		t.Errorf("a row that is not there: %v", err)
	}
	// What a kill leaves is removed when it is old, for others may write now.
	old, young := filepath.Join(c.dir, ".shard-00001.bin.tmp-1"), filepath.Join(c.dir, ".shard-00001.bin.tmp-2")
	for _, path := range []string{old, young} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-2*abandoned)); err != nil {
		t.Fatal(err)
	}
	var encoded []int
	again, _ := open(t, dir, k, "")
	if err := again.fill(func(row int) error { encoded = append(encoded, row); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(encoded) != 86 || encoded[0] != 64 {
		t.Errorf("encoded %d rows from %d on, want 86 from 64 on", len(encoded), encoded[0])
	}
	if left, _ := filepath.Glob(filepath.Join(c.dir, ".*")); !reflect.DeepEqual(left, []string{young}) {
		t.Errorf("left: %v", left)
	}
}

// TestKeys wants features to be found by all that they depend on, and a word about what is there instead.
func TestKeys(t *testing.T) {
	dir, k := t.TempDir(), testKey("int8")
	if c, err := Find(dir, k, "s1"); c != nil || err != nil {
		t.Errorf("found %v, %v in nothing", c, err)
	}
	first, others := open(t, dir, k, "s1")
	if others != "" {
		t.Errorf("an empty folder holds %q", others)
	}
	unknown := k
	unknown.Pictures = ""
	if c, err := Find(dir, unknown, "s1"); c == nil || err != nil || c.dir != first.dir {
		t.Errorf("by stamp: %v, %v", c, err)
	}
	if c, err := Find(dir, unknown, "s2"); c != nil || err != nil {
		t.Errorf("by another stamp: %v, %v", c, err)
	}
	for _, test := range []struct {
		want   string
		change func(k *Key)
	}{
		{"other weights", func(k *Key) { k.Weights = "v" }},
		{"another transform", func(k *Key) { k.Transform = "v" }},
		{"other pictures", func(k *Key) { k.Pictures = "v" }},
		{"other pictures", func(k *Key) { k.Rows++ }},
		{"another type (int8)", func(k *Key) { k.Type = "bf16" }},
		{"other weights, other pictures", func(k *Key) { k.Weights, k.Pictures = "v", "v" }},
	} {
		other := k
		test.change(&other)
		if c, err := Find(dir, other, "s1"); err != nil || c != nil && other.Pictures == k.Pictures {
			t.Errorf("%s: found %v, %v", test.want, c, err)
		}
		c, others, err := Open(dir, other, "")
		if err != nil || others != test.want || c.dir == first.dir {
			t.Errorf("%s: %q, %v", test.want, others, err)
			continue
		}
		if err := os.RemoveAll(c.dir); err != nil {
			t.Fatal(err)
		}
	}
	// Pictures that were moved are the same by their hash; from then on they are known by their stamp.
	if c, _ := open(t, dir, k, "s2"); c.dir != first.dir {
		t.Error("another folder for the same pictures")
	}
	if c, err := Find(dir, unknown, "s2"); c == nil || err != nil {
		t.Errorf("after the move: %v, %v", c, err)
	}
}

// TestDamage wants one line that names the file.
func TestDamage(t *testing.T) {
	k := testKey("bf16")
	c, _ := open(t, t.TempDir(), k, "")
	if err := c.fill(nil); err != nil {
		t.Fatal(err)
	}
	shard := c.shardPath(1)
	data, err := os.ReadFile(shard)
	if err != nil {
		t.Fatal(err)
	}
	data[c.row.size*2+3] ^= 1
	if err := os.WriteFile(shard, data, 0o644); err != nil {
		t.Fatal(err)
	}
	states := make([]float32, 15)
	if err := c.Read([]int{66}, states); err == nil || !strings.Contains(err.Error(), "shard-00001.bin: row 2 is damaged") {
		t.Errorf("a changed bit: %v", err)
	}
	if err := c.Read([]int{65}, states); err != nil {
		t.Errorf("the row before: %v", err)
	}
	if err := os.Truncate(shard, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Missing(); err == nil || !strings.Contains(err.Error(), "shard-00001.bin: has 100 bytes, want ") {
		t.Errorf("a cut shard: %v", err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, indexFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(filepath.Dir(c.dir), k, ""); err == nil || !strings.Contains(err.Error(), "index.json: bad JSON") {
		t.Errorf("a broken index: %v", err)
	}
	for _, bad := range []func(k *Key){
		func(k *Key) { k.Type = "int4" }, func(k *Key) { k.Rows = 0 }, func(k *Key) { k.Tokens = -1 }, func(k *Key) { k.Width = 1 << 40 }, func(k *Key) { k.Weights = "" },
	} {
		other := k
		bad(&other)
		if _, _, err := Open(t.TempDir(), other, ""); err == nil {
			t.Errorf("accepted: %+v", other)
		}
	}
	if err := c.row.encode([]float32{1, float32(math.NaN()), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, make([]byte, c.row.size)); err == nil {
		t.Error("NaN was accepted")
	}
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"version":1,"key":{"weights":"w","transform":"t","pictures":"p","type":"bf16","rows":3,"tokens":37,"width":96},"shard_rows":9408}`))
	f.Add([]byte(`{"version":1,"key":{"weights":"w","transform":"t","pictures":"p","type":"int8","rows":4294967296,"tokens":1,"width":268435456},"shard_rows":64}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := parseIndex(data)
		if err != nil {
			return
		}
		row, err := layoutOf(&x.Key)
		if err != nil || row.size <= 0 || x.ShardRows < 1 || x.Key.Rows < 1 {
			t.Errorf("accepted %+v: %v", x, err)
		}
	})
}
