package pjrt

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// Plugin is a PJRT plugin that lies on this machine; it was not loaded.
type Plugin struct {
	// Kind is "cpu", "cuda", "tpu", or what else stands in the file's name.
	Kind string `json:"kind"`
	// Path is absolute.
	Path string `json:"path"`

	name string // the kind with its version, as go-xla calls it: "cpu_v0.114.0"
}

var (
	pluginFile = regexp.MustCompile(`^pjrt_c_api_(([a-z0-9]+)(?:_v[0-9.]+)?)_plugin\.(?:so|dylib|dll)$`)
	wheelFile  = "xla_cpu_pjrt.so" // how the Python wheel calls it
)

// Plugins finds the installed PJRT plugins, best first: accelerators before the
// CPU, and within a kind in the order of the folders: PJRT_PLUGIN_LIBRARY_PATH,
// go-xla's own, goblip's cache, the system's, Python's site-packages.
func Plugins() []Plugin {
	var found []Plugin
	seen := map[string]bool{} // links resolved
	for _, dir := range searchFolders() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			kind, name := kindOf(entry.Name()), entry.Name()
			if kind == "" {
				continue
			}
			if m := pluginFile.FindStringSubmatch(name); m != nil {
				name = m[1]
			}
			path, err := filepath.Abs(filepath.Join(dir, entry.Name()))
			if err != nil {
				continue
			}
			real, err := filepath.EvalSymlinks(path)
			if info, statErr := os.Stat(path); err != nil || statErr != nil || !info.Mode().IsRegular() || seen[real] {
				continue
			}
			seen[real] = true
			found = append(found, Plugin{Kind: kind, Path: path, name: name})
		}
	}
	slices.SortStableFunc(found, func(a, b Plugin) int { return rank(a.Kind) - rank(b.Kind) })
	return found
}

// CacheFolder is where Install puts the CPU plugin.
func CacheFolder() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(base, "goblip", "pjrt"), nil
}

func kindOf(path string) string {
	base := filepath.Base(path)
	if base == wheelFile {
		return "cpu"
	}
	if m := pluginFile.FindStringSubmatch(base); m != nil {
		return m[2]
	}
	return ""
}

func rank(kind string) int {
	if i := slices.Index([]string{"cuda", "tpu", "cpu"}, kind); i >= 0 {
		return i
	}
	return 3
}

// usable tells whether the plugin's device seems to be here. A CUDA plugin on a
// machine without a card would only fail, slowly; GOMLX_BACKEND can demand it.
func (p Plugin) usable() bool {
	device := map[string]string{"cuda": "/dev/nvidia[0-9]*", "tpu": "/dev/accel[0-9]*"}[p.Kind]
	if device == "" {
		return p.Kind == "cpu"
	}
	nodes, _ := filepath.Glob(device)
	return len(nodes) > 0
}

func searchFolders() []string {
	dirs := filepath.SplitList(os.Getenv("PJRT_PLUGIN_LIBRARY_PATH"))
	home, homeErr := os.UserHomeDir()
	if homeErr == nil {
		own := filepath.Join(home, ".local", "lib", "go-xla")
		switch runtime.GOOS {
		case "darwin":
			own = filepath.Join(home, "Library", "Application Support", "go-xla")
		case "windows":
			own = filepath.Join(home, "AppData", "Local", "go-xla")
		}
		dirs = append(dirs, own, filepath.Join(own, "nvidia"))
	}
	if cache, err := CacheFolder(); err == nil {
		dirs = append(dirs, cache)
	}
	dirs = append(dirs, "/usr/local/lib/go-xla", "/usr/local/lib/go-xla/nvidia", "/usr/lib/go-xla")
	dirs = append(dirs, filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))...)

	prefixes := []string{os.Getenv("VIRTUAL_ENV"), os.Getenv("CONDA_PREFIX"), "/usr/local", "/usr"}
	if homeErr == nil {
		prefixes = append(prefixes, filepath.Join(home, ".local"), filepath.Join(home, ".pyenv", "versions", "*"))
	}
	for _, prefix := range prefixes {
		for _, site := range []string{"site-packages", "dist-packages"} {
			if prefix == "" {
				continue
			}
			wheels, _ := filepath.Glob(filepath.Join(prefix, "lib", "python3*", site, "xla_plugins", "xla_cpu_pjrt"))
			dirs = append(dirs, wheels...)
		}
	}
	return slices.DeleteFunc(dirs, func(d string) bool { return strings.TrimSpace(d) == "" })
}
