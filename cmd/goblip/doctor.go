package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/spf13/cobra"

	"goblip/internal/pjrt"
)

// diagnosis is what doctor prints; the keys are those of --json.
type diagnosis struct {
	Backend        pjrt.Info     `json:"backend"`
	Error          string        `json:"error,omitempty"` // why no backend computes
	MatMulSeconds  float64       `json:"matmul_seconds,omitempty"`
	Plugins        []pjrt.Plugin `json:"plugins"`
	CPUs           int           `json:"cpus"`
	MemoryTotal    uint64        `json:"memory_total_bytes,omitempty"`
	MemoryFree     uint64        `json:"memory_free_bytes,omitempty"`
	Cache          string        `json:"cache,omitempty"`
	CacheBytes     uint64        `json:"cache_bytes"`
	GoVersion      string        `json:"go_version"`
	Platform       string        `json:"platform"`
	BackendSetting *string       `json:"gomlx_backend,omitempty"`
	Missing        []advice      `json:"missing,omitempty"`
}

// advice is something that is missing, and the command that helps.
type advice struct {
	What    string `json:"what"`
	Command string `json:"command"`
}

func newDoctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what this machine computes with, and what is missing",
		Long: `Tell which backend, plugin, devices and memory goblip uses here, try a small
computation, and name the command that helps where something is missing. Exit
status 1 if nothing computes.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := diagnose()
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				if err := encoder.Encode(d); err != nil {
					return err
				}
			} else if err := d.write(cmd.OutOrStdout()); err != nil {
				return err
			}
			if d.Error != "" {
				return fmt.Errorf("nothing computes here: %s", d.Error)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func diagnose() diagnosis {
	d := diagnosis{
		Plugins: pjrt.Plugins(), CPUs: runtime.NumCPU(),
		GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	d.MemoryTotal, d.MemoryFree = memory()
	if cache, err := os.UserCacheDir(); err == nil {
		d.Cache = filepath.Join(cache, "goblip")
		d.CacheBytes = folderBytes(d.Cache)
	}
	if setting, ok := os.LookupEnv(compute.ConfigEnvVar); ok {
		d.BackendSetting = &setting
	}
	backend, info, err := pjrt.Open()
	d.Backend = info
	if err == nil {
		d.MatMulSeconds, err = tryMatMul(backend)
	}
	if err != nil {
		d.Error = oneLine(err.Error())
	}
	d.Missing = d.missing()
	return d
}

// missing names what would help, most helpful first.
func (d diagnosis) missing() (out []advice) {
	kinds := map[string]bool{}
	for _, p := range d.Plugins {
		kinds[p.Kind] = true
	}
	if cards, _ := filepath.Glob("/dev/nvidia[0-9]*"); len(cards) > 0 && !kinds["cuda"] {
		out = append(out, advice{"an NVIDIA card is here, its XLA plugin is not", "goblip setup cuda"})
	}
	if !kinds["cpu"] && d.Backend.Kind != "cuda" && d.Backend.Kind != "tpu" {
		out = append(out, advice{"no XLA plugin: steps take about twice as long, --devices is limited to 1", "goblip setup cpu"})
	}
	if d.Backend.Kind == "go" && !d.Backend.SIMD && runtime.GOARCH == "amd64" {
		out = append(out, advice{"the pure-Go backend was built without SIMD", "GOEXPERIMENT=simd go build -o bin/goblip ./cmd/goblip"})
	}
	if d.Error != "" && d.BackendSetting != nil {
		out = append(out, advice{"what GOMLX_BACKEND demands does not open", "unset GOMLX_BACKEND"})
	}
	return out
}

func (d diagnosis) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(key, format string, args ...any) { fmt.Fprintf(t, key+"\t"+format+"\n", args...) }
	if d.Error != "" {
		row("backend", "none: %s", d.Error)
	} else {
		row("backend", "%s, devices: %d", map[bool]string{true: "pure Go", false: "XLA " + d.Backend.Kind}[d.Backend.Kind == "go"], d.Backend.Devices)
		if d.Backend.Plugin != "" {
			row("plugin", "%s", d.Backend.Plugin)
		}
		row("test", "a matrix product of 512 x 512 is right, %.1f ms", 1000*d.MatMulSeconds)
	}
	for _, p := range d.Plugins {
		if p.Path != d.Backend.Plugin {
			row("also found", "%s plugin %s", p.Kind, p.Path)
		}
	}
	for _, warning := range d.Backend.Warnings {
		row("warning", "%s", oneLine(warning))
	}
	if d.BackendSetting != nil {
		row("setting", "%s=%s", compute.ConfigEnvVar, *d.BackendSetting)
	}
	row("processors", "%d", d.CPUs)
	if d.MemoryTotal > 0 {
		row("memory", "%s, %s free", formatBytes(d.MemoryTotal), formatBytes(d.MemoryFree))
	}
	if d.Cache != "" {
		row("cache", "%s (%s)", d.Cache, formatBytes(d.CacheBytes))
	}
	row("built with", "%s %s, SIMD for pure Go: %t", d.GoVersion, d.Platform, d.Backend.SIMD)
	if len(d.Missing) == 0 {
		row("missing", "nothing")
	}
	for _, m := range d.Missing {
		row("missing", "%s; try: %s", m.What, m.Command)
	}
	return t.Flush()
}

// tryMatMul multiplies, checks and times; the first call, which compiles, is not
// counted. The numbers are small integers, exact even in TF32.
func tryMatMul(backend compute.Backend) (seconds float64, err error) {
	const n = 512
	at := func(i, j int) float32 { return float32((i + j) % 7) }
	flat := make([]float32, 0, n*n)
	for i := range n {
		for j := range n {
			flat = append(flat, at(i, j))
		}
	}
	x := tensors.FromFlatDataAndDimensions(flat, n, n)
	var want float32
	for k := range n {
		want += at(n-1, k) * at(k, n-2)
	}
	exec, err := graph.NewExec(backend, func(x *graph.Node) *graph.Node { return graph.MatMul(x, x) })
	if err != nil {
		return 0, err
	}
	for range 2 {
		start := time.Now()
		out, err := exec.Call(x)
		if err != nil {
			return 0, err
		}
		product, err := tensors.CopyFlatData[float32](out[0])
		if err != nil {
			return 0, err
		}
		seconds = time.Since(start).Seconds()
		if got := product[(n-1)*n+n-2]; got != want {
			return 0, fmt.Errorf("a matrix product is wrong: got %g, want %g", got, want)
		}
	}
	return seconds, nil
}

func folderBytes(folder string) (total uint64) {
	_ = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				total += uint64(info.Size())
			}
		}
		return nil // what cannot be read is not counted
	})
	return total
}

// memory reads what Linux has, within the limit of the container; zeros elsewhere.
func memory() (total, free uint64) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kb, _ := strconv.ParseUint(fields[1], 10, 64)
		switch fields[0] {
		case "MemTotal:":
			total = kb << 10
		case "MemAvailable:":
			free = kb << 10
		}
	}
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if limit, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && limit < total {
			total, free = limit, min(free, limit)
		}
	}
	return total, free
}
