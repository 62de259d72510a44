package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client says how patient remote reading is.
type Client struct {
	HTTP     *http.Client
	Attempts int           // tries of one request, the first included
	Stall    time.Duration // without a byte before a request is given up
	Backoff  time.Duration // before the second try; doubles with each further one
	S3       S3            // how s3:// is reached
	// Retried is told of each try that failed and will be repeated; may be nil.
	Retried func(name string, err error)
}

// DefaultClient is what Open uses.
var DefaultClient = &Client{
	HTTP:     &http.Client{Transport: transport()},
	Attempts: 6, Stall: 30 * time.Second, Backoff: 500 * time.Millisecond,
}

func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 64 // many readers of one host
	t.DisableCompression = true
	return t
}

// Open opens a path or an address.
func (c *Client) Open(name string) (Blob, error) {
	if !IsRemote(name) {
		return openLocal(name)
	}
	r := &remote{client: c, name: name, address: name}
	if strings.HasPrefix(name, "s3://") {
		var err error
		if r.s3, r.address, err = c.S3.resolve(name); err != nil {
			return nil, err
		}
	} else if u, err := url.Parse(name); err != nil || u.Host == "" {
		return nil, fmt.Errorf("%s: not an address", name)
	}
	return r.open()
}

// remote is a blob on a server that answers ranges.
type remote struct {
	client        *Client
	name, address string
	s3            *signer
	size          int64
	version       string // ETag or Last-Modified: a blob must not change while it is read
}

func (r *remote) Name() string { return r.name }
func (r *remote) Size() int64  { return r.size }

// permanent is an error that another try will not mend.
type permanent struct{ error }

// open asks for the first byte, which tells the size. A server without ranges sends all, which is
// kept in a temporary file.
func (r *remote) open() (Blob, error) {
	var whole Blob
	err := r.retry(func(ctx context.Context, alive func()) error {
		response, err := r.get(ctx, "bytes=0-0")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		r.version = version(response.Header)
		switch response.StatusCode {
		case http.StatusPartialContent:
			r.size, err = totalSize(response.Header.Get("Content-Range"))
			return err
		case http.StatusRequestedRangeNotSatisfiable: // an empty blob has no first byte
			r.size, err = totalSize(response.Header.Get("Content-Range"))
			if err == nil && r.size != 0 {
				err = permanent{errors.New("the server refuses ranges")}
			}
			return err
		}
		var n int64
		if whole, n, err = spool(r.name, &watched{response.Body, alive}); err != nil {
			return err
		}
		if response.ContentLength >= 0 && n != response.ContentLength {
			return fmt.Errorf("cut after %d of %d bytes", n, response.ContentLength)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if whole != nil {
		return whole, nil
	}
	return r, nil
}

// ReadAt is io.ReaderAt. A range that is cut or stalls is asked for again from where it stopped.
func (r *remote) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 || offset >= r.size {
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), r.size-offset)]
	if len(want) == 0 {
		return 0, nil
	}
	done := 0
	err := r.retry(func(ctx context.Context, alive func()) error {
		first := offset + int64(done)
		response, err := r.get(ctx, fmt.Sprintf("bytes=%d-%d", first, offset+int64(len(want))-1))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusPartialContent {
			return fmt.Errorf("the server no longer answers ranges (%s)", response.Status)
		}
		if v := version(response.Header); v != r.version {
			return permanent{errors.New("changed on the server while it was read")}
		}
		if at := strings.TrimPrefix(response.Header.Get("Content-Range"), "bytes "); !strings.HasPrefix(at, strconv.FormatInt(first, 10)+"-") {
			return fmt.Errorf("the server sent another range than it was asked for: %q", at)
		}
		n, err := io.ReadFull(&watched{response.Body, alive}, want[done:])
		done += n
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return fmt.Errorf("the connection ended %d bytes too early", len(want)-done)
		}
		return err
	})
	if err == nil && len(want) < len(p) {
		err = io.EOF
	}
	return done, err
}

// watched tells of each piece that arrives.
type watched struct {
	io.Reader
	alive func()
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.alive()
	}
	return n, err
}

// retry tries until it works, an error is permanent, or the attempts are used up. Progress, which
// alive reports, restarts the clock of a try but not the count.
func (r *remote) retry(try func(ctx context.Context, alive func()) error) error {
	c := r.client
	pause := c.Backoff
	for attempt := 1; ; attempt++ {
		ctx, cancel := context.WithCancelCause(context.Background())
		stalled := fmt.Errorf("no answer for %v", c.Stall)
		timer := time.AfterFunc(c.Stall, func() { cancel(stalled) })
		err := try(ctx, func() { timer.Reset(c.Stall) })
		timer.Stop()
		if err != nil && context.Cause(ctx) != nil {
			err = context.Cause(ctx)
		}
		cancel(nil)
		if err == nil {
			return nil
		}
		var final permanent
		if errors.As(err, &final) {
			return fmt.Errorf("%s: %w", r.name, final.error)
		}
		if attempt >= c.Attempts {
			return fmt.Errorf("%s: given up after %d tries: %w", r.name, attempt, err)
		}
		if c.Retried != nil {
			c.Retried(r.name, err)
		}
		time.Sleep(pause)
		pause *= 2
	}
}

// get sends one request; of the answers only those with data return without an error.
func (r *remote) get(ctx context.Context, ranges string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.address, nil)
	if err != nil {
		return nil, permanent{err}
	}
	request.Header.Set("Range", ranges)
	if r.s3 != nil {
		r.s3.sign(request, time.Now())
	}
	response, err := r.client.HTTP.Do(request)
	if err != nil {
		var wrapped *url.Error // names the address again, signature and all
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		if errors.Is(err, io.EOF) {
			err = errors.New("the server hung up")
		}
		return nil, err
	}
	switch code := response.StatusCode; {
	case code == http.StatusOK, code == http.StatusPartialContent, code == http.StatusRequestedRangeNotSatisfiable:
		return response, nil
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		response.Body.Close()
		return nil, errors.New("the server answers " + response.Status)
	default:
		response.Body.Close()
		return nil, permanent{errors.New("the server answers " + response.Status)}
	}
}

func version(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" {
		return tag
	}
	return h.Get("Last-Modified")
}

// totalSize reads "bytes 0-0/1234" or "bytes */1234".
func totalSize(contentRange string) (int64, error) {
	_, total, ok := strings.Cut(contentRange, "/")
	size, err := strconv.ParseInt(total, 10, 64)
	if !ok || err != nil || size < 0 {
		return 0, permanent{fmt.Errorf("the server does not tell the size: Content-Range %q", contentRange)}
	}
	return size, nil
}
