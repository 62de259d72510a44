package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
)

// stallTime is how long a download may stand still before it is broken off and resumed.
const stallTime = 60 * time.Second

// metadata is what the hub says of a file before sending it.
type metadata struct {
	etag   string // SHA-256 of a large file, Git's SHA-1 of a small one
	size   int64  // -1 if it is not known
	commit string
}

var etagPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

func (c *Client) fileURL(id ID, revision, name string) string {
	return c.Endpoint + "/" + id.Repo + "/resolve/" + url.PathEscape(revision) + "/" + url.PathEscape(name)
}

// head asks for a file's metadata.
func (c *Client) head(ctx context.Context, address string) (metadata, error) {
	m := metadata{size: -1}
	err := c.retry(ctx, func() (bool, error) {
		response, err := c.send(ctx, http.MethodHead, address, nil, true)
		if err != nil {
			return false, err
		}
		response.Body.Close()
		h := response.Header
		m.etag = strings.Trim(strings.TrimPrefix(first(h.Get("X-Linked-Etag"), h.Get("Etag")), "W/"), `"`)
		m.commit = h.Get("X-Repo-Commit")
		m.size = -1
		if n, err := strconv.ParseInt(h.Get("X-Linked-Size"), 10, 64); err == nil {
			m.size = n
		} else if response.StatusCode == http.StatusOK {
			m.size = response.ContentLength
		}
		return false, nil
	})
	return m, err
}

// fetch downloads a file into the cache and makes it a part of the snapshot.
func (c *Client) fetch(ctx context.Context, id ID, commit, name string) error {
	address := c.fileURL(id, commit, name)
	meta, err := c.head(ctx, address)
	if err != nil {
		return err
	}
	if !etagPattern.MatchString(meta.etag) {
		return fmt.Errorf("the hub gives no usable ETag: %.60q", meta.etag)
	}
	r := c.repo(id)
	if err := os.MkdirAll(filepath.Dir(r.blob(meta.etag)), 0o755); err != nil {
		return err
	}
	unlock, err := c.lock(ctx, c.lockPath(id, meta.etag))
	if err != nil {
		return err
	}
	defer unlock()
	if !exists(r.blob(meta.etag)) { // another process may have fetched it while we waited
		if err := c.fill(ctx, address, name, r.blob(meta.etag), meta); err != nil {
			return err
		}
	}
	return r.link(meta.etag, commit, name)
}

// lock waits until no other process downloads this file.
func (c *Client) lock(ctx context.Context, path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	lock := flock.New(path)
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return nil, fmt.Errorf("waiting for another download of the file: %w", err)
	}
	return func() { _ = lock.Unlock() }, nil
}

// errChecksum says that what came is not what was announced.
var errChecksum = errors.New("checksum")

// fill downloads a blob, and gives it its name once its checksum is right. One that came damaged is
// fetched once more from the start.
func (c *Client) fill(ctx context.Context, address, name, blob string, meta metadata) error {
	incomplete := blob + ".incomplete"
	for second := false; ; second = true {
		most := int64(0) // bytes that were ever there: a server that starts again and again gets nowhere
		err := c.retry(ctx, func() (bool, error) {
			size, err := c.resume(ctx, address, name, incomplete, meta)
			progress := size > most
			most = max(most, size)
			return progress, err
		})
		if err != nil {
			return err
		}
		err = verify(incomplete, meta)
		if err == nil {
			return os.Rename(incomplete, blob)
		}
		if removeErr := os.Remove(incomplete); removeErr != nil {
			return errors.Join(err, removeErr)
		}
		if !errors.Is(err, errChecksum) || second {
			return err
		}
	}
}

// resume asks for the bytes that are missing and appends them. It returns how many there are then.
func (c *Client) resume(ctx context.Context, address, name, path string, meta metadata) (have int64, err error) {
	if have, err = sizeOf(path); err != nil {
		return 0, permanent(err)
	}
	if meta.size >= 0 && have == meta.size && have > 0 {
		return have, nil
	}
	if meta.size >= 0 && have > meta.size {
		have = 0
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	header := http.Header{}
	if have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	response, err := c.send(ctx, http.MethodGet, address, header, false)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusRequestedRangeNotSatisfiable {
		return 0, errors.Join(errors.New("it cannot be resumed, starting again"), os.Remove(path))
	}
	if err != nil {
		return have, err
	}
	defer response.Body.Close()
	if have > 0 && !continues(response, have, meta.size) {
		if response.StatusCode == http.StatusPartialContent {
			return 0, errors.Join(errors.New("the server sends another part than asked for"), os.Remove(path))
		}
		have = 0 // the whole of it comes
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return have, permanent(err)
	}
	defer file.Close()
	if err := file.Truncate(have); err != nil {
		return have, permanent(err)
	}
	if _, err := file.Seek(have, io.SeekStart); err != nil {
		return have, permanent(err)
	}
	have, err = c.copy(file, response.Body, cancel, name, have, meta.size)
	if err == nil {
		err = file.Sync()
	}
	return have, err
}

// continues tells whether a response is the rest of a file from byte have on.
func continues(response *http.Response, have, size int64) bool {
	if response.StatusCode != http.StatusPartialContent {
		return false
	}
	var begin, end int64
	var total string
	if _, err := fmt.Sscanf(response.Header.Get("Content-Range"), "bytes %d-%d/%s", &begin, &end, &total); err != nil {
		return false
	}
	return begin == have && (size < 0 || total == "*" || total == strconv.FormatInt(size, 10))
}

// copy writes a body behind the bytes that are there, breaks off when nothing comes for too long,
// and wants the announced size. It returns how many bytes are there then.
func (c *Client) copy(to io.Writer, body io.Reader, cancel func(), name string, have, size int64) (int64, error) {
	var stalled atomic.Bool
	watchdog := time.AfterFunc(stallTime, func() { stalled.Store(true); cancel() })
	defer watchdog.Stop()
	buffer := make([]byte, 1<<18)
	for {
		n, err := body.Read(buffer)
		watchdog.Reset(stallTime)
		if size >= 0 && have+int64(n) > size {
			return have, fmt.Errorf("wrong length: more comes than the announced %d bytes", size)
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return have, permanent(err) // a full disk
			}
			have += int64(n)
			if c.Progress != nil {
				c.Progress(name, have, size)
			}
		}
		switch {
		case stalled.Load():
			return have, fmt.Errorf("nothing came for %s after %d bytes", stallTime, have)
		case err == io.EOF && size >= 0 && have < size:
			return have, fmt.Errorf("wrong length: the connection ended after %d of %d bytes", have, size)
		case err == io.EOF:
			return have, nil
		case err != nil:
			return have, fmt.Errorf("the connection broke off after %d bytes: %w", have, err)
		}
	}
}

// verify compares a file with its ETag: the SHA-256 of a large file, or Git's SHA-1 of a small one.
// Other hubs may have ETags of other kinds, which say nothing about the contents.
func verify(path string, meta metadata) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return err
	}
	var sum hash.Hash
	switch {
	case len(meta.etag) == 2*sha256.Size && isHex(meta.etag):
		sum = sha256.New()
	case commitPattern.MatchString(meta.etag):
		sum = sha1.New()
		fmt.Fprintf(sum, "blob %d\x00", stat.Size())
	default:
		return nil
	}
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != meta.etag {
		return fmt.Errorf("%w: the downloaded file has %s, the hub announced %s", errChecksum, got, meta.etag)
	}
	return nil
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil
}
