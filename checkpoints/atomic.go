package checkpoints

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// temporaryMark is in the name of everything that is not finished. A kill can leave such files
// and folders behind; they mean nothing and may be removed when nobody writes.
const temporaryMark = ".tmp-"

// temporaryPattern is the name pattern of temporaries for the file or folder base.
func temporaryPattern(base string) string { return "." + base + temporaryMark + "*" }

// isTemporary tells whether a name is one of a temporary, of base or, if base is "", of anything.
func isTemporary(name, base string) bool {
	if base != "" {
		return strings.HasPrefix(name, "."+base+temporaryMark)
	}
	return strings.HasPrefix(name, ".") && strings.Contains(name, temporaryMark)
}

// writeAtomic writes a file under a temporary name, and gives it its own once all is on disk.
func writeAtomic(path string, fill func(io.Writer) error) error {
	w, err := CreateFile(path)
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := fill(w); err != nil {
		return writing(path, err)
	}
	return w.Commit()
}

// writing says in one line what could not be written, without the temporary's name.
func writing(path string, err error) error {
	if err == nil {
		return nil
	}
	var pathErr *fs.PathError
	var linkErr *os.LinkError
	switch {
	case errors.As(err, &pathErr):
		err = pathErr.Err
	case errors.As(err, &linkErr):
		err = linkErr.Err
	}
	return fmt.Errorf("writing %s: %w", path, err)
}

// syncFolder puts the names in a folder on disk.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// writeFolderAtomic lets fill write into a temporary folder beside dir, and gives it the name dir
// once all of it is on disk. A folder that dir named before is replaced in that same moment.
func writeFolderAtomic(dir string, fill func(temporary string) error) error {
	dir = filepath.Clean(dir)
	parent, base := filepath.Dir(dir), filepath.Base(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(parent, temporaryPattern(base))
	if err != nil {
		return writing(dir, err)
	}
	defer os.RemoveAll(temporary) // after a success this is the folder that was replaced, if any
	if err := fill(temporary); err != nil {
		return err
	}
	if err := syncTree(temporary); err != nil {
		return writing(dir, err)
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return writing(dir, err)
	}
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		err = os.Rename(temporary, dir)
		if err != nil {
			return writing(dir, err)
		}
	} else if err := exchange(temporary, dir); err != nil {
		return writing(dir, err)
	}
	return writing(dir, syncFolder(parent))
}

// syncTree puts all files of a folder on disk.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncFolder(path) // the same call for files and folders
	})
}

// removeFolder removes a folder such that a kill in the middle leaves no half of it under its name.
func removeFolder(dir string) error {
	parent, base := filepath.Dir(dir), filepath.Base(dir)
	trash, err := os.MkdirTemp(parent, temporaryPattern(base))
	if err != nil {
		return err
	}
	defer os.RemoveAll(trash)
	return os.Rename(dir, filepath.Join(trash, base))
}

// removeTemporaries removes what killed writers left in a folder: temporaries of base, or of
// anything if base is "".
func removeTemporaries(dir, base string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if isTemporary(entry.Name(), base) {
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// exchangeByRenames swaps two folders in two steps. Between them, for a moment, there is no b; a
// failure of the second step puts the old b back.
func exchangeByRenames(a, b string) error {
	aside := a + "-old"
	if err := os.Rename(b, aside); err != nil {
		return err
	}
	if err := os.Rename(a, b); err != nil {
		return errors.Join(err, os.Rename(aside, b))
	}
	return os.Rename(aside, a)
}
