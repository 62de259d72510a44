package checkpoints

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"time"
)

// WriteFile writes a file whole or not at all: under a temporary name, synced, then renamed.
func WriteFile(path string, data []byte) error {
	return writeAtomic(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// FileWriter writes a file under a temporary name, which Commit replaces by its own.
type FileWriter struct {
	path string
	file *os.File
	w    *bufio.Writer
	err  error // of the first call that failed
	done bool
}

// CreateFile begins a file that appears when it is complete.
func CreateFile(path string) (*FileWriter, error) {
	f, err := os.CreateTemp(filepath.Dir(path), temporaryPattern(filepath.Base(path)))
	if err != nil {
		return nil, writing(path, err)
	}
	return &FileWriter{path: path, file: f, w: bufio.NewWriterSize(f, 1<<16)}, nil
}

// Write appends.
func (f *FileWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if f.err == nil {
		f.err = err
	}
	return n, err
}

// Commit puts everything on disk and gives the file its name.
func (f *FileWriter) Commit() error {
	if f.done {
		return writing(f.path, os.ErrClosed)
	}
	f.done = true
	defer os.Remove(f.file.Name()) // after a success the name is gone and this does nothing
	err := f.err
	for _, step := range []func() error{f.w.Flush, func() error { return f.file.Chmod(0o644) }, f.file.Sync} {
		if err == nil {
			err = step()
		}
	}
	if closeErr := f.file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.file.Name(), f.path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(f.path))
	}
	return writing(f.path, err)
}

// Abort removes a file that was not committed; after Commit it does nothing.
func (f *FileWriter) Abort() {
	if f.done {
		return
	}
	f.done = true
	f.file.Close()
	os.Remove(f.file.Name())
}

// RemoveTemporaries removes what killed writers left in a folder in which nobody writes now.
func RemoveTemporaries(dir string) error { return removeTemporaries(dir, "") }

// RemoveOldTemporaries is RemoveTemporaries for a folder in which others may write: it removes what was
// not changed for so long.
func RemoveOldTemporaries(dir string, age time.Duration) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !isTemporary(entry.Name(), "") || time.Since(info.ModTime()) < age {
			continue // gone meanwhile, or in use
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}
