// Package blob reads bytes from anywhere in a file, wherever it lies: on disk, behind http(s):// or
// in an s3:// bucket.
//
//	blob.go    Blob, Open, local files, what is unpacked from gzip
//	remote.go  ranges over HTTP, with retries, against servers that stall or cut
//	s3.go      s3:// addresses and their signatures
//	window.go  a blob read from front to back, in few large pieces
package blob

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// Blob is bytes of known length. Any number of goroutines may read at once. A read that is within
// Size either fills its buffer or fails.
type Blob interface {
	io.ReaderAt
	Size() int64
	Name() string // as it was opened, for messages
}

// IsRemote says whether a name is an address rather than a path.
func IsRemote(name string) bool {
	for _, scheme := range []string{"http://", "https://", "s3://"} {
		if strings.HasPrefix(name, scheme) {
			return true
		}
	}
	return false
}

// Open opens a path or an address.
func Open(name string) (Blob, error) { return DefaultClient.Open(name) }

// local is a file. It is opened for each read, which costs microseconds: a data set may have more
// shards than a process may have files open.
type local struct {
	path string
	size int64
}

func openLocal(path string) (Blob, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("data path does not exist: %s", path)
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a file", path)
	}
	return local{path, info.Size()}, nil
}

func (l local) Name() string { return l.path }
func (l local) Size() int64  { return l.size }

func (l local) ReadAt(p []byte, offset int64) (int, error) {
	file, err := os.Open(l.path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return file.ReadAt(p, offset)
}

// MaxUnpacked bounds what one gzip file may become on disk.
const MaxUnpacked = 256 << 30

// maxRatio is the most that a gzip file may grow: deflate's own limit is 1032.
const maxRatio = 1100

// Gunzip unpacks a gzip file into a temporary one, which has no name and goes with the process:
// gzip has no places to start in the middle.
func Gunzip(b Blob) (Blob, error) {
	packed, err := gzip.NewReader(NewWindow(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	limit := min(int64(MaxUnpacked), b.Size()*maxRatio+1<<20)
	s, n, err := spool(b.Name(), io.LimitReader(packed, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("%s: unpacks to more than %d bytes", b.Name(), limit)
	}
	return s, err
}

// spool copies into a nameless file. What was copied before an error is kept and returned with it.
func spool(name string, from io.Reader) (Blob, int64, error) {
	file, err := os.CreateTemp("", "goblip-spool-*")
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	if runtime.GOOS != "windows" { // there, an open file keeps its name
		if err := os.Remove(file.Name()); err != nil {
			file.Close()
			return nil, 0, err
		}
	}
	n, err := io.Copy(file, from)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return spooled{file, n, name}, n, err
}

// spooled is a nameless file that stands for another. It is closed when nothing refers to it.
type spooled struct {
	*os.File
	size int64
	name string
}

func (s spooled) Name() string { return s.name }
func (s spooled) Size() int64  { return s.size }

// Stamp changes whenever a blob does: the name, the size and when a file was last changed, or the
// version that a server gives. ok is false where there is no telling.
func Stamp(b Blob) (stamp string, ok bool) {
	switch b := b.(type) {
	case local:
		return FileStamp(b.path)
	case *remote:
		return fmt.Sprintf("%q %d %q", b.name, b.size, b.version), b.version != ""
	}
	return "", false
}

// FileStamp is Stamp of a file on disk.
func FileStamp(path string) (stamp string, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return "", false
	}
	return fmt.Sprintf("%q %d %d", path, info.Size(), info.ModTime().UnixNano()), true
}
