package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"goblip/internal/pjrt"
)

// TestMain lets a test start this binary as if it were the program.
func TestMain(m *testing.M) {
	if os.Getenv("GOBLIP_TEST_AS_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

// TestCommandLine wants the statuses and the one line that a mistake gives.
func TestCommandLine(t *testing.T) {
	tests := []struct {
		args   string
		status int
		want   string // on standard output after "+", else on standard error
	}{
		{"", 0, "+goblip doctor"},
		{"--help", 0, "+setup"},
		{"setup --help", 0, "+not tested on either"},
		{"nope", exitUsage, `goblip: unknown command "nope" for "goblip"`},
		{"doctr", exitUsage, `did you mean "doctor"?`},
		{"setup nope", exitUsage, `goblip: invalid argument "nope"`},
		{"setup cpu tpu", exitUsage, "goblip: accepts at most 1 arg"},
		{"doctor here", exitUsage, `goblip: unknown command "here"`},
		{"doctor --colour", exitUsage, "goblip: unknown flag: --colour"},
		{"--debug doctor --colour", exitUsage, "goblip: unknown flag: --colour"},
	}
	for _, test := range tests {
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), strings.Fields(test.args), &stdout, &stderr)
		if status != test.status {
			t.Errorf("%q: status %d, want %d", test.args, status, test.status)
		}
		if want, ok := strings.CutPrefix(test.want, "+"); ok {
			if !strings.Contains(stdout.String(), want) || stderr.Len() > 0 {
				t.Errorf("%q: want %q on stdout, got:\n%s\nstderr: %s", test.args, want, &stdout, &stderr)
			}
		} else if !strings.Contains(stderr.String(), test.want) || strings.Count(stderr.String(), "\n") != 1 || stdout.Len() > 0 {
			t.Errorf("%q: want one line with %q, got:\n%s\nstdout: %s", test.args, test.want, &stderr, &stdout)
		}
	}
}

// TestHelp wants every command to say what it does and to have an own usage.
func TestHelp(t *testing.T) {
	var opts options
	var started bool
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: Short is %q; want words without a full stop", cmd.CommandPath(), cmd.Short)
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRootCommand(&opts, &started))
}

// TestCommands notices a command that fell out of the list.
func TestCommands(t *testing.T) {
	have := map[string]bool{}
	for _, cmd := range commands() {
		if have[cmd.Name()] {
			t.Errorf("%s is listed twice", cmd.Name())
		}
		have[cmd.Name()] = true
	}
	for _, name := range strings.Fields("setup doctor quickstart train caption ask match embed convert inspect download bench data eval score") {
		if !have[name] {
			t.Errorf("%s is not listed", name)
		}
	}
}

func TestDoctor(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"doctor", "--json"}, &stdout, &stderr); status != 0 {
		t.Fatalf("status %d: %s", status, &stderr)
	}
	var d diagnosis
	if err := json.Unmarshal(stdout.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if d.Backend.Kind == "" || d.Backend.Devices < 1 || d.MatMulSeconds <= 0 || d.CPUs < 1 || d.Error != "" {
		t.Errorf("got %+v", d)
	}
	stdout.Reset()
	if status := run(t.Context(), []string{"doctor"}, &stdout, &stderr); status != 0 || !strings.Contains(stdout.String(), "missing") {
		t.Errorf("status %d:\n%s", status, &stdout)
	}
}

// TestDoctorBadSetting runs the program itself: the backend is opened once a process.
func TestDoctorBadSetting(t *testing.T) {
	for setting, want := range map[string]string{
		"xla:milliways": "goblip setup milliways", "nonsense": "nonsense", "xla:/no/such.so": "/no/such.so",
	} {
		cmd := exec.Command(os.Args[0], "doctor")
		cmd.Env = append(os.Environ(), "GOBLIP_TEST_AS_PROGRAM=1", "GOMLX_BACKEND="+setting)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		stdout, err := cmd.Output()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
			t.Errorf("%s: got %v, want status %d", setting, err, exitFailed)
		}
		if lines := strings.Count(stderr.String(), "\n"); lines != 1 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: want one line with %q, got:\n%s", setting, want, &stderr)
		}
		if !strings.Contains(string(stdout), "unset GOMLX_BACKEND") {
			t.Errorf("%s: no advice in:\n%s", setting, stdout)
		}
	}
}

