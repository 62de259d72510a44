package hub

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestDownload(t *testing.T) {
	for _, noListing := range []bool{false, true} {
		f := newFakeHub(t, model())
		f.noListing = noListing
		cache := t.TempDir()
		c := f.client(cache, nil)
		var last string
		c.Progress = func(file string, done, total int64) { last = fmt.Sprint(file, done, total) }
		dir := folder(t, c)
		f.check(dir, "config.json", "tokenizer.json", "model.safetensors")
		if want := filepath.Join(cache, "models--org--model", "snapshots", f.commit); dir != want {
			t.Errorf("the folder is %s, want %s", dir, want)
		}
		if last != "model.safetensors8000 8000" {
			t.Errorf("the last progress was %s", last)
		}
		if ref, err := os.ReadFile(filepath.Join(cache, "models--org--model", "refs", "main")); err != nil || string(ref) != f.commit {
			t.Errorf("refs/main is %q, %v", ref, err)
		}
		link, err := os.Readlink(filepath.Join(dir, "config.json"))
		if want := filepath.Join("..", "..", "blobs", gitHash(f.files["config.json"])); err != nil || link != want {
			t.Errorf("config.json links to %s, %v, want %s", link, err, want)
		}
		before := len(f.requests)
		f.hub.Close() // what is in the cache needs no network
		if again := folder(t, c); again != dir || len(f.requests) != before {
			t.Errorf("got %s and %d requests more", again, len(f.requests)-before)
		}
		c.Offline = true
		folder(t, c)
	}
}

