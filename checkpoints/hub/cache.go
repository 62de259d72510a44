package hub

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// repo is the folder of a model in the cache:
//
//	refs/REVISION            the commit that a branch or tag was
//	blobs/ETAG               contents
//	blobs/ETAG.incomplete    what has come of one
//	snapshots/COMMIT/FILE    links to blobs
type repo struct{ dir string }

func (c *Client) repo(id ID) repo { return repo{filepath.Join(c.Cache, repoFolder(id))} }

func repoFolder(id ID) string { return "models--" + strings.ReplaceAll(id.Repo, "/", "--") }

// lockPath is where huggingface_hub locks a blob too.
func (c *Client) lockPath(id ID, etag string) string {
	return filepath.Join(c.Cache, ".locks", repoFolder(id), etag+".lock")
}

// commit is what a revision was when it was last asked for; "" if it never was.
func (r repo) commit(revision string) string {
	if commitPattern.MatchString(revision) {
		return revision
	}
	data, err := os.ReadFile(filepath.Join(r.dir, "refs", filepath.FromSlash(revision)))
	if commit := strings.TrimSpace(string(data)); err == nil && commitPattern.MatchString(commit) {
		return commit
	}
	return ""
}

// setCommit notes which commit a revision is.
func (r repo) setCommit(revision, commit string) error {
	if revision == commit {
		return nil
	}
	path := filepath.Join(r.dir, "refs", filepath.FromSlash(revision))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return replace(path, func(temporary string) error { return os.WriteFile(temporary, []byte(commit), 0o644) })
}

func (r repo) snapshot(commit string) string { return filepath.Join(r.dir, "snapshots", commit) }

func (r repo) blob(etag string) string { return filepath.Join(r.dir, "blobs", etag) }

// link makes a file of a snapshot of a blob.
func (r repo) link(etag, commit, name string) error {
	dir := r.snapshot(commit)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return replace(filepath.Join(dir, name), func(temporary string) error {
		err := os.Symlink(filepath.Join("..", "..", "blobs", etag), temporary)
		if err != nil && runtime.GOOS == "windows" { // links are a privilege there
			return os.Link(r.blob(etag), temporary)
		}
		return err
	})
}

// replace lets make write a temporary file, and gives it its name.
func replace(path string, make func(temporary string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	temporary := f.Name()
	defer os.Remove(temporary)
	if err := errors.Join(f.Close(), os.Remove(temporary)); err != nil {
		return err
	}
	if err := make(temporary); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// exists tells whether there is a file, through links.
func exists(path string) bool {
	stat, err := os.Stat(path)
	return err == nil && stat.Mode().IsRegular()
}

// sizeOf is the size of a file, 0 if there is none.
func sizeOf(path string) (int64, error) {
	stat, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return stat.Size(), nil
}