func TestMissing(t *testing.T) {
	d := diagnosis{Backend: pjrt.Info{Kind: "go"}}
	if got := d.missing(); len(got) == 0 || !strings.HasPrefix(got[len(got)-1].Command, "GO") && got[0].Command != "goblip setup cpu" {
		t.Errorf("no plugin: got %+v", got)
	}
	d = diagnosis{Backend: pjrt.Info{Kind: "cpu"}, Plugins: []pjrt.Plugin{{Kind: "cpu"}, {Kind: "cuda"}}}
	if got := d.missing(); len(got) != 0 {
		t.Errorf("all there: got %+v", got)
	}
}

// TestSetup plays the machines that setup may meet.
func TestSetup(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	cache, err := pjrt.CacheFolder()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(cache, "pjrt_c_api_cpu_plugin.so")
	tests := []struct {
		name      string
		force     bool
		installed bool  // a plugin is there before
		probe     error // what trying it says
		install   error
		want      string // last line
		installs  int
		left      bool // a plugin is there after
	}{
		{"there and works", false, true, nil, nil, "works", 0, true},
		{"forced", true, true, nil, nil, "works", 1, true},
		{"fresh", false, false, nil, nil, "works", 1, true},
		{"no network", false, false, nil, errors.New("unreachable"), "warning: no XLA plugin could be installed", 1, false},
		{"for another processor", false, false, errors.New("signal: illegal instruction"), nil, "warning: the installed plugin does not work", 1, false},
		{"broken and replaced in vain", false, true, errors.New("file too short"), errors.New("unreachable"), "warning: no XLA plugin", 1, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_ = os.Remove(own)
			put := func() { _ = os.WriteFile(own, []byte("x"), 0o755) }
			if test.installed {
				put()
			}
			var lines []string
			installs := 0
			s := setup{
				print: func(line string) { lines = append(lines, line) },
				plugins: func() []pjrt.Plugin {
					if _, err := os.Stat(own); err != nil {
						return nil
					}
					return []pjrt.Plugin{{Kind: "cpu", Path: own}}
				},
				install: func(context.Context, func(string)) error {
					installs++
					if test.install == nil {
						put()
					}
					return test.install
				},
				probe: func(context.Context, string) error { return test.probe },
			}
			if err := s.cpu(t.Context(), test.force); err != nil {
				t.Fatal(err)
			}
			_, statErr := os.Stat(own)
			if last := lines[len(lines)-1]; !strings.Contains(last, test.want) || installs != test.installs || (statErr == nil) != test.left {
				t.Errorf("lines %q, %d installs, left: %v", lines, installs, statErr)
			}
		})
	}
}

func TestOpenBackend(t *testing.T) {
	cmd := &cobra.Command{}
	var usage usageError
	if _, _, err := openBackend(cmd, 0); !errors.As(err, &usage) {
		t.Errorf("0 devices: got error %v, want a usage error", err)
	}
	backend, info, err := openBackend(cmd, 1)
	if err != nil || backend.NumDevices() != info.Devices {
		t.Errorf("got %+v, %v", info, err)
	}
}

func TestOneLine(t *testing.T) {
	if got := oneLine("a\nb\r\n\nc\n"); got != "a; b; c" {
		t.Errorf("got %q", got)
	}
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[uint64]string{12: "12 B", 1536: "1.5 KiB", 3 << 20: "3.0 MiB", 5 << 29: "2.5 GiB"} {
		if got := formatBytes(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}
