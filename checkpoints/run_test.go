package checkpoints

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
)

type runState struct {
	Seed, Position int
}

func groups(value float32) map[string][]Named {
	return map[string][]Named{
		ModelGroup:     {{"/model/w", f32(value, 2)}},
		OptimizerGroup: {{"/AdamW/m/w", f32(value)}, {"/AdamW/step", tensors.FromScalar(int64(3))}},
	}
}

func save(t *testing.T, dir string, step int) string {
	t.Helper()
	path, err := SaveStep(dir, step, groups(float32(step)), runState{42, step * 8})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func latest(t *testing.T, dir string) int {
	t.Helper()
	step, path, err := Latest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if path != filepath.Join(dir, stepName(step)) {
		t.Errorf("step %d in %s", step, path)
	}
	return step
}

func TestSaveStep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run", "checkpoints")
	if _, _, err := Latest(dir); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("no run: %v", err)
	}
	save(t, dir, 5)
	path := save(t, dir, 123)
	if filepath.Base(path) != "step-00000123" {
		t.Errorf("path %s", path)
	}
	if got := latest(t, dir); got != 123 {
		t.Errorf("latest is %d", got)
	}
	s, err := OpenStep(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var state runState
	if err := s.State(&state); err != nil || state != (runState{42, 984}) || s.Number != 123 {
		t.Errorf("step %d, state %v, %v", s.Number, state, err)
	}
	for name, tensorsOf := range groups(123) {
		f, err := s.Group(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range tensorsOf {
			got, err := f.Tensor(n.Name)
			if err != nil {
				t.Fatal(err)
			}
			sameTensor(t, n.Name, got, n.Tensor)
		}
	}
	if _, err := s.Group("queue"); err == nil || !strings.Contains(err.Error(), "queue.safetensors") {
		t.Errorf("a group that is not there: %v", err)
	}
	var other struct{ Seed int }
	if err := s.State(&other); err == nil || !strings.Contains(err.Error(), "Position") {
		t.Errorf("a state with an unknown key: %v", err)
	}
	save(t, dir, 123) // a resumed run comes by again
	if got := list(t, dir); !slices.Equal(got, []string{"step-00000005", "step-00000123"}) {
		t.Errorf("folder holds %v", got)
	}
}

// TestLatestPassesOverIncomplete damages the newest checkpoint in several ways.
func TestLatestPassesOverIncomplete(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"truncated": func(path string) error { return os.Truncate(filepath.Join(path, "optimizer.safetensors"), 20) },
		"one file missing": func(path string) error {
			return os.Remove(filepath.Join(path, "model.safetensors"))
		},
		"state missing":   func(path string) error { return os.Remove(filepath.Join(path, stateFile)) },
		"state truncated": func(path string) error { return os.Truncate(filepath.Join(path, stateFile), 30) },
		"not renamed": func(path string) error {
			return os.Rename(path, filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+temporaryMark+"1"))
		},
		"one tensor missing": func(path string) error {
			return Write(filepath.Join(path, "optimizer.safetensors"), groups(9)[OptimizerGroup][:1], nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			save(t, dir, 1)
			if err := damage(save(t, dir, 2)); err != nil {
				t.Fatal(err)
			}
			if got := latest(t, dir); got != 1 {
				t.Errorf("latest is %d", got)
			}
			if err := Prune(dir, 1); err != nil { // must not take the only good one
				t.Fatal(err)
			}
			if got := latest(t, dir); got != 1 {
				t.Errorf("after Prune, latest is %d", got)
			}
			save(t, dir, 2)
			if got := latest(t, dir); got != 2 {
				t.Errorf("saved again, latest is %d", got)
			}
			if got := list(t, dir); !slices.Equal(got, []string{"step-00000001", "step-00000002"}) {
				t.Errorf("folder holds %v", got)
			}
		})
	}
}

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	for step := range 5 {
		save(t, dir, step)
	}
	for _, c := range []struct {
		keep int
		want []string
	}{
		{0, []string{"step-00000000", "step-00000001", "step-00000002", "step-00000003", "step-00000004"}},
		{2, []string{"step-00000003", "step-00000004"}},
		{7, []string{"step-00000003", "step-00000004"}},
	} {
		if err := Prune(dir, c.keep); err != nil {
			t.Fatal(err)
		}
		if got := list(t, dir); !slices.Equal(got, c.want) {
			t.Errorf("keep %d: %v, want %v", c.keep, got, c.want)
		}
	}
}

