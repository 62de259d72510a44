package blob

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// faulty serves content, going wrong where the test says.
type faulty struct {
	content []byte
	tag     string
	fault   func(n int, w http.ResponseWriter, r *http.Request) (handled bool)
	n       atomic.Int64
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int(f.n.Add(1))
	if f.fault != nil && f.fault(n, w, r) {
		return
	}
	w.Header().Set("ETag", f.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}

func client(retried *[]string) *Client {
	return &Client{HTTP: &http.Client{Transport: transport()}, Attempts: 4, Stall: 700 * time.Millisecond, Backoff: time.Millisecond,
		Retried: func(_ string, err error) { *retried = append(*retried, err.Error()) }}
}

func content() []byte {
	var b bytes.Buffer
	for i := range 20000 {
		fmt.Fprintf(&b, "%07d\n", i)
	}
	return b.Bytes()
}

func TestRemoteRetries(t *testing.T) {
	all := content()
	cut := func(keep int) func(int, http.ResponseWriter, *http.Request) bool {
		return func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 || n > 3 { // the first asks for the size
				return false
			}
			var first, last int
			fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last)
			w.Header().Set("ETag", "v1")
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(all)))
			w.Header().Set("Content-Length", fmt.Sprint(last-first+1))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(all[first : first+keep])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}
	for _, tc := range []struct {
		name    string
		fault   func(n int, w http.ResponseWriter, r *http.Request) bool
		retried string // in the first note
		fails   string
	}{
		{"works", nil, "", ""},
		{"busy", func(n int, w http.ResponseWriter, _ *http.Request) bool {
			if n < 4 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return n < 4
		}, "503", ""},
		{"always busy", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}, "500", "given up after 4 tries: the server answers 500"},
		{"missing", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusNotFound)
			return true
		}, "", "the server answers 404"},
		{"cut in the middle", cut(1000), "ended", ""},
		{"stalls", func(n int, _ http.ResponseWriter, r *http.Request) bool {
			if n == 2 {
				<-r.Context().Done()
				return true
			}
			return false
		}, "no answer for 700ms", ""},
		{"changes", func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n > 1 {
				w.Header().Set("ETag", "v2")
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(all))
			}
			return n > 1
		}, "", "changed on the server"},
		{"no ranges", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write(all)
			return true
		}, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := httptest.NewServer(&faulty{content: all, tag: "v1", fault: tc.fault})
			defer server.Close()
			var retried []string
			b, err := client(&retried).Open(server.URL + "/shard.tar")
			var got []byte
			if err == nil {
				got = make([]byte, 5000)
				_, err = b.ReadAt(got, 70000)
			}
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), "shard.tar: ") || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("error %v, want %q", err, tc.fails)
				}
			} else if err != nil || !bytes.Equal(got, all[70000:75000]) || b.Size() != int64(len(all)) {
				t.Errorf("read %.20q, %v", got, err)
			}
			if (tc.retried == "") != (len(retried) == 0) || tc.retried != "" && !strings.Contains(retried[0], tc.retried) {
				t.Errorf("tried again because of %q, want %q", retried, tc.retried)
			}
		})
	}
}

// TestWindow reads in order with few requests, over what is passed over.
func TestWindow(t *testing.T) {
	all := content()
	handler := &faulty{content: all, tag: "v1"}
	server := httptest.NewServer(handler)
	defer server.Close()
	b, err := (&Client{HTTP: http.DefaultClient, Attempts: 1, Stall: time.Second}).Open(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	w := NewWindow(b)
	head := make([]byte, 10)
	if _, err := io.ReadFull(w, head); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Seek(90000, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(w)
	if err != nil || !bytes.Equal(head, all[:10]) || !bytes.Equal(rest, all[90000:]) {
		t.Errorf("read %d and %d bytes, %v", len(head), len(rest), err)
	}
	if n := handler.n.Load(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
	if n, err := b.ReadAt(make([]byte, 10), b.Size()-4); n != 4 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

func TestGunzip(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(content())
	_ = w.Close()
	server := httptest.NewServer(&faulty{content: packed.Bytes(), tag: "v1"})
	defer server.Close()
	b, err := Open(server.URL + "/x.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	u, err := Gunzip(b)
	if err != nil || u.Size() != int64(len(content())) || u.Name() != b.Name() {
		t.Fatalf("unpacked %v, %v", u, err)
	}
	got := make([]byte, 8)
	if _, err := u.ReadAt(got, 8000); err != nil || string(got) != "0001000\n" {
		t.Errorf("read %q, %v", got, err)
	}
}

// TestSign has the example of Amazon's documentation of Signature Version 4, "GET Object".
func TestSign(t *testing.T) {
	s := signer{S3{AccessKey: "AKIAIOSFODNN7EXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", Region: "us-east-1"}}
	r := httptest.NewRequest(http.MethodGet, "https://examplebucket.s3.amazonaws.com/test.txt", nil)
	r.Header.Set("Range", "bytes=0-9")
	s.sign(r, time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC))
	want := "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, " +
		"Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
	if got := r.Header.Get("Authorization"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestS3(t *testing.T) {
	var path, signed string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, signed = r.URL.EscapedPath(), r.Header.Get("Authorization")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("hello"))
	}))
	defer server.Close()
	var retried []string
	c := client(&retried)
	c.S3 = S3{Endpoint: server.URL, AccessKey: "a", SecretKey: "b", Region: "x"}
	b, err := c.Open("s3://bucket/a folder/ü+1.tar")
	if err != nil || b.Size() != 5 || path != "/bucket/a%20folder/%C3%BC%2B1.tar" || !strings.Contains(signed, "Credential=a/") {
		t.Errorf("%v, %v, path %s, signed %s", b, err, path, signed)
	}
	for _, bad := range []string{"s3://bucket", "s3:///key", "http://"} {
		if _, err := c.Open(bad); err == nil {
			t.Errorf("%s was opened", bad)
		}
	}
	_, address, _ := S3{Region: "eu-west-1", AccessKey: "a", SecretKey: "b"}.resolve("s3://my-bucket/k")
	if address != "https://my-bucket.s3.eu-west-1.amazonaws.com/k" {
		t.Errorf("address %s", address)
	}
}
