package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"goblip/datasets"
	"goblip/train/runlog"
)

// packed writes a data set as shards and returns their pattern.
func packed(t *testing.T, data string, shards int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "packed")
	succeed(t, "data", "pack", data, "--out", dir, "--shards", fmt.Sprint(shards))
	return filepath.Join(dir, fmt.Sprintf("shard-{000..%03d}.tar", shards-1))
}

// TestSourcesAgree wants stage 1 to have the same losses from each layout of the same pictures.
func TestSourcesAgree(t *testing.T) {
	vision, _ := towers(t, filepath.Join(corpus(t, 12), "train.jsonl"))
	table := filepath.Join("..", "..", "datasets", "testdata", "parquet", "pictures.parquet")
	set, err := datasets.Open(table)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "folder")
	var lines strings.Builder
	for i, r := range set.Records {
		picture, err := r.PictureFile()
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%03d", i)
		write(t, filepath.Join(folder, name+".png"), string(picture))
		write(t, filepath.Join(folder, name+".txt"), strings.Join(r.Captions, "\n")+"\n")
		line, err := json.Marshal(datasets.Record{ID: name + ".png", Image: name + ".png", Captions: r.Captions})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	list := filepath.Join(folder, "list.jsonl")
	write(t, list, lines.String())
	server := httptest.NewServer(http.FileServer(http.Dir("/")))
	defer server.Close()
	shards := packed(t, list, 3)
	var want []runlog.Step
	for _, source := range []string{list, folder, shards, server.URL + shards, table} {
		out := filepath.Join(t.TempDir(), "run")
		succeed(t, flags("train blip2/stage1 --json --steps 4 --batch 4 --log-every 1 --vision", vision, "--data", source, "--out", out, tiny1)...)
		got := losses(t, out)
		if want == nil {
			want = got
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: losses\n%v\nwant\n%v", source, got, want)
		}
	}
}

// TestKilledOverShards kills a run that reads its pictures out of shards in each epoch, in the middle of
// one, and wants it to end as if nothing had happened.
func TestKilledOverShards(t *testing.T) {
	data := filepath.Join(corpus(t, 24), "train.jsonl")
	shards := packed(t, data, 3)
	args := flags("train clip --resume --steps 13 --batch 4 --checkpoint-every 1 --log-every 1 --picture-memory 0 --set augment=randaugment --data", shards, tinyCLIP)
	want, got := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "killed")
	succeed(t, append(args, "--out", want)...)
	kills := 0
	for _, step := range []string{"step-00000002", "step-00000009"} { // an epoch has six steps
		if killAt(t, append(args, "--out", got), appears(got, "checkpoints", step)) {
			kills++
		}
	}
	if kills == 0 {
		t.Error("no kill came in time")
	}
	succeed(t, append(args, "--out", got)...)
	sameRun(t, got, want)
}

// shaky serves files, badly in the ways that its paths are listed for.
type shaky struct {
	files         http.Handler
	mu            sync.Mutex
	asked         map[string]int
	missing, busy string // ends of paths
}

func (s *shaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked[r.URL.Path]++
	n := s.asked[r.URL.Path]
	s.mu.Unlock()
	switch {
	case s.missing != "" && strings.HasSuffix(r.URL.Path, s.missing):
		w.WriteHeader(http.StatusNotFound)
	case s.busy != "" && strings.HasSuffix(r.URL.Path, s.busy) && n == 2:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		s.files.ServeHTTP(w, r)
	}
}

// TestBadShards trains from a server and from disk with a shard that is cut, one that is not there, a
// picture that is damaged, and a server that fails once: each is named, and stops the run or not as
// --on-bad says.
func TestBadShards(t *testing.T) {
	shards := packed(t, filepath.Join(corpus(t, 24), "train.jsonl"), 4)
	dir := filepath.Dir(shards)
	cut := filepath.Join(dir, "shard-001.tar")
	info, err := os.Stat(cut)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(cut, info.Size()/2); err != nil {
		t.Fatal(err)
	}
	// A picture whose header is right and whose data are not is found when it is decoded.
	spoilt := filepath.Join(dir, "shard-002.tar")
	bytes, err := os.ReadFile(spoilt)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(bytes), "IDAT")
	copy(bytes[at+4:], "not compressed at all")
	write(t, spoilt, string(bytes))
	server := httptest.NewServer(&shaky{files: http.FileServer(http.Dir("/")), asked: map[string]int{}, missing: "shard-003.tar", busy: "shard-000.tar"})
	defer server.Close()
	for _, memory := range []string{"2048", "0"} { // all decoded at once, or in each epoch
		args := flags("train clip --steps 9 --batch 4 --log-every 1 --checkpoint-every 3 --picture-memory", memory, tinyCLIP, "--data", server.URL+shards)
		failOnce(t, exitFailed, []string{"shard-001.tar: cut in the middle"}, append(args, "--json", "--out", filepath.Join(t.TempDir(), "x"))...)
		args = append(args, "--on-bad", "skip")
		want := filepath.Join(t.TempDir(), "run")
		o := succeed(t, append(args, "--out", want)...)
		for _, said := range []string{"shard-001.tar: cut in the middle", "shard-003.tar: the server answers 404", "left out: ", "damaged or truncated PNG picture",
			"3 shards, records or pictures could not be read and were left out"} {
			if !strings.Contains(o.stderr, said) {
				t.Errorf("--picture-memory %s: no word of %q in:\n%s", memory, said, o.stderr)
			}
		}
		if memory == "2048" {
			continue
		}
		got := filepath.Join(t.TempDir(), "killed")
		args = append(args, "--resume", "--out", got)
		if !killAt(t, args, appears(got, "checkpoints", "step-00000003")) {
			t.Error("the run ended too early")
		}
		if o := succeed(t, append(args, "--json")...); !strings.Contains(o.stdout, `"left_out":`) {
			t.Errorf("no count in %s", o.stdout)
		}
		sameRun(t, got, want)
	}
}
