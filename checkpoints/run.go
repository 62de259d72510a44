package checkpoints

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Files of a step checkpoint. Groups of tensors lie beside, one file each.
const stateFile = "state.json"

// Usual names of groups of tensors.
const (
	ModelGroup     = "model"
	OptimizerGroup = "optimizer"
)

// ErrNoCheckpoint is Latest's error for a run that has no complete checkpoint.
var ErrNoCheckpoint = errors.New("no complete checkpoint")

// stepState is state.json: what the caller keeps, and what shows that the folder is complete.
type stepState struct {
	Step  int              `json:"step"`
	Files map[string]int64 `json:"files"` // bytes of each file

	// Checksums are the CRC-32C of each file, in hexadecimal: a disk can damage a file without changing its size.
	Checksums map[string]string `json:"crc32c,omitempty"`

	State json.RawMessage `json:"state"`
}

// stepName is the folder name of a step.
func stepName(step int) string { return fmt.Sprintf("step-%08d", step) }

// stepOf is the reverse of stepName.
func stepOf(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "step-")
	step, err := strconv.Atoi(digits)
	return step, ok && err == nil && name == stepName(step)
}

// SaveStep writes a checkpoint of a training run: dir/step-NNNNNNNN/ with one safetensors file for each
// group of tensors (ModelGroup gives model.safetensors) and state.json, which holds state, anything that
// JSON can. It returns the folder's path.
//
// The folder has its name only once all of it is on disk, so a kill at any moment leaves complete
// checkpoints or temporaries that Latest does not see. SaveStep begins by removing the temporaries of an
// earlier kill: only one process may train in dir.
func SaveStep(dir string, step int, groups map[string][]Named, state any) (string, error) {
	if step < 0 {
		return "", fmt.Errorf("%s: step %d is negative", dir, step)
	}
	path := filepath.Join(dir, stepName(step))
	raw, err := json.Marshal(state)
	if err != nil {
		return "", fmt.Errorf("%s: state: %w", path, err)
	}
	if err := removeTemporaries(dir, ""); err != nil {
		return "", err
	}
	err = writeFolderAtomic(path, func(temporary string) error {
		return final(path, temporary, writeStep(temporary, step, groups, raw))
	})
	if err != nil {
		return "", err
	}
	return path, nil
}

func writeStep(dir string, step int, groups map[string][]Named, raw json.RawMessage) error {
	all := stepState{Step: step, Files: map[string]int64{}, Checksums: map[string]string{}, State: raw}
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		name := group + ".safetensors"
		if group == "" || name != filepath.Base(name) {
			return fmt.Errorf("%s: %q cannot be the name of a group of tensors", dir, group)
		}
		path := filepath.Join(dir, name)
		if err := Write(path, groups[group], nil); err != nil {
			return err
		}
		stat, err := os.Stat(path)
		if err != nil {
			return err
		}
		all.Files[name] = stat.Size()
		if all.Checksums[name], err = checksum(path); err != nil {
			return err
		}
	}
	data, err := marshal(all)
	if err != nil {
		return err
	}
	return WriteFile(filepath.Join(dir, stateFile), data)
}

// Step is an open checkpoint of a run.
type Step struct {
	Number int
	Path   string
	state  json.RawMessage
	files  map[string]*File

	checksums map[string]string
}

// OpenStep opens a checkpoint folder and checks that it is complete. Close releases it.
func OpenStep(path string) (*Step, error) {
	var state stepState
	if err := readJSON(filepath.Join(path, stateFile), &state); err != nil {
		return nil, err
	}
	s := &Step{Number: state.Step, Path: path, state: state.State, files: map[string]*File{}, checksums: state.Checksums}
	if err := s.openFiles(state.Files); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Step) openFiles(sizes map[string]int64) error {
	if len(s.state) == 0 {
		return fmt.Errorf("%s: state is missing", filepath.Join(s.Path, stateFile))
	}
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		path := filepath.Join(s.Path, name)
		group, ok := strings.CutSuffix(name, ".safetensors")
		if !ok || name != filepath.Base(name) {
			return fmt.Errorf("%s: %q is not the name of a file of tensors", filepath.Join(s.Path, stateFile), name)
		}
		stat, err := os.Stat(path)
		if err != nil {
			return err
		}
		if stat.Size() != sizes[name] {
			return fmt.Errorf("%s: truncated: %d bytes, should be %d", path, stat.Size(), sizes[name])
		}
		if s.files[group], err = Open(path); err != nil {
			delete(s.files, group)
			return err
		}
	}
	return nil
}

