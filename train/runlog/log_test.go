package runlog

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// clock is a display's time, moved by hand.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func testDisplay(terminalWidth int) (*display, *strings.Builder, *clock) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	out := &strings.Builder{}
	return &display{out: out, terminal: terminalWidth > 0, width: func() int { return terminalWidth }, now: c.now}, out, c
}

func step(n int) Step {
	return Step{
		Step: n, Samples: n * 64, Split: "train",
		Terms: []Term{
			{Name: "itc", Value: float64(float32(1.23)), Floor: 0.88, FloorName: "floor"},
			{Name: "itm", Value: 0.41, Floor: 0.6365, FloorName: "chance"},
			{Name: "lm", Value: 1.9},
		},
		LR: 9.1e-4, GradNorm: 2.5, StepSeconds: 0.5, DataWaitSeconds: 0.01, DataWaitShare: 0.02,
	}
}

func openLog(t *testing.T, dir string, options Options) *Log {
	t.Helper()
	l, err := Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLogPlain(t *testing.T) {
	d, out, c := testDisplay(0)
	l := openLog(t, t.TempDir(), Options{Name: "stage1", TotalSteps: 400, display: d})
	for n := 1; n <= 400; n++ {
		if n == 1 || n%20 == 0 {
			if err := l.Step(step(n)); err != nil {
				t.Fatal(err)
			}
		}
		if n == 100 {
			if err := l.Step(Step{Step: n, Split: "eval", Terms: []Term{{Name: "i2t_r1", Value: 41.26}}}); err != nil {
				t.Fatal(err)
			}
			l.Note("saved step %d", n)
		}
		c.t = c.t.Add(100 * time.Millisecond)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	want := []string{
		"stage1  step 1/400  itc 1.23 (floor 0.88)  itm 0.41 (chance 0.64)  lm 1.90  lr 9.1e-04",
		"stage1  step 60/400  itc 1.23 (floor 0.88)  itm 0.41 (chance 0.64)  lm 1.90  lr 9.1e-04  ETA 34s",
		"stage1  eval at step 100/400  i2t_r1 41.3",
		"saved step 100",
	}
	for i, w := range want {
		if lines[i] != w {
			t.Errorf("line %d\n got %q\nwant %q", i, lines[i], w)
		}
	}
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "stage1  step 400/400") {
		t.Errorf("last line %q, want that of step 400", last)
	}
	if len(lines) > 12 {
		t.Errorf("%d lines in 40 seconds:\n%s", len(lines), out)
	}
}

func TestLogTerminal(t *testing.T) {
	for _, width := range []int{20, 80, 200} {
		d, out, c := testDisplay(width)
		l := openLog(t, t.TempDir(), Options{Name: "stage1", TotalSteps: 4, display: d})
		for n := 1; n <= 4; n++ {
			if err := l.Step(step(n)); err != nil {
				t.Fatal(err)
			}
			c.t = c.t.Add(time.Second)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		redraws := strings.Split(out.String(), "\r")
		if len(redraws) != 5 || redraws[0] != "" {
			t.Fatalf("width %d: %d redraws, want 4: %q", width, len(redraws)-1, out)
		}
		for _, r := range redraws[1:] {
			r = strings.TrimSuffix(strings.TrimSuffix(r, "\n"), "\x1b[K")
			if n := len([]rune(r)); n >= width {
				t.Errorf("width %d: line of %d: %q", width, n, r)
			}
		}
		if !strings.HasSuffix(out.String(), "\n") {
			t.Errorf("width %d: the last line is not settled", width)
		}
		if bars := strings.Count(out.String(), "░"); (width == 200) != (bars > 0) {
			t.Errorf("width %d: %d empty cells of the bar", width, bars)
		}
	}
}

func TestMetricsRoundTrip(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{Quiet: true})
	want := []Step{step(1), step(2), {Step: 2, Samples: 128, Split: "eval", Terms: []Term{{Name: "cider", Value: 0.5}}}}
	for _, s := range want {
		if err := l.Step(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, MetricsFile)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	if w := `{"step":1,"samples":64,"split":"train","itc":1.23,"itc_floor":0.88,"itm":0.41,"itm_chance":0.6365,"lm":1.9,` +
		`"lr":0.00091,"grad_norm":2.5,"step_seconds":0.5,"data_wait_seconds":0.01,"data_wait_share":0.02}`; first != w {
		t.Errorf("first line\n got %s\nwant %s", first, w)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want { // the file holds float32 values in their short form
		for j := range want[i].Terms {
			want[i].Terms[j].Value = math.Round(want[i].Terms[j].Value*1e6) / 1e6
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read back\n got %+v\nwant %+v", got, want)
	}
}

func TestNotFinite(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{Quiet: true})
	if err := l.Step(Step{Step: 1, Terms: []Term{{Name: "itc", Value: math.NaN()}}, GradNorm: math.Inf(1)}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	steps, err := Read(filepath.Join(dir, MetricsFile))
	if err != nil || !math.IsNaN(steps[0].Terms[0].Value) || !math.IsNaN(steps[0].GradNorm) {
		t.Errorf("read %+v, %v", steps, err)
	}
}

// TestResume kills a run after step 5 in the middle of a line and continues it from step 3.
func TestResume(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, MetricsFile)
	l := openLog(t, dir, Options{Quiet: true})
	for n := 1; n <= 5; n++ {
		if err := l.Step(step(n)); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"step":6,"sam`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if steps, err := Read(path); err != nil || len(steps) != 5 {
		t.Errorf("a cut last line: %d steps, %v", len(steps), err)
	}
	l = openLog(t, dir, Options{Quiet: true, ResumeStep: 3})
	for n := 4; n <= 6; n++ {
		if err := l.Step(step(n)); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	steps, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, s := range steps {
		got = append(got, s.Step)
	}
	if want := []int{1, 2, 3, 4, 5, 6}; !reflect.DeepEqual(got, want) {
		t.Errorf("steps %v, want %v", got, want)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestBadSteps(t *testing.T) {
	l := openLog(t, t.TempDir(), Options{Quiet: true})
	defer l.Close()
	for want, s := range map[string]Step{
		`"lr" cannot be`:        {Terms: []Term{{Name: "lr"}}},
		`"a_floor" cannot be`:   {Terms: []Term{{Name: "a_floor"}}},
		`"itc" cannot be`:       {Terms: []Term{{Name: "itc"}, {Name: "itc"}}},
		`unknown split "test"`:  {Split: "test"},
		`unknown kind of floor`: {Terms: []Term{{Name: "itc", FloorName: "roof"}}},
	} {
		if err := l.Step(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestReadBadLines(t *testing.T) {
	for content, want := range map[string]string{
		"{\"step\":1}\nnonsense\n":           "line 2: not a JSON object",
		"{\"samples\":1}\n":                  `line 1: "step" is missing`,
		"{\"step\":1.5}\n":                   `"step" is not a whole number`,
		"{\"step\":1,\"itc\":\"x\"}\n":       `"itc" is not a number`,
		strings.Repeat("x", maxLine) + "y\n": "line 1 is longer than",
	} {
		path := filepath.Join(t.TempDir(), MetricsFile)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want the path and %q", err, want)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	s := step(3)
	f.Add(s.line())
	f.Add([]byte(`{"step":1,"itc":null,"itc_floor":1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		s, err := parseLine(line)
		if err != nil || s.validate() != nil {
			return
		}
		if _, err := parseLine(s.line()); err != nil {
			t.Errorf("%q was read, but its copy %q was not: %v", line, s.line(), err)
		}
	})
}
