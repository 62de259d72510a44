package pjrt

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
)

// TestOpen runs a graph on whatever backend this machine has.
func TestOpen(t *testing.T) {
	backend, info, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", info)
	checkBackend(t, backend)
	if again, _, _ := Open(); again != backend {
		t.Error("the second Open opened another backend")
	}
	if info.Devices < 1 || info.Require(info.Devices+1) == nil || info.Require(1) != nil {
		t.Errorf("devices: %+v", info)
	}
	if _, demanded := os.LookupEnv(compute.ConfigEnvVar); !demanded {
		// Code that asks GoMLX itself must get the same, and no download.
		other, err := compute.New()
		if err != nil || other.Name() != backend.Name() {
			t.Errorf("compute.New after Open: %v, %v", other, err)
		}
	}
}

// TestOpenWithoutPlugin is what a machine without a plugin gets.
func TestOpenWithoutPlugin(t *testing.T) {
	backend, info, err := open("", false, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkBackend(t, backend)
	if info.Kind != "go" || info.Devices != 1 || len(info.Warnings) != 1 || !strings.Contains(info.Warnings[0], "goblip setup cpu") {
		t.Errorf("got %+v", info)
	}
}

// TestOpenBrokenPlugin wants a warning where a plugin was only found, and an
// error where it was demanded.
func TestOpenBrokenPlugin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pjrt_c_api_cpu_plugin.so")
	if err := os.WriteFile(path, []byte("not a library"), 0o755); err != nil {
		t.Fatal(err)
	}
	plugins := []Plugin{{Kind: "cpu", name: "cpu", Path: path}}
	backend, info, err := open("", false, plugins)
	if err != nil {
		t.Fatal(err)
	}
	checkBackend(t, backend)
	if info.Kind != "go" || len(info.Warnings) != 2 || !strings.Contains(info.Warnings[0], path) {
		t.Errorf("got %+v", info)
	}
	for _, setting := range []string{"xla", "xla:cpu", "xla:" + path, "nonsense"} {
		if _, _, err := open(setting, true, plugins); err == nil || !strings.Contains(err.Error(), "GOMLX_BACKEND") {
			t.Errorf("%s: got error %v", setting, err)
		}
	}
}

func TestChoose(t *testing.T) {
	cpu := Plugin{Kind: "cpu", name: "cpu_v0.114.0", Path: "/p/pjrt_c_api_cpu_v0.114.0_plugin.so"}
	metal := Plugin{Kind: "metal", name: "metal", Path: "/p/pjrt_c_api_metal_plugin.so"}
	tests := []struct {
		name     string
		setting  string
		demanded bool
		plugins  []Plugin
		want     string // configurations, or part of the error after "!"
	}{
		{"nothing at all", "", false, nil, goConfig},
		{"plugin first, Go last", "", false, []Plugin{cpu}, "xla:" + cpu.Path + " " + goConfig},
		{"unknown kinds only on demand", "", false, []Plugin{metal}, goConfig},
		{"unknown kind demanded", "xla:metal", true, []Plugin{cpu, metal}, "xla:" + metal.Path},
		{"set but empty means Go", "", true, []Plugin{cpu}, goConfig},
		{"go alone would deadlock", "go", true, []Plugin{cpu}, goConfig},
		{"go with options is theirs", "go:ops_sequential", true, nil, "go:ops_sequential"},
		{"xla alone", "xla", true, []Plugin{metal, cpu}, "xla:" + cpu.Path},
		{"kind and options", "xla:cpu,tf32=false", true, []Plugin{cpu}, "xla:" + cpu.Path + ",tf32=false"},
		{"versioned", "stablehlo:cpu_v0.114.0", true, []Plugin{cpu}, "xla:" + cpu.Path},
		{"absolute path", "xla:/x/y.so", true, nil, "xla:/x/y.so"},
		{"missing plugin", "xla:cuda", true, []Plugin{cpu}, "!goblip setup cuda"},
		{"no plugin", "xla", true, nil, "!goblip setup cpu"},
	}
	for _, test := range tests {
		choices, err := choose(test.setting, test.demanded, test.plugins)
		var got []string
		for _, c := range choices {
			got = append(got, c.config)
		}
		if wantErr, ok := strings.CutPrefix(test.want, "!"); ok {
			if err == nil || !strings.Contains(err.Error(), wantErr) {
				t.Errorf("%s: got error %v, want %q", test.name, err, wantErr)
			}
		} else if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("%s: got %q, %v, want %q", test.name, got, err, test.want)
		}
	}
}