// State reads what SaveStep was given as state. Unknown keys are an error: they are a state that
// this program did not write, and would not go on from.
func (s *Step) State(into any) error {
	decoder := json.NewDecoder(strings.NewReader(string(s.state)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%s: state: %w", filepath.Join(s.Path, stateFile), err)
	}
	return nil
}

// Group returns the file of a group of tensors.
func (s *Step) Group(name string) (*File, error) {
	file := s.files[name]
	if file == nil {
		return nil, fmt.Errorf("%s: no %s.safetensors", s.Path, name)
	}
	return file, nil
}

// Close releases the checkpoint's files. Tensors read from them stay valid.
func (s *Step) Close() error {
	var all error
	for _, file := range s.files {
		all = errors.Join(all, file.Close())
	}
	return all
}

// Latest returns the newest complete checkpoint in dir. Temporaries and incomplete folders are passed
// over. Without any, the error is ErrNoCheckpoint.
func Latest(dir string) (step int, path string, err error) {
	step, path, _, err = LatestUsable(dir)
	return step, path, err
}

// LatestUsable is Latest, and says what is wrong with each newer folder that it passed over. It reads
// the files whole and compares their checksums.
func LatestUsable(dir string) (step int, path string, damaged []error, err error) {
	steps, err := stepsIn(dir)
	if err != nil {
		return 0, "", nil, err
	}
	for _, step := range slices.Backward(steps) {
		path := filepath.Join(dir, stepName(step))
		problem := verify(path)
		if problem == nil {
			return step, path, damaged, nil
		}
		damaged = append(damaged, problem)
	}
	return 0, "", damaged, fmt.Errorf("%s: %w", dir, ErrNoCheckpoint)
}

// verify says why a checkpoint cannot be gone on from.
func verify(path string) error {
	s, err := OpenStep(path)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, name := range slices.Sorted(maps.Keys(s.checksums)) {
		file := filepath.Join(path, name)
		got, err := checksum(file)
		if err != nil {
			return err
		}
		if got != s.checksums[name] {
			return fmt.Errorf("%s: damaged: its checksum is %s, should be %s", file, got, s.checksums[name])
		}
	}
	return nil
}

// checksum is a file's CRC-32C.
func checksum(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return fmt.Sprintf("%08x", sum.Sum32()), nil
}

// complete tells whether a checkpoint can be opened.
func complete(path string) bool {
	s, err := OpenStep(path)
	if err != nil {
		return false
	}
	s.Close()
	return true
}

// stepsIn lists the steps in dir, in ascending order.
func stepsIn(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var steps []int
	for _, entry := range entries {
		if step, ok := stepOf(entry.Name()); ok && entry.IsDir() {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	return steps, nil
}

// Prune removes all but the newest keep complete checkpoints. keep 0 keeps all. Call it after
// SaveStep has succeeded: then what it removes has a newer one to stand in for it. Incomplete folders
// that are older than the newest complete one go too.
func Prune(dir string, keep int) error {
	if keep <= 0 {
		return nil
	}
	steps, err := stepsIn(dir)
	if err != nil {
		return err
	}
	kept := 0
	for _, step := range slices.Backward(steps) {
		path := filepath.Join(dir, stepName(step))
		switch {
		case kept < keep && complete(path):
			kept++
		case kept > 0:
			if err := removeFolder(path); err != nil {
				return err
			}
		}
	}
	return nil
}
