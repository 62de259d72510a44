package parquet

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// Codecs by Parquet's numbers.
const (
	codecNone   = 0
	codecSnappy = 1
	codecGzip   = 2
	codecZstd   = 6
	codecLZ4Raw = 7
)

var codecNames = []string{"none", "Snappy", "gzip", "LZO", "Brotli", "LZ4 (Hadoop's)", "Zstandard", "LZ4"}

// unpack decompresses to exactly size bytes.
func unpack(codec int32, packed []byte, size int) (out []byte, err error) {
	switch codec {
	case codecNone:
		out = packed
	case codecSnappy:
		n, err := snappy.DecodedLen(packed)
		if err != nil || n != size {
			return nil, errors.New("damaged Snappy data")
		}
		if out, err = snappy.Decode(make([]byte, size), packed); err != nil {
			return nil, errors.New("damaged Snappy data")
		}
	case codecGzip:
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, err
		}
		if out, err = io.ReadAll(io.LimitReader(r, int64(size)+1)); err != nil {
			return nil, fmt.Errorf("gzip data: %w", err)
		}
	case codecZstd:
		decoder := zstdDecoders.Get().(*zstd.Decoder)
		defer zstdDecoders.Put(decoder)
		if err := decoder.Reset(bytes.NewReader(packed)); err != nil {
			return nil, err
		}
		if out, err = io.ReadAll(io.LimitReader(decoder, int64(size)+1)); err != nil {
			return nil, fmt.Errorf("zstandard data: %w", err)
		}
	case codecLZ4Raw:
		if out, err = unpackLZ4(packed, size); err != nil {
			return nil, err
		}
	default:
		if codec > 0 && int(codec) < len(codecNames) {
			return nil, fmt.Errorf("compression %s is not read", codecNames[codec])
		}
		return nil, fmt.Errorf("unknown compression %d", codec)
	}
	if len(out) != size {
		return nil, fmt.Errorf("a page of %d bytes instead of %d", len(out), size)
	}
	return out, nil
}

var zstdDecoders = sync.Pool{New: func() any {
	// Only wrong options make an error.
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxPage), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err)
	}
	return decoder
}}

var errLZ4 = errors.New("damaged LZ4 data")

// unpackLZ4 reads one LZ4 block: literals, then a copy of what was written before, and so on.
func unpackLZ4(in []byte, size int) ([]byte, error) {
	out := make([]byte, 0, min(size, 256*len(in)+64))
	length := func(n int) (int, bool) { // 15 goes on in further bytes
		if n != 15 {
			return n, true
		}
		for {
			if len(in) == 0 || n > size {
				return 0, false
			}
			b := in[0]
			in = in[1:]
			if n += int(b); b != 255 {
				return n, true
			}
		}
	}
	for len(in) > 0 {
		token := in[0]
		in = in[1:]
		n, ok := length(int(token >> 4))
		if !ok || n > len(in) || len(out)+n > size {
			return nil, errLZ4
		}
		out = append(out, in[:n]...)
		if in = in[n:]; len(in) == 0 {
			break
		}
		if len(in) < 2 {
			return nil, errLZ4
		}
		offset := int(in[0]) | int(in[1])<<8
		in = in[2:]
		n, ok = length(int(token & 15))
		n += 4
		if !ok || offset == 0 || offset > len(out) || len(out)+n > size {
			return nil, errLZ4
		}
		for range n {
			out = append(out, out[len(out)-offset])
		}
	}
	return out, nil
}
