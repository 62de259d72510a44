package eval

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// readReference decodes a file of the larger reference data, which lies outside the repository: GOBLIP_METRICS names
// its folder, and the test is skipped without it.
func readReference(t *testing.T, name string, value any) {
	t.Helper()
	dir := os.Getenv("GOBLIP_METRICS")
	if dir == "" {
		t.Skip("GOBLIP_METRICS is not set")
	}
	readGzip(t, dir+"/"+name, value)
}

func readGzip(t *testing.T, path string, value any) {
	t.Helper()
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		t.Skipf("reference data is not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !strings.HasSuffix(path, ".gz") {
		if err := json.NewDecoder(f).Decode(value); err != nil {
			t.Fatal(err)
		}
		return
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(value); err != nil {
		t.Fatal(err)
	}
}
