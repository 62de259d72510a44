package recipes

import (
	"bytes"
	stdimage "image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"goblip/datasets"
	"goblip/datasets/image"
	"goblip/infer"

	"github.com/gomlx/gomlx/core/tensors"
)

// drawings makes a folder of n small pictures with captions.
func drawings(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		img := stdimage.NewRGBA(stdimage.Rect(0, 0, 9+i, 12))
		for x := range 9 + i {
			for y := range 12 {
				img.Set(x, y, color.RGBA{uint8(i * 9), uint8(x * 20), uint8(y * 20), 255})
			}
		}
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, string(rune('a'+i)))
		if err := os.WriteFile(name+".png", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name+".txt", []byte("one"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestStreamedBatches wants the batches of pictures in memory, whatever the number of processors and
// wherever the run begins.
func TestStreamedBatches(t *testing.T) {
	dir := drawings(t, 20)
	set, err := datasets.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	processor := image.Processor{Size: 8}
	kept, err := infer.PreparePictures(set, processor, nil)
	if err != nil {
		t.Fatal(err)
	}
	streamed, err := infer.StreamPictures(set, processor)
	if err != nil {
		t.Fatal(err)
	}
	batchesOf := func(p *infer.Pictures, from, to int) (out [][]byte) {
		visits := visit(p.Set, 3, 6)
		batch := guard(func(i int) ([]*tensors.Tensor, error) {
			rows, epoch := visits.rows(i)
			return []*tensors.Tensor{p.BatchAt(rows, epoch)}, nil
		}, p.Set)
		for i := from; i < to; i++ {
			got, err := batch(i)
			if err != nil {
				t.Fatal(err)
			}
			err = tensors.ConstFlatData(got[0], func(flat []uint8) { out = append(out, bytes.Clone(flat)) })
			if err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	// Augmented pictures are a function of epoch and record, too.
	changed, err := augmented(kept, "randaugment", 0.5, 4)
	if err != nil {
		t.Fatal(err)
	}
	changing, err := augmented(streamed, "randaugment", 0.5, 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range []struct{ kept, streamed *infer.Pictures }{{kept, streamed}, {changed, changing}} {
		want := batchesOf(pair.kept, 0, 8) // two epochs of three batches, and more
		for _, workers := range []int{1, 16} {
			before := runtime.GOMAXPROCS(workers)
			if got := batchesOf(pair.streamed, 0, 8); !reflect.DeepEqual(got, want) {
				t.Errorf("%d processors: other batches than in memory", workers)
			}
			runtime.GOMAXPROCS(before)
		}
		if got := batchesOf(pair.streamed, 4, 8); !reflect.DeepEqual(got, want[4:]) {
			t.Error("a run that goes on in the middle of an epoch has other batches")
		}
	}
	at := func(rows []int, epoch int) (out []byte) {
		if err := tensors.ConstFlatData(changed.BatchAt(rows, epoch), func(flat []uint8) { out = bytes.Clone(flat) }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	a, b := at([]int{3, 5}, 1), at([]int{5, 3}, 1)
	half := len(a) / 2
	if !bytes.Equal(a[:half], b[half:]) || !bytes.Equal(a[half:], b[:half]) || bytes.Equal(a, at([]int{3, 5}, 2)) {
		t.Error("augmentation depends on more than epoch and record, or not on them")
	}
	if _, err := augmented(kept, "more", 0.5, 4); err == nil {
		t.Error("an unknown augmentation was accepted")
	}
	// A picture that went bad is an error that names it.
	if err := os.WriteFile(filepath.Join(dir, "b.png"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = guard(func(int) ([]*tensors.Tensor, error) { return []*tensors.Tensor{streamed.Batch([]int{0, 1})}, nil }, set)(0)
	if err == nil || !strings.Contains(err.Error(), "b.png: not a JPEG") {
		t.Errorf("error %v, want one about b.png", err)
	}
	// Where it may be left out, the next record takes its place, from wherever the run goes on.
	told := 0
	set.OnBad = func(row int, why error) {
		if told++; row != 1 || !strings.Contains(why.Error(), "b.png: not a JPEG") {
			t.Errorf("told of record %d: %v", row, why)
		}
	}
	replaced := batchesOf(streamed, 0, 8)
	if got := set.Usable([]int{1, 5, 1}); told != 1 || set.LeftOut() != 1 || !reflect.DeepEqual(got, []int{2, 5, 2}) {
		t.Errorf("told %d times, left out %d, rows %v", told, set.LeftOut(), got)
	}
	fresh, err := datasets.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	fresh.OnBad = func(int, error) {}
	resumed, err := infer.StreamPictures(fresh, processor)
	if err != nil {
		t.Fatal(err)
	}
	if got := batchesOf(resumed, 2, 8); !reflect.DeepEqual(got, replaced[2:]) {
		t.Error("a run that goes on has other pictures in place of a bad one")
	}
	readable, err := set.Readable(true, nil, func(error) {})
	if err != nil || readable.Len() != 19 || readable.Skipped != 1 {
		t.Errorf("readable: %v, %v", readable, err)
	}
}

// TestSeparate wants no batch to show a picture twice.
func TestSeparate(t *testing.T) {
	set := &datasets.Set{}
	for i := range 60 {
		name := string(rune('A' + i/2)) // two captions of each picture
		set.Records = append(set.Records, datasets.Record{ID: string(rune('a' + i)), Image: name})
	}
	o := visit(set, 5, 12)
	for i := range 10 {
		rows, _ := o.rows(i)
		seen := map[int]bool{}
		for _, r := range rows {
			if seen[o.identity(r)] {
				t.Errorf("batch %d shows a picture twice: %v", i, rows)
			}
			seen[o.identity(r)] = true
		}
	}
	if o.identity(7) != 6 {
		t.Errorf("record 7 shows picture %d, want 6", o.identity(7))
	}
}
