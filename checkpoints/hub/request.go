package hub

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxRedirects = 10
	maxAttempts  = 5 // in a row without any progress
	maxSilent    = 3 // of those, with nobody answering at all before anything came: there is no network
	longestWait  = 10 * time.Minute
	headerTime   = 60 * time.Second
)

func newHTTPClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = headerTime
	transport.DisableCompression = true // lengths and ranges are those of the file
	return &http.Client{
		Transport: transport,
		// We follow redirects ourselves: the library would send the token on to another port, or to a
		// subdomain, of the same host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// statusError is an answer that is not what was asked for.
type statusError struct {
	code       int
	text       string
	retryAfter time.Duration
}

func (e *statusError) Error() string { return e.text }

// temporary tells whether asking again may help.
func temporary(err error) bool {
	var status *statusError
	if errors.As(err, &status) {
		return status.code == http.StatusTooManyRequests || status.code == http.StatusRequestTimeout || status.code >= 500
	}
	var p *permanentError
	return !errors.As(err, &p)
}

// permanentError is an error that asking again does not help.
type permanentError struct{ error }

func permanent(err error) error { return &permanentError{err} }

func (e *permanentError) Unwrap() error { return e.error }

// get asks until the answer is there, with a body that the caller closes.
func (c *Client) get(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	var response *http.Response
	err := c.retry(ctx, func() (bool, error) {
		var err error
		response, err = c.send(ctx, http.MethodGet, address, header, false)
		return false, err
	})
	return response, err
}

// retry calls attempt until it succeeds or fails for good. attempt tells whether it got anywhere.
func (c *Client) retry(ctx context.Context, attempt func() (progress bool, err error)) error {
	anything := false
	for failures := 0; ; {
		progress, err := attempt()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if progress {
			failures = 0
		}
		anything = anything || progress
		limit := maxAttempts
		if silent := (*silentError)(nil); errors.As(err, &silent) && !anything {
			limit = maxSilent
		}
		if failures++; !temporary(err) || failures >= limit {
			return err
		}
		wait := time.Second << (failures - 1)
		var status *statusError
		if errors.As(err, &status) && status.retryAfter > 0 {
			wait = status.retryAfter
		}
		if wait > longestWait {
			return fmt.Errorf("%w; it asks to wait %s: try again then", err, wait.Round(time.Second))
		}
		if err := c.sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// send makes one request and follows redirects, to other hosts too unless stay is set, but without
// the token there. An answer other than 2xx, or with stay 3xx, is a *statusError.
func (c *Client) send(ctx context.Context, method, address string, header http.Header, stay bool) (*http.Response, error) {
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, err
	}
	at, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	for range maxRedirects {
		request, err := http.NewRequestWithContext(ctx, method, at.String(), nil)
		if err != nil {
			return nil, err
		}
		if header != nil {
			request.Header = header.Clone()
		}
		request.Header.Set("User-Agent", "goblip")
		if c.Token != "" && at.Scheme == endpoint.Scheme && at.Host == endpoint.Host {
			request.Header.Set("Authorization", "Bearer "+c.Token)
		}
		response, err := c.http.Do(request)
		if err != nil {
			return nil, c.unreachable(at, err)
		}
		target := response.Header.Get("Location")
		if response.StatusCode < 300 || response.StatusCode == http.StatusNotModified || response.StatusCode >= 400 || target == "" {
			if response.StatusCode/100 != 2 {
				defer response.Body.Close()
				return nil, c.refused(response)
			}
			return response, nil
		}
		next, err := at.Parse(target)
		if err != nil || next.Host == "" || next.Scheme != "http" && next.Scheme != "https" {
			response.Body.Close()
			return nil, permanent(fmt.Errorf("%s redirects to %q, which is no address", at.Host, target))
		}
		if at.Scheme == "https" && next.Scheme == "http" {
			response.Body.Close()
			return nil, permanent(fmt.Errorf("%s redirects to %s without encryption", at.Host, next.Host))
		}
		if stay && next.Host != at.Host {
			return response, nil
		}
		response.Body.Close()
		at = next
	}
	return nil, permanent(fmt.Errorf("%s redirects in circles", at.Host))
}

// silentError says that no answer came.
type silentError struct{ error }

func (e *silentError) Unwrap() error { return e.error }

// unreachable says what is wrong with the network.
func (c *Client) unreachable(at *url.URL, err error) error {
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		err = fmt.Errorf("cannot reach %s, and the cache %s does not have it: %w", at.Host, c.Cache, err)
	} else {
		err = fmt.Errorf("%s: %w", at.Host, err)
	}
	return &silentError{err}
}

// refused says what an answer means and what to do.
func (c *Client) refused(response *http.Response) error {
	e := &statusError{code: response.StatusCode, retryAfter: retryAfter(response.Header.Get("Retry-After"))}
	host := response.Request.URL.Host
	switch e.code {
	case http.StatusUnauthorized, http.StatusForbidden:
		todo := "set HF_TOKEN to an access token of an account that may read it"
		if c.Token != "" {
			todo = "the account of the token in HF_TOKEN may not read it, or the token has expired"
		}
		e.text = fmt.Sprintf("%s refuses access (HTTP %d): the model does not exist, or it is private or gated; for a gated one accept the terms on its page %s first; %s",
			host, e.code, c.Endpoint+"/"+repoOf(response.Request.URL.Path), todo)
	case http.StatusNotFound:
		e.text = fmt.Sprintf("%s has no such model, revision or file (HTTP 404): %s", host, response.Request.URL.Path)
	case http.StatusTooManyRequests:
		e.text = fmt.Sprintf("%s answers that there are too many requests (HTTP 429); those with an access token in HF_TOKEN may make more", host)
	default:
		e.text = fmt.Sprintf("%s answers HTTP %s", host, response.Status)
	}
	return e
}

// repoOf takes the model's name out of the path of a request.
func repoOf(path string) string {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "/"), "api/models/")
	for _, end := range []string{"/resolve/", "/revision/"} {
		path, _, _ = strings.Cut(path, end)
	}
	return path
}

// retryAfter reads seconds or a date.
func retryAfter(value string) time.Duration {
	if seconds, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 1<<30)) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(time.Until(date), time.Second)
	}
	return 0
}
