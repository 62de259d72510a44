package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeJava puts a program named java in front of the path.
func fakeJava(t *testing.T, script string) (jar string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "java"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	jar = filepath.Join(dir, "some.jar")
	write(t, jar, "")
	return jar
}

func TestScoreSPICE(t *testing.T) {
	refs := writeTestFile(t, "refs.json", testAnnotations)
	hyps := writeTestFile(t, "hyps.json", `[{"image_id": "b", "caption": "two blue squares"}, {"image_id": 7, "caption": "a circle"}]`)
	for _, c := range []struct{ name, script, want string }{
		{"SPICE", `while [ "$1" != -out ]; do shift; done; echo '[{"image_id": 0, "scores": {"All": {"f": 0.25}}}, {"image_id": 1, "scores": {"All": {"f": 0.75}}}]' >"$2"`, ""},
		{"a program that fails", "echo broken >&2; exit 3", "exit status 3: broken"},
		{"SPICE without an image", `while [ "$1" != -out ]; do shift; done; echo '[{"image_id": 0, "scores": {"All": {"f": 0.25}}}]' >"$2"`, "scores of 1 images, want 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := runScore(t, "caption", "--refs", refs, "--hyps", hyps, "--spice", fakeJava(t, c.script), "--json")
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Overall struct{ SPICE float64 }
				Images  []struct{ SPICE float64 }
			}
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatal(err)
			}
			if got.Overall.SPICE != 0.5 || got.Images[0].SPICE != 0.75 {
				t.Errorf("%+v", got)
			}
		})
	}
	if _, err := runScore(t, "caption", "--refs", refs, "--hyps", hyps, "--spice", "nowhere.jar"); err == nil || !strings.Contains(err.Error(), "nowhere.jar") {
		t.Errorf("no jar: %v", err)
	}
}
