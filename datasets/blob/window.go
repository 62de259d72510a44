package blob

import (
	"errors"
	"io"
)

// windowBytes is how much of a remote blob is asked for at once when it is read in order: a request
// costs a round trip, and many small reads follow each other.
const windowBytes = 4 << 20

// Window reads a blob from front to back. Seek forward to pass over what is not wanted.
type Window struct {
	b     Blob
	at    int64 // next byte
	start int64 // of buffer
	ahead int
	buf   []byte
}

// shortBytes is enough for a local file, and for what is read here and there.
const shortBytes = 64 << 10

// NewWindow starts at the front.
func NewWindow(b Blob) *Window {
	ahead := windowBytes
	if !IsRemote(b.Name()) {
		ahead = shortBytes
	}
	return &Window{b: b, ahead: ahead}
}

// NewShortWindow starts anywhere, for a few small reads.
func NewShortWindow(b Blob, at int64) *Window {
	return &Window{b: b, ahead: shortBytes, at: at}
}

// Read is io.Reader.
func (w *Window) Read(p []byte) (int, error) {
	if w.at >= w.b.Size() {
		return 0, io.EOF
	}
	if w.at < w.start || w.at >= w.start+int64(len(w.buf)) {
		if err := w.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.buf[w.at-w.start:])
	w.at += int64(n)
	return n, nil
}

func (w *Window) fill() error {
	n := min(int64(w.ahead), w.b.Size()-w.at)
	if int64(cap(w.buf)) < n {
		w.buf = make([]byte, n)
	}
	w.buf, w.start = w.buf[:n], w.at
	if _, err := w.b.ReadAt(w.buf, w.at); err != nil && !errors.Is(err, io.EOF) {
		w.buf = w.buf[:0]
		return err
	}
	return nil
}

// Seek is io.Seeker.
func (w *Window) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += w.at
	case io.SeekEnd:
		offset += w.b.Size()
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	w.at = offset
	return offset, nil
}
