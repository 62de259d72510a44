package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeHub plays the hub, and the host that large files come from, with faults on demand.
type fakeHub struct {
	t       *testing.T
	hub     *httptest.Server
	storage *httptest.Server // another port: another host

	mu       sync.Mutex
	files    map[string][]byte
	commit   string
	requests []string // METHOD PATH RANGE
	leaked   bool     // the storage saw a token

	token      string // what the hub asks for
	cutAfter   int    // bytes after which the storage cuts the connection, once per request while > 0
	cuts       int    // how many connections are cut
	damage     int    // how many answers of the storage are damaged
	longer     int    // bytes that the storage sends too many
	tooMany    int    // how many requests get 429
	otherParts int    // how many resumed requests get another part than asked for
	noRanges   bool   // the storage ignores Range
	noListing  bool   // there is no API
	redirectTo string // where large files redirect to, instead of the storage
}

func newFakeHub(t *testing.T, files map[string]string) *fakeHub {
	f := &fakeHub{t: t, files: map[string][]byte{}, commit: strings.Repeat("0123456789", 4)}
	for name, content := range files {
		f.files[name] = []byte(content)
	}
	f.hub = httptest.NewServer(http.HandlerFunc(f.serveHub))
	f.storage = httptest.NewServer(http.HandlerFunc(f.serveStorage))
	t.Cleanup(f.hub.Close)
	t.Cleanup(f.storage.Close)
	return f
}

// client is a client of the fake with its own cache; it notes waits instead of waiting.
func (f *fakeHub) client(cache string, waits *[]time.Duration) *Client {
	f.t.Setenv("HF_ENDPOINT", f.hub.URL)
	f.t.Setenv("HF_HUB_CACHE", cache)
	f.t.Setenv("HF_HOME", f.t.TempDir())
	for _, variable := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		f.t.Setenv(variable, "")
	}
	c, err := New()
	if err != nil {
		f.t.Fatal(err)
	}
	c.sleep = func(ctx context.Context, d time.Duration) error {
		if waits != nil {
			*waits = append(*waits, d)
		}
		return ctx.Err()
	}
	return c
}

func (f *fakeHub) note(r *http.Request) {
	f.requests = append(f.requests, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Range")))
}

func (f *fakeHub) serveHub(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(r)
	if f.tooMany > 0 {
		f.tooMany--
		w.Header().Set("Retry-After", "7")
		http.Error(w, "slow down", http.StatusTooManyRequests)
		return
	}
	if f.token != "" && r.Header.Get("Authorization") != "Bearer "+f.token {
		http.Error(w, "who are you", http.StatusUnauthorized)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/api/models/org/model/revision/") && !f.noListing {
		type sibling struct {
			Name string `json:"rfilename"`
		}
		var siblings []sibling
		for name := range f.files {
			siblings = append(siblings, sibling{name})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"sha": f.commit, "siblings": siblings})
		return
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/org/model/resolve/")
	_, name, _ := strings.Cut(rest, "/")
	data, there := f.files[name]
	if !ok || !there {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("X-Repo-Commit", f.commit)
	if strings.HasSuffix(name, ".json") { // a small file
		w.Header().Set("ETag", `"`+gitHash(data)+`"`)
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data)
		return
	}
	sum := sha256.Sum256(data)
	w.Header().Set("X-Linked-Etag", `"`+hex.EncodeToString(sum[:])+`"`)
	w.Header().Set("X-Linked-Size", strconv.Itoa(len(data)))
	target := f.storage.URL
	if f.redirectTo != "" {
		target = f.redirectTo
	}
	http.Redirect(w, r, target+"/"+name+"?signature=x", http.StatusFound)
}

func (f *fakeHub) serveStorage(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(r)
	f.leaked = f.leaked || r.Header.Get("Authorization") != ""
	data := f.files[strings.TrimPrefix(r.URL.Path, "/")]
	whole := len(data)
	begin := 0
	if f.damage > 0 {
		f.damage--
		data = append([]byte{data[0] ^ 1}, data[1:]...)
	}
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &begin); err == nil && !f.noRanges {
		if f.otherParts > 0 && begin > 0 {
			f.otherParts--
			begin--
		}
		end := whole
		if _, last, _ := strings.Cut(r.Header.Get("Range"), "-"); last != "" {
			n, _ := strconv.Atoi(last)
			end = min(n+1, whole)
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", begin, end-1, whole))
		w.Header().Set("Content-Length", strconv.Itoa(end-begin))
		w.WriteHeader(http.StatusPartialContent)
		data = data[begin:end]
	} else {
		data = append(data[:len(data):len(data)], make([]byte, f.longer)...)
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	}
	if f.cuts > 0 && f.cutAfter < len(data) {
		f.cuts--
		_, _ = w.Write(data[:f.cutAfter])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(data)
}

func gitHash(data []byte) string {
	sum := sha1.Sum(append([]byte(fmt.Sprintf("blob %d\x00", len(data))), data...))
	return hex.EncodeToString(sum[:])
}

var id = ID{"org/model", "main"}

func model() map[string]string {
	return map[string]string{
		"config.json": `{"model_type": "opt"}`, "tokenizer.json": `{}`, "README.md": "not wanted", "pytorch_model.bin": "not wanted either",
		"model.safetensors": strings.Repeat("weights ", 1000),
	}
}

func (f *fakeHub) check(dir string, names ...string) {
	f.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		f.t.Fatal(err)
	}
	if len(entries) != len(names) {
		f.t.Errorf("the snapshot has %v, want %q", entries, names)
	}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(data) != string(f.files[name]) {
			f.t.Errorf("%s: got %.40q, %v", name, data, err)
		}
	}
}

// count tells how many requests start so.
func (f *fakeHub) count(prefix string) int {
	n := 0
	for _, r := range f.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func folder(t *testing.T, c *Client) string {
	t.Helper()
	dir, err := c.Folder(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func fails(t *testing.T, c *Client, wants ...string) {
	t.Helper()
	dir, err := c.Folder(context.Background(), id)
	if err == nil {
		t.Fatalf("got %s, want an error with %q", dir, wants)
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}
