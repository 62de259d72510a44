package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"goblip/internal/pjrt"
)

func newSetupCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "setup [cpu|cuda|tpu]",
		Short: "Find or install the XLA plugin that computes",
		Long: `Find or install the XLA (PJRT) plugin that goblip computes with; cpu if not told.

cpu takes an installed plugin, else a release of go-xla, else the Python wheel
xla-cpu-pjrt through your own pip. Where none can be had, it warns and succeeds:
goblip then computes in pure Go, which takes at least twice as long.

cuda and tpu run go-xla's installer, which takes the plugins (and NVIDIA's
libraries) from Python wheels. goblip was not tested on either.`,
		Example:   "  goblip setup\n  goblip setup cuda",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"cpu", "cuda", "tpu"},
		RunE: func(cmd *cobra.Command, args []string) error {
			s := setup{
				print:   func(line string) { cmd.Println(line) },
				plugins: pjrt.Plugins, install: pjrt.Install, probe: probe,
			}
			if len(args) == 1 && args[0] != "cpu" {
				return s.accelerator(cmd.Context(), args[0], pjrt.InstallAccelerator)
			}
			return s.cpu(cmd.Context(), force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "install even if a plugin is there")
	return cmd
}

// setup is the command with what it acts upon, so that tests can replace that.
type setup struct {
	print   func(line string)
	plugins func() []pjrt.Plugin
	install func(ctx context.Context, progress func(string)) error
	probe   func(ctx context.Context, path string) error
}

func (s setup) cpu(ctx context.Context, force bool) error {
	if !force && s.working(ctx, "cpu") {
		return nil
	}
	if err := s.install(ctx, s.print); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		s.print("warning: no XLA plugin could be installed; goblip will compute in pure Go, which is slower")
		return nil
	}
	if !s.working(ctx, "cpu") {
		s.print("warning: the installed plugin does not work here; goblip will compute in pure Go, which is slower")
	}
	return nil
}

// working tells whether a plugin of that kind is installed and computes. One
// of our own that does not is removed, so that nothing trips over it again.
func (s setup) working(ctx context.Context, kind string) bool {
	cache, cacheErr := pjrt.CacheFolder()
	for _, p := range s.plugins() {
		if p.Kind != kind {
			continue
		}
		err := s.probe(ctx, p.Path)
		if err == nil {
			s.print(fmt.Sprintf("the XLA %s plugin %s works", kind, p.Path))
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		s.print(fmt.Sprintf("the plugin %s does not work: %v", p.Path, err))
		if cacheErr == nil && filepath.Dir(p.Path) == cache {
			if err := os.Remove(p.Path); err == nil {
				s.print("removed " + p.Path)
			}
		}
	}
	return false
}

func (s setup) accelerator(ctx context.Context, kind string, install func(context.Context, string, func(string)) error) error {
	if err := install(ctx, kind, s.print); err != nil {
		return fmt.Errorf("the %s plugin could not be installed: %w", kind, err)
	}
	if !s.working(ctx, kind) {
		return fmt.Errorf("the %s plugin is installed but does not work on this machine", kind)
	}
	return nil
}

// probe computes with a plugin in a process of its own: one that was built for
// other hardware may end the process that loads it.
func probe(ctx context.Context, path string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "doctor", "--json")
	cmd.Env = append(os.Environ(), compute.ConfigEnvVar+"=xla:"+path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		if first == "" {
			return err
		}
		return errors.New(strings.TrimPrefix(first, "goblip: "))
	}
	return nil
}