func TestShards(t *testing.T) {
	files := map[string]string{
		"config.json": "{}", "model-00001-of-00002.safetensors": "one", "model-00002-of-00002.safetensors": "two", "model-old.safetensors": "not wanted",
		"model.safetensors.index.json": `{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors", "c": "model-00001-of-00002.safetensors"}}`,
	}
	f := newFakeHub(t, files)
	f.check(folder(t, f.client(t.TempDir(), nil)), "config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")

	f.files["model.safetensors.index.json"] = []byte(`{"weight_map": {"a": "../../../evil"}}`)
	fails(t, f.client(t.TempDir(), nil), "is not the name of a file")

	f = newFakeHub(t, map[string]string{"config.json": "{}", "pytorch_model.bin": "old"})
	f.check(folder(t, f.client(t.TempDir(), nil)), "config.json", "pytorch_model.bin")
	f = newFakeHub(t, map[string]string{"config.json": "{}"})
	fails(t, f.client(t.TempDir(), nil), "has no model.safetensors")
	dir, err := f.client(t.TempDir(), nil).ConfigFolder(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	f.check(dir, "config.json")
}

// TestResume cuts the connection twice: each request goes on where the last one ended.
func TestResume(t *testing.T) {
	f := newFakeHub(t, model())
	f.cuts, f.cutAfter = 2, 3000
	var waits []time.Duration
	f.check(folder(t, f.client(t.TempDir(), &waits)), "config.json", "tokenizer.json", "model.safetensors")
	if f.count("GET /model.safetensors bytes=3000-") != 1 || f.count("GET /model.safetensors bytes=6000-") != 1 || len(waits) != 2 {
		t.Errorf("requests %q, waits %v", f.requests, waits)
	}
}

// TestResumeLater continues what an earlier process left.
func TestResumeLater(t *testing.T) {
	f := newFakeHub(t, model())
	f.cuts, f.cutAfter = 1, 5000
	cache := t.TempDir()
	c := f.client(cache, nil)
	c.sleep = func(context.Context, time.Duration) error { return context.Canceled } // killed
	fails(t, c, "canceled")
	f.check(folder(t, f.client(cache, nil)), "config.json", "tokenizer.json", "model.safetensors")
	if f.count("GET /model.safetensors bytes=5000-") != 1 {
		t.Errorf("requests %q", f.requests)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "models--org--model", "blobs", "*.incomplete")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestNoRanges restarts where the server cannot resume, but not for ever.
func TestNoRanges(t *testing.T) {
	f := newFakeHub(t, model())
	f.cuts, f.cutAfter, f.noRanges = 2, 3000, true
	f.check(folder(t, f.client(t.TempDir(), nil)), "config.json", "tokenizer.json", "model.safetensors")
	f.cuts = 1000
	fails(t, f.client(t.TempDir(), nil), "org/model: model.safetensors", "broke off after 3000 bytes")
	if cut := 1000 - f.cuts; cut > 2*maxAttempts {
		t.Errorf("%d attempts", cut)
	}
}

// TestOtherPart starts again where a server sends another part of the file than asked for.
func TestOtherPart(t *testing.T) {
	f := newFakeHub(t, model())
	f.cuts, f.cutAfter, f.otherParts = 1, 3000, 1
	f.check(folder(t, f.client(t.TempDir(), nil)), "config.json", "tokenizer.json", "model.safetensors")
	if f.otherParts != 0 || f.damage != 0 || f.count("GET /model.safetensors") != 3 {
		t.Errorf("requests %q", f.requests)
	}
}

func TestWrongLength(t *testing.T) {
	f := newFakeHub(t, model())
	f.longer, f.noRanges = 5, true
	cache := t.TempDir()
	fails(t, f.client(cache, nil), "wrong length: more comes than the announced 8000 bytes")
	if complete(filepath.Join(cache, "models--org--model", "snapshots", f.commit), true) {
		t.Error("the snapshot counts as complete")
	}
}

func TestChecksum(t *testing.T) {
	f := newFakeHub(t, model())
	f.damage = 1
	f.check(folder(t, f.client(t.TempDir(), nil)), "config.json", "tokenizer.json", "model.safetensors") // fetched once more
	if n := f.count("GET /model.safetensors"); n != 2 {
		t.Errorf("%d requests", n)
	}
	f.damage = 1000
	cache := t.TempDir()
	fails(t, f.client(cache, nil), "model.safetensors", "checksum", "announced")
	if left, _ := filepath.Glob(filepath.Join(cache, "models--org--model", "snapshots", "*", "model.safetensors")); len(left) > 0 {
		t.Errorf("damaged weights are in the snapshot: %q", left)
	}
}

func TestToken(t *testing.T) {
	f := newFakeHub(t, model())
	f.token = "hf_secret"
	fails(t, f.client(t.TempDir(), nil), "HTTP 401", "private or gated", "set HF_TOKEN", f.hub.URL+"/org/model ")
	c := f.client(t.TempDir(), nil)
	c.Token = "hf_wrong"
	fails(t, c, "HTTP 401", "the token in HF_TOKEN")
	if n := len(f.requests); n != 2 {
		t.Errorf("a refusal was asked again: %q", f.requests)
	}
	c.Token = "hf_secret"
	f.check(folder(t, c), "config.json", "tokenizer.json", "model.safetensors")
	if f.leaked {
		t.Error("the token went to another host")
	}
	_, err := c.Folder(context.Background(), ID{"org/unknown", "main"})
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "HTTP 404") {
		t.Errorf("an unknown model: got %v", err)
	}
}

// TestStoredToken reads what the Python library's login stored.
func TestStoredToken(t *testing.T) {
	f := newFakeHub(t, model())
	f.client(t.TempDir(), nil)
	if err := os.WriteFile(filepath.Join(os.Getenv("HF_HOME"), "token"), []byte("hf_stored\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := New(); err != nil || c.Token != "hf_stored" {
		t.Errorf("got %q, %v", c.Token, err)
	}
	t.Setenv("HF_TOKEN", "hf_given")
	if c, err := New(); err != nil || c.Token != "hf_given" {
		t.Errorf("got %q, %v", c.Token, err)
	}
}

func TestTooManyRequests(t *testing.T) {
	f := newFakeHub(t, model())
	f.tooMany = 2
	var waits []time.Duration
	folder(t, f.client(t.TempDir(), &waits))
	if len(waits) != 2 || waits[0] != 7*time.Second {
		t.Errorf("waits %v", waits)
	}
	f.tooMany = 1000
	fails(t, f.client(t.TempDir(), nil), "HTTP 429", "HF_TOKEN")
	if n := 1000 - f.tooMany; n != maxAttempts {
		t.Errorf("%d attempts", n)
	}
}

func TestRedirects(t *testing.T) {
	f := newFakeHub(t, model())
	f.redirectTo = "ftp://127.0.0.1"
	fails(t, f.client(t.TempDir(), nil), "no address")
	var circle *httptest.Server
	circle = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, circle.URL+"/again", http.StatusFound)
	}))
	defer circle.Close()
	f.redirectTo = circle.URL
	fails(t, f.client(t.TempDir(), nil), "in circles")
}

// TestOffline makes no request at all.
func TestOffline(t *testing.T) {
	f := newFakeHub(t, model())
	c := f.client(t.TempDir(), nil)
	t.Setenv("HF_HUB_OFFLINE", "1")
	offline, err := New()
	if err != nil {
		t.Fatal(err)
	}
	fails(t, offline, "HF_HUB_OFFLINE", c.Cache)
	if len(f.requests) != 0 {
		t.Errorf("requests %q", f.requests)
	}
	f.hub.Close()
	fails(t, c, strings.TrimPrefix(f.hub.URL, "http://"))
}

// TestRefresh follows a branch that moved; without it the cache counts.
func TestRefresh(t *testing.T) {
	f := newFakeHub(t, model())
	c := f.client(t.TempDir(), nil)
	old := folder(t, c)
	f.commit, f.files["model.safetensors"] = strings.Repeat("ab", 20), []byte("new")
	if got := folder(t, c); got != old {
		t.Errorf("got %s", got)
	}
	c.Refresh = true
	f.check(folder(t, c), "config.json", "tokenizer.json", "model.safetensors")
	if f.count("GET /org/model/resolve/"+f.commit+"/tokenizer.json") != 0 {
		t.Error("an unchanged file was fetched again")
	}
}

