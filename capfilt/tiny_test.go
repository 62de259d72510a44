package capfilt

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"goblip/capfilt/capfilttest"
)

// zoo are the tiny models of all tests, written once.
var zoo = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "capfilt-zoo-")
	if err != nil {
		panic(err)
	}
	return dir
})

func TestMain(m *testing.M) {
	status := m.Run()
	os.RemoveAll(zoo())
	os.Exit(status)
}

func tiny(t testing.TB, name, class string, side int, seed uint64) ModelDir {
	t.Helper()
	dir := filepath.Join(zoo(), name)
	if _, err := os.Stat(dir); err != nil {
		capfilttest.BLIP(t, dir, class, side, seed)
	}
	return ModelDir{name, dir}
}
