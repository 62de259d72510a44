package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// tokenize runs the command with lines on standard input.
func tokenize(t *testing.T, input string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	in, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.WriteString(input); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	old := os.Stdin
	os.Stdin = in
	defer func() {
		os.Stdin = old
		in.Close()
	}()
	var out, errs bytes.Buffer
	status = run(t.Context(), append([]string{"tokenize"}, args...), &out, &errs)
	return out.String(), errs.String(), status
}

func TestTokenize(t *testing.T) {
	bert, opt := "--tokenizer=../../datasets/text/testdata/bert", "--tokenizer=../../datasets/text/testdata/opt"
	text := `"A photo of two cats."` + "\n"
	for _, c := range []struct {
		name, input, want string
		args              []string
	}{
		{"ids", text, `{"ids":[2,26,6,7,8,10,53,3]}`, []string{bert}},
		{"several", text + `"a"`, `{"ids":[2,26,6,7,8,10,53,3]}` + "\n" + `{"ids":[2,26,3]}`, []string{bert}},
		{"plain", text, `{"ids":[26,6,7,8,10,53]}`, []string{bert, "--no-special"}},
		{"nothing", `""`, `{"ids":[]}`, []string{bert, "--no-special"}},
		{"cut", text, `{"ids":[2,26,6,3]}`, []string{bert, "--max-length=4"}},
		{"cut plain", text, `{"ids":[10,53]}`, []string{bert, "--max-length=2", "--no-special", "--truncation-side=left"}},
		{"padded", `"a"`, `{"ids":[2,26,3,0,0],"attention_mask":[1,1,1,0,0]}`, []string{bert, "--max-length=5", "--pad"}},
		{"padded left", `"a"`, `{"ids":[0,0,2,26,3],"attention_mask":[0,0,1,1,1]}`, []string{bert, "--max-length=5", "--pad", "--padding-side=left"}},
		{"text", `{"ids":[2,26,6,7,8,10,53,3]}` + "\n[26]", `"[CLS] a photo of two cats. [SEP]"` + "\n" + `"a"`, []string{bert, "--decode"}},
		{"text alone", `[2,26,6,3,99999]`, `"a photo"`, []string{bert, "--decode", "--skip-special"}},
		{"text as it was", `[2,2]`, `"</s></s>"`, []string{opt, "--decode"}},
	} {
		stdout, stderr, status := tokenize(t, c.input, c.args...)
		if status != 0 || stdout != c.want+"\n" {
			t.Errorf("%s: status %d, got %q %q, want %q", c.name, status, stdout, stderr, c.want)
		}
	}
}

func TestTokenizeErrors(t *testing.T) {
	bert := "--tokenizer=../../datasets/text/testdata/bert"
	for _, c := range []struct {
		name, input, want string
		status            int
		args              []string
	}{
		{"no string", `"a"` + "\n7\n", "line 2: not a JSON string", exitFailed, []string{bert}},
		{"null", "null", "line 1: not a JSON string", exitFailed, []string{bert}},
		{"empty line", "\n", "line 1: not a JSON string", exitFailed, []string{bert}},
		{"not UTF-8", "\"\xff\"", "line 1: not UTF-8", exitFailed, []string{bert}},
		{"no ids", `[1]` + "\n" + `"a"`, "line 2: neither", exitFailed, []string{bert, "--decode"}},
		{"no ids in it", `{"id":[1]}`, "line 1: neither", exitFailed, []string{bert, "--decode"}},
		{"null ids", `null`, "line 1: no ids", exitFailed, []string{bert, "--decode"}},
		{"negative", `[-1]`, "line 1: id -1 is negative", exitFailed, []string{bert, "--decode"}},
		{"too large", `[3000000000]`, "line 1: neither", exitFailed, []string{bert, "--decode"}},
		{"no folder", "", "no-such-folder", exitFailed, []string{"--tokenizer=no-such-folder"}},
		{"no tokenizer", "", "tokenizer", exitUsage, nil},
		{"pad alone", "", "--pad needs --max-length", exitUsage, []string{bert, "--pad"}},
		{"length", "", "--max-length 0", exitUsage, []string{bert, "--max-length=0"}},
		{"side", "", `--padding-side "up"`, exitUsage, []string{bert, "--padding-side=up"}},
		{"pad with decode", "", "--max-length has no meaning with --decode", exitUsage, []string{bert, "--decode", "--max-length=3"}},
		{"skip without decode", "", "--skip-special needs --decode", exitUsage, []string{bert, "--skip-special"}},
	} {
		_, stderr, status := tokenize(t, c.input, c.args...)
		if status != c.status || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: status %d, %q, want %d and one line with %q", c.name, status, stderr, c.status, c.want)
		}
	}
}