func TestFailingWriter(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.safetensors")
	if err := Write(path, groups(1)[ModelGroup], nil); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	for name, fill := range map[string]func(write func([]byte) error) error{
		"at once": func(func([]byte) error) error { return syscall.ENOSPC },
		"later":   func(write func([]byte) error) error { return errors.Join(write(make([]byte, 3<<20)), syscall.ENOSPC) },
	} {
		err := writeAtomic(path, func(w io.Writer) error {
			return fill(func(p []byte) error { _, err := w.Write(p); return err })
		})
		if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "writing "+path) {
			t.Errorf("%s: error %v", name, err)
		}
		after, _ := os.ReadFile(path)
		if !slices.Equal(before, after) || len(list(t, dir)) != 1 {
			t.Errorf("%s: the old file is not as it was, or something was left: %v", name, list(t, dir))
		}
	}
}

// TestFullDisk fills a small file system, where the system lets us mount one.
func TestFullDisk(t *testing.T) {
	mount := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", mount).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a tmpfs: %s", strings.TrimSpace(string(out)))
	}
	t.Cleanup(func() { exec.Command("umount", mount).Run() })
	big := []Named{{"w", tensors.FromFlatDataAndDimensions(make([]float32, 1<<18), 1<<18)}}

	run := filepath.Join(mount, "checkpoints")
	save(t, run, 1)
	folder := filepath.Join(mount, "model")
	if err := WriteFolder(folder, Contents{Config: config{1}, Tensors: smallModel()}); err != nil {
		t.Fatal(err)
	}
	_, err := SaveStep(run, 2, map[string][]Named{ModelGroup: big}, nil)
	oneLine(t, err, filepath.Join(run, "step-00000002", "model.safetensors"))
	oneLine(t, WriteFolder(folder, Contents{Config: config{2}, Tensors: big}), filepath.Join(folder, ModelFile))

	if got := latest(t, run); got != 1 {
		t.Errorf("latest is %d", got)
	}
	var c config
	if err := openFolder(t, folder).Config(&c); err != nil || c.HiddenSize != 1 {
		t.Errorf("the old model folder: %v, %v", c, err)
	}
	if got := append(list(t, mount), list(t, run)...); !slices.Equal(got, []string{"checkpoints", "model", "step-00000001"}) {
		t.Errorf("left on the disk: %v", got)
	}
}

func oneLine(t *testing.T, err error, path string) {
	t.Helper()
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), temporaryMark) {
		t.Errorf("error %v, want one line that names %s", err, path)
	}
}

// TestKill kills a process that saves without end, at different moments, and looks at what is there.
func TestKill(t *testing.T) {
	if dir := os.Getenv("CHECKPOINTS_TEST_SAVE"); dir != "" {
		for step := 1; ; step++ {
			if _, err := SaveStep(dir, step, groups(float32(step)), runState{42, step}); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			if err := Prune(dir, 2); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			fmt.Println(step)
		}
	}
	if testing.Short() {
		t.Skip("takes two seconds")
	}
	for i := range 10 {
		dir := t.TempDir()
		command := exec.Command(os.Args[0], "-test.run", "^TestKill$")
		command.Env = append(os.Environ(), "CHECKPOINTS_TEST_SAVE="+dir)
		var out strings.Builder
		command.Stdout = &out
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(100+13*i) * time.Millisecond)
		if err := command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		command.Wait() // killed: its error says nothing
		lines := strings.Fields(out.String())
		step, path, err := Latest(dir)
		if err != nil {
			if len(lines) > 0 {
				t.Errorf("%d steps were saved: %v", len(lines), err)
			}
			continue
		}
		if step != len(lines) && step != len(lines)+1 {
			t.Errorf("latest is %d, %d were said to be saved", step, len(lines))
		}
		s, err := OpenStep(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := s.Group(ModelGroup)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Tensor("/model/w")
		if err != nil {
			t.Fatal(err)
		}
		sameTensor(t, "/model/w", got, f32(float32(step), 2))
		s.Close()
		save(t, dir, step+1)
		for _, name := range list(t, dir) {
			if isTemporary(name, "") {
				t.Errorf("%s is still there", name)
			}
		}
	}
}
