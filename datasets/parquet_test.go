package datasets

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"goblip/datasets/image"
	"goblip/datasets/parquet"
)

// TestParquet reads one table in all the ways that it was written.
func TestParquet(t *testing.T) {
	for _, name := range []string{"snappy", "zstd-v2", "lz4", "gzip", "none-v2"} {
		set, err := Open(filepath.Join("testdata/parquet", name+".parquet"))
		if err != nil {
			t.Fatal(err)
		}
		if set.Len() != 40 {
			t.Fatalf("%s: %d records", name, set.Len())
		}
		for i := range set.Records {
			r := &set.Records[(i*17)%40] // in no order
			i := (i * 17) % 40
			var captions []string
			if i%5 != 4 {
				captions = append(captions, fmt.Sprint("number ", i))
			}
			for j := range i % 4 {
				captions = append(captions, fmt.Sprintf("text %d of %d", j, i))
			}
			var questions []Question
			if i%2 == 1 {
				questions = []Question{{Question: "how many", Answers: []string{fmt.Sprint(i)}}}
			}
			if r.ID != fmt.Sprint(100+i) || !reflect.DeepEqual(r.Captions, captions) || !reflect.DeepEqual(r.Questions, questions) || !r.Stored() {
				t.Errorf("%s: record %d: %+v", name, i, r)
			}
			rgb, err := r.Decode(image.Options{})
			if err != nil || rgb.Width != 3 || rgb.Pix[0] != byte(i) {
				t.Errorf("%s: picture %d: %v %v", name, i, rgb, err)
			}
		}
	}
}

func TestParquetLayouts(t *testing.T) {
	set, err := OpenWith("testdata/parquet/paths.parquet", Options{Fields: map[string]string{"caption": "text"}})
	if err != nil || set.Records[1].Image != filepath.Join("testdata/parquet", "b.png") || set.Records[1].Captions[0] != "two" || set.Records[1].Stored() {
		t.Errorf("paths: %+v, %v", set, err)
	}
	set, err = OpenWith("testdata/parquet/bytes.parquet", Options{Fields: map[string]string{"caption": "text", "image": "picture"}})
	if err != nil {
		t.Fatal(err)
	}
	if rgb, err := set.Records[1].Decode(image.Options{}); err != nil || rgb.Pix[0] != 8 {
		t.Errorf("bytes: %v, %v", rgb, err)
	}
	for file, want := range map[string]string{
		"bytes": `no column "image"; there are: picture, text; --map`, "brotli": "compression Brotli is not read", "delta": "encoding 7 is not read",
	} {
		if _, err := Open("testdata/parquet/" + file + ".parquet"); err == nil || !strings.Contains(err.Error(), file+".parquet: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
	if _, err := OpenWith("testdata/parquet/paths.parquet", Options{Fields: map[string]string{"caption": "texts"}}); err == nil || !strings.Contains(err.Error(), `no column "texts" for caption`) {
		t.Errorf("mapped to nothing: %v", err)
	}
}

// FuzzParquet reads what was damaged: it must fail or give rows, with bounded memory.
func FuzzParquet(f *testing.F) {
	files, _ := filepath.Glob("testdata/parquet/*.parquet")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := parquet.Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for i := range table.Columns() {
			c, err := table.Open(i)
			if err != nil {
				continue
			}
			for row := range min(table.Rows, 50) {
				_, _ = c.Row(row)
			}
		}
	})
}
