package image

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"testing"
)

// withChecksums sets the checksum of every chunk of a PNG.
func withChecksums(data []byte) []byte {
	data = bytes.Clone(data)
	for at := len(pngMagic); at+12 <= len(data); {
		size := uint64(binary.BigEndian.Uint32(data[at:]))
		if size+12 > uint64(len(data)-at) {
			break
		}
		end := at + 8 + int(size)
		binary.BigEndian.PutUint32(data[end:], crc32.ChecksumIEEE(data[at+4:end]))
		at = end + 4
	}
	return data
}

func deflate(t testing.TB, data []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// compressible is noise, runs and repeats of all distances.
func compressible(r *rand.Rand, n int) []byte {
	data := make([]byte, 0, n)
	for len(data) < n {
		switch r.IntN(3) {
		case 0:
			for range r.IntN(300) {
				data = append(data, byte(r.IntN(1+r.IntN(256))))
			}
		case 1:
			data = append(data, bytes.Repeat([]byte{byte(r.IntN(256))}, r.IntN(600))...)
		default:
			if len(data) > 0 {
				at := len(data) - 1 - r.IntN(min(len(data), 32768))
				for range r.IntN(400) { // may overlap itself
					data = append(data, data[at])
					at++
				}
			}
		}
	}
	return data[:n]
}

func TestInflateEqualsZlib(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		want := compressible(r, r.IntN(100_000))
		for _, level := range []int{zlib.NoCompression, zlib.BestSpeed, zlib.DefaultCompression, zlib.HuffmanOnly} {
			packed := deflate(t, want, level)
			got := make([]byte, len(want))
			if err := inflateZlib(packed, got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("level %d, %d bytes: error %v", level, len(want), err)
			}
			if len(want) == 0 {
				continue
			}
			if err := inflateZlib(packed, make([]byte, len(want)+1)); !errors.Is(err, errTruncated) {
				t.Fatalf("level %d: a byte too many asked for: error %v", level, err)
			}
			if cut := r.IntN(len(packed) - 4); inflateZlib(packed[:cut], got) == nil && !bytes.Equal(got, want) {
				t.Fatalf("level %d: cut at %d of %d without an error", level, cut, len(packed))
			}
		}
	}
}

// FuzzInflate compares with the standard library: what either accepts, and every byte.
func FuzzInflate(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for level := range 10 {
		f.Add(deflate(f, compressible(r, 500), level), 500)
	}
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		if n < 1 || n > 1<<20 {
			return
		}
		got := make([]byte, n)
		err := inflateZlib(data, got)
		want := make([]byte, n)
		r, wantErr := zlib.NewReader(bytes.NewReader(data))
		if wantErr == nil {
			_, wantErr = io.ReadFull(r, want)
		}
		switch {
		case err == nil && wantErr != nil && !errors.Is(wantErr, zlib.ErrChecksum):
			t.Errorf("accepted, compress/zlib says %v", wantErr)
		case err != nil && wantErr == nil:
			t.Errorf("error %v, compress/zlib accepts it", err)
		case err == nil && wantErr == nil && !bytes.Equal(got, want):
			t.Error("not compress/zlib's bytes")
		}
	})
}
