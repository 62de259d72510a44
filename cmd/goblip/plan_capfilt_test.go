package main

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestPlanCapfilt(t *testing.T) {
	estimate := func(args string) (r planCapfiltResult) {
		t.Helper()
		var out, errs bytes.Buffer
		if status := run(t.Context(), strings.Fields("plan capfilt --json "+args), &out, &errs); status != 0 {
			t.Fatalf("%s: status %d: %s", args, status, &errs)
		}
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	one, eight := estimate("--device h100 --pictures 1000000"), estimate("--device h100x8 --pictures 3000000")
	if math.Abs(eight.Days/one.Days*8/3-1) > 1e-9 || math.Abs(eight.ChipHours/one.ChipHours/3-1) > 1e-9 || one.Days <= 0 {
		t.Errorf("one chip %+v, eight %+v", one, eight)
	}
	if many := estimate("--device h100 --pictures 1000000 --captions 10"); many.Work.Writing != 10*one.Work.Writing || many.Work.Images != one.Work.Images {
		t.Errorf("ten captions: %+v", many.Work)
	}
	if filter := estimate("--device v5e-4 --pictures 10 --captions 0 --filter base --filter large"); len(filter.Captioners) > 0 || filter.Work.Writing != 0 {
		t.Errorf("filters alone: %+v", filter)
	}
	for _, c := range []struct {
		args, want string
		status     int
	}{
		{"--pictures 10", "device", exitUsage},
		{"--device v5e-8 --pictures 0", "--pictures", exitUsage},
		{"--device gpu-8 --pictures 5", "gpu-8", exitUsage},
		{"--device v5e-8 --pictures 5 --filter nowhere/config.json", "nowhere/config.json", exitFailed},
	} {
		var out, errs bytes.Buffer
		status := run(t.Context(), strings.Fields("plan capfilt "+c.args), &out, &errs)
		if status != c.status || !strings.Contains(errs.String(), c.want) || out.Len() > 0 {
			t.Errorf("%s: status %d, %q", c.args, status, errs.String())
		}
	}
}