func TestPlugins(t *testing.T) {
	dir, second, home := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", dir+string(os.PathListSeparator)+second)
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", "")
	wheel := filepath.Join(home, ".local/lib/python3.11/site-packages/xla_plugins/xla_cpu_pjrt")
	if err := os.MkdirAll(wheel, 0o755); err != nil {
		t.Fatal(err)
	}
	files := []string{dir + "/pjrt_c_api_cpu_v0.114.0_plugin.so", second + "/pjrt_c_api_cuda_plugin.so",
		second + "/notes.txt", second + "/libpjrt_c_api_cpu_plugin.so", wheel + "/xla_cpu_pjrt.so"}
	for _, f := range files {
		if err := os.WriteFile(f, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// The link that installers put beside the versioned file is no second plugin.
	if err := os.Symlink("pjrt_c_api_cpu_v0.114.0_plugin.so", dir+"/pjrt_c_api_cpu_plugin.so"); err != nil {
		t.Skip(err)
	}
	var got []string
	for _, p := range Plugins() {
		if strings.HasPrefix(p.Path, dir) || strings.HasPrefix(p.Path, second) || strings.HasPrefix(p.Path, home) {
			got = append(got, p.Kind+" "+filepath.Base(p.Path))
		}
	}
	want := []string{"cuda pjrt_c_api_cuda_plugin.so", "cpu pjrt_c_api_cpu_plugin.so", "cpu xla_cpu_pjrt.so"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestEnsureDevices lets a child process, this test binary, start itself again.
func TestEnsureDevices(t *testing.T) {
	if os.Getenv("GOBLIP_TEST_CHILD") != "" {
		if err := EnsureDevices(2); err != nil {
			t.Fatal(err)
		}
		t.Logf("child NPROC=%q", os.Getenv("NPROC"))
		return
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pjrt_c_api_cpu_plugin.so"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	want := "16"
	if runtime.NumCPU() >= cpuThreads {
		want = ""
	}
	child := exec.Command(os.Args[0], "-test.run=^TestEnsureDevices$", "-test.v")
	child.Env = append(os.Environ(), "GOBLIP_TEST_CHILD=1", "GOMLX_BACKEND=xla:cpu", "NPROC=", "PJRT_PLUGIN_LIBRARY_PATH="+dir)
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `child NPROC="`+want+`"`) {
		t.Errorf("err %v, want NPROC=%q in:\n%s", err, want, out)
	}

	t.Setenv("GOMLX_BACKEND", "go")
	if err := EnsureDevices(1); err != nil {
		t.Error(err)
	}
	if err := EnsureDevices(2); err == nil || !strings.Contains(err.Error(), "goblip setup cpu") {
		t.Errorf("two devices on the Go backend: got error %v", err)
	}
}

// TestUseHugePages lets a child process start itself again, once.
func TestUseHugePages(t *testing.T) {
	if os.Getenv("GOBLIP_TEST_CHILD") != "" {
		if err := UseHugePages(); err != nil {
			t.Fatal(err)
		}
		t.Logf("child has %q", os.Getenv(tunables))
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("glibc is Linux's")
	}
	for _, test := range []struct{ name, have, want string }{
		{"nothing set", "", "glibc.malloc.hugetlb=1"},
		{"another setting stays", "glibc.malloc.check=0", "glibc.malloc.check=0:glibc.malloc.hugetlb=1"},
		{"the user's choice stays", "glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=0"},
	} {
		child := exec.Command(os.Args[0], "-test.run=^TestUseHugePages$", "-test.v")
		child.Env = append(os.Environ(), "GOBLIP_TEST_CHILD=1", tunables+"="+test.have)
		out, err := child.CombinedOutput()
		if err != nil || !strings.Contains(string(out), `child has "`+test.want+`"`) {
			t.Errorf("%s: err %v, want %q in:\n%s", test.name, err, test.want, out)
		}
	}
}

func TestPeakMemory(t *testing.T) {
	before := PeakMemory()
	if before == 0 {
		t.Skip("this system does not tell")
	}
	block := make([]byte, 64<<20)
	for i := range block {
		block[i] = 1
	}
	if after := PeakMemory(); after < before || after < 64<<20 || after > 1<<44 {
		t.Errorf("before %d, after touching 64 MiB %d", before, after)
	}
	runtime.KeepAlive(block)
}

func checkBackend(t *testing.T, backend compute.Backend) {
	t.Helper()
	got := MustNewExec(backend, func(x *Node) *Node { return ReduceAllSum(Mul(x, x)) }).MustCall([]float32{1, 2, 3})[0].Value()
	if got != float32(14) {
		t.Errorf("1+4+9 on %s: got %v", backend.Name(), got)
	}
}