// TestConcurrent lets several clients, as several processes would, want the same model.
func TestConcurrent(t *testing.T) {
	f := newFakeHub(t, model())
	f.cuts, f.cutAfter = 3, 1000
	cache := t.TempDir()
	c := f.client(cache, nil)
	var wait sync.WaitGroup
	for range 6 {
		wait.Go(func() {
			mine := *c
			dir, err := mine.Folder(context.Background(), id)
			if err != nil {
				t.Error(err)
				return
			}
			if data, err := os.ReadFile(filepath.Join(dir, "model.safetensors")); err != nil || string(data) != string(f.files["model.safetensors"]) {
				t.Errorf("got %.40q, %v", data, err)
			}
		})
	}
	wait.Wait()
	if n := f.count("GET /model.safetensors"); n != 4 {
		t.Errorf("%d requests for one file with three cuts", n)
	}
}

func TestParseID(t *testing.T) {
	for s, want := range map[string]ID{
		"org/model": {"org/model", "main"}, "gpt2": {"gpt2", "main"}, "org/model@v1.0": {"org/model", "v1.0"}, "org/model@refs/pr/1": {"org/model", "refs/pr/1"},
		"Org_1/m.o-d": {"Org_1/m.o-d", "main"},
	} {
		got, ok := ParseID(s)
		if !ok || got != want {
			t.Errorf("%s: got %v, %v", s, got, ok)
		}
		if got.String() != s {
			t.Errorf("%s: came back as %s", s, got)
		}
	}
	for _, s := range []string{"", "/", "/model", "org/", "a/b/c", "./model", "../model", "a/..", "~/model", "org/model@", "org/model@../x", "org/model@/x", "o--r/model", `org\model`, "org/mo del"} {
		if got, ok := ParseID(s); ok {
			t.Errorf("%q became %v", s, got)
		}
	}
}

func TestNewErrors(t *testing.T) {
	t.Setenv("HF_ENDPOINT", "not a hub")
	if _, err := New(); err == nil || !strings.Contains(err.Error(), "HF_ENDPOINT") {
		t.Errorf("got %v", err)
	}
	t.Setenv("HF_ENDPOINT", "")
	t.Setenv("HF_TOKEN", "with\nnew line")
	if _, err := New(); err == nil || !strings.Contains(err.Error(), "HF_TOKEN") || strings.Contains(err.Error(), "new line") {
		t.Errorf("got %v", err)
	}
}

// safetensors is a file with a header and zeros behind it.
func safetensors(header string, size int) string {
	return string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + header + strings.Repeat("\x00", size)
}

// TestHeaders looks at weights without fetching them.
func TestHeaders(t *testing.T) {
	large := safetensors(`{"a":{"dtype":"F32","shape":[1000],"data_offsets":[0,4000]}}`, 4000)
	small := safetensors(`{"b":{"dtype":"I8","shape":[2,3],"data_offsets":[0,6]}}`, 6)
	for name, files := range map[string]map[string]string{
		"whole": {"config.json": "{}", "tokenizer.json": "{}", "model.safetensors": large},
		"shards": {"config.json": "{}", "tokenizer.json": "{}", "model-1.safetensors": large, "model-2.safetensors": small,
			"model.safetensors.index.json": `{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}`},
	} {
		f := newFakeHub(t, files)
		c := f.client(t.TempDir(), nil)
		tensors, err := c.Headers(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		if shape, ok := tensors.Shape("a"); !ok || shape.String() != "(Float32)[1000]" || len(tensors.Names()) != len(files)-3 && name == "shards" {
			t.Errorf("%s: a is %s, tensors %q", name, shape, tensors.Names())
		}
		if _, err := tensors.Tensor("a"); err == nil {
			t.Errorf("%s: a tensor was read without its file", name)
		}
		if n := f.count("GET /model"); n != f.count("GET /model-1.safetensors bytes=")+f.count("GET /model-2.safetensors bytes=")+f.count("GET /model.safetensors bytes=") {
			t.Errorf("%s: requests %q", name, f.requests)
		}
		if complete(c.repo(id).snapshot(f.commit), true) {
			t.Errorf("%s: the snapshot counts as complete", name)
		}
		folder(t, c) // the weights still come when they are needed
		before := len(f.requests)
		if tensors, err = c.Headers(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		if value, err := tensors.Tensor("a"); err != nil || value.Size() != 1000 {
			t.Errorf("%s: %v", name, err)
		}
		if len(f.requests) != before {
			t.Errorf("%s: requests %q for a model in the cache", name, f.requests[before:])
		}
	}
	f := newFakeHub(t, map[string]string{"config.json": "{}", "tokenizer.json": "{}", "model.safetensors": "not safetensors"})
	if _, err := f.client(t.TempDir(), nil).Headers(context.Background(), id); err == nil || !strings.Contains(err.Error(), "org/model/model.safetensors: not a safetensors file") {
		t.Errorf("got %v", err)
	}
}
