package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestPlan(t *testing.T) {
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"plan", "blip2/stage1", "--device", "v5e-32", "--json"}, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, errs.String())
	}
	var r planResult
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if e := r.Estimate; e.Batch != 1696 || e.Devices != 32 || e.MemoryTotal <= 0 || e.Step <= 0 || r.Steps != 250_000 {
		t.Errorf("%+v", e)
	}
	for _, c := range []struct{ args, want string }{
		{"plan blip2/stage3 --device v5e-8", "blip2/stage1 blip2/stage2"},
		{"plan blip2/stage1 --device gpu-8", "gpu-8"},
		{"plan blip2/stage1", "device"},
		{"plan blip2/stage1 --device v5e-8 --batch 1681", "1681 does not divide over 8"},
		{"plan blip2/stage1 --device v5e-8 --precision fp8", "fp8"},
		{"plan blip2/stage1 --device v5e-8 --shard half", "half"},
		{"plan blip2/stage2 --device v5e-8 --lm gpt", "gpt"},
		{"plan blip2/stage1 --device v5e-8 --batch -4", "-4"},
	} {
		out.Reset()
		errs.Reset()
		status := run(t.Context(), strings.Fields(c.args), &out, &errs)
		if status != exitUsage || !strings.Contains(errs.String(), c.want) || out.Len() > 0 {
			t.Errorf("%s: status %d, %q", c.args, status, errs.String())
		}
	}
}
