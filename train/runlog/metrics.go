package runlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// MetricsFile is the name of the file of metrics inside a run folder.
const MetricsFile = "metrics.jsonl"

// Step is what is known at one log step.
type Step struct {
	Step            int     // optimiser steps done
	Samples         int     // samples seen
	Terms           []Term  // the loss terms, or evaluation metrics, in the order to show them
	LR              float64 // learning rate of the step
	GradNorm        float64 // global norm of the gradient before clipping
	StepSeconds     float64 // seconds of one step, data wait included
	DataWaitSeconds float64 // seconds of it that were spent waiting for data
	DataWaitShare   float64 // part of all time since the line before that was spent so, 0 to 1
	Split           string  // "train" (also when empty) or "eval"
}

// Term is one term of the loss, or one metric of an evaluation.
type Term struct {
	Name  string // "itc"; a lower-case word
	Value float64
	Floor float64 // what Value is to be compared with; 0 if there is nothing
	// FloorName says what Floor is: "floor" (also when empty), the least a perfect model can reach, or "chance", what
	// a model reaches that learned nothing but the prior.
	FloorName string
}

// floorNames are the possible values of Term.FloorName. They end the key of a floor in metrics.jsonl: "itc_floor".
var floorNames = []string{"floor", "chance"}

// reservedKeys are the keys of a line that are no terms.
var reservedKeys = []string{"step", "samples", "split", "lr", "grad_norm", "step_seconds", "data_wait_seconds"}

func (s *Step) split() string {
	if s.Split == "" {
		return "train"
	}
	return s.Split
}

func (t *Term) floorName() string {
	if t.FloorName == "" {
		return "floor"
	}
	return t.FloorName
}

// validate refuses steps that could not be read back as they are.
func (s *Step) validate() error {
	if s.split() != "train" && s.split() != "eval" {
		return fmt.Errorf("step %d: unknown split %q", s.Step, s.Split)
	}
	seen := map[string]bool{}
	for _, key := range reservedKeys {
		seen[key] = true
	}
	for _, t := range s.Terms {
		if t.Name == "" || seen[t.Name] || isFloorKey(t.Name) {
			return fmt.Errorf("step %d: %q cannot be the name of a term", s.Step, t.Name)
		}
		if t.floorName() != "floor" && t.floorName() != "chance" {
			return fmt.Errorf("step %d: term %s: unknown kind of floor %q", s.Step, t.Name, t.FloorName)
		}
		seen[t.Name] = true
	}
	return nil
}

func isFloorKey(key string) bool {
	_, _, ok := cutFloorKey(key)
	return ok
}

// cutFloorKey splits "itc_floor" into the term's name and the name of its floor.
func cutFloorKey(key string) (term, floorName string, ok bool) {
	for _, name := range floorNames {
		if term, ok := strings.CutSuffix(key, "_"+name); ok {
			return term, name, true
		}
	}
	return "", "", false
}

// line returns the step as a flat JSON object with the keys in a fixed order. A number that is not finite becomes
// null, which JSON can hold. An evaluation has no learning rate, gradient or step time.
func (s *Step) line() []byte {
	b := []byte(`{"step":`)
	b = strconv.AppendInt(b, int64(s.Step), 10)
	b = append(b, `,"samples":`...)
	b = strconv.AppendInt(b, int64(s.Samples), 10)
	b = append(b, `,"split":"`...)
	b = append(append(b, s.split()...), '"')
	for _, t := range s.Terms {
		b = appendNumber(b, t.Name, t.Value)
		if t.Floor != 0 {
			b = appendNumber(b, t.Name+"_"+t.floorName(), t.Floor)
		}
	}
	if s.split() == "train" {
		b = appendNumber(b, "lr", s.LR)
		b = appendNumber(b, "grad_norm", s.GradNorm)
		b = appendNumber(b, "step_seconds", s.StepSeconds)
		b = appendNumber(b, "data_wait_seconds", s.DataWaitSeconds)
		b = appendNumber(b, "data_wait_share", s.DataWaitShare)
	}
	return append(b, '}', '\n')
}

func appendNumber(b []byte, key string, v float64) []byte {
	name, err := json.Marshal(key)
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	b = append(append(append(b, ','), name...), ':')
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, "null"...)
	}
	bits := 64
	if float64(float32(v)) == v {
		bits = 32 // most values come from float32 tensors: 1.2 rather than 1.2000000476837158
	}
	return strconv.AppendFloat(b, v, 'g', -1, bits)
}

// Read returns the steps of a metrics.jsonl in file order. A last line that a kill cut short is left out.
func Read(path string) ([]Step, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var steps []Step
	err = eachLine(f, func(number int, line []byte) error {
		step, err := parseLine(line)
		if err != nil {
			return fmt.Errorf("%s: line %d: %w", path, number, err)
		}
		steps = append(steps, step)
		return nil
	})
	if err != nil && !strings.HasPrefix(err.Error(), path) {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return steps, err
}

// maxLine bounds a line of metrics: some 40 numbers fit into 1 KiB.
const maxLine = 1 << 20

// eachLine calls visit with the number and the content of each line that ends in a newline.
func eachLine(r io.Reader, visit func(number int, line []byte) error) error {
	buffered := bufio.NewReaderSize(r, 1<<16)
	var line []byte
	for number := 1; ; {
		part, err := buffered.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return fmt.Errorf("line %d is longer than %d bytes", number, maxLine)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil // what is left, if anything, has no newline: a cut line
		case err != nil:
			return err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			if err := visit(number, line); err != nil {
				return err
			}
		}
		line = line[:0]
		number++
	}
}

func parseLine(line []byte) (Step, error) {
	step := Step{Split: "train"}
	floors := map[string]Term{} // by the name of the term
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return step, errors.New("not a JSON object")
	}
	hasStep := false
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return step, err
		}
		value, err := d.Token()
		if err != nil {
			return step, err
		}
		name := key.(string)
		if name == "split" {
			text, ok := value.(string)
			if !ok {
				return step, fmt.Errorf("%q is not a string", name)
			}
			step.Split = text
			continue
		}
		number := math.NaN()
		if n, ok := value.(json.Number); ok {
			if number, err = n.Float64(); err != nil {
				return step, fmt.Errorf("%q: %w", name, err)
			}
		} else if value != nil {
			return step, fmt.Errorf("%q is not a number", name)
		}
		switch name {
		case "step", "samples":
			if number != math.Trunc(number) || math.Abs(number) > 1<<53 {
				return step, fmt.Errorf("%q is not a whole number", name)
			}
			if name == "samples" {
				step.Samples = int(number)
			} else {
				step.Step, hasStep = int(number), true
			}
		case "lr":
			step.LR = number
		case "grad_norm":
			step.GradNorm = number
		case "step_seconds":
			step.StepSeconds = number
		case "data_wait_seconds":
			step.DataWaitSeconds = number
		case "data_wait_share":
			step.DataWaitShare = number
		default:
			if term, floorName, ok := cutFloorKey(name); ok {
				floors[term] = Term{Floor: number, FloorName: floorName}
			} else {
				step.Terms = append(step.Terms, Term{Name: name, Value: number})
			}
		}
	}
	if _, err := d.Token(); err != nil {
		return step, err
	}
	if !hasStep {
		return step, errors.New(`"step" is missing`)
	}
	for i := range step.Terms {
		if f, ok := floors[step.Terms[i].Name]; ok {
			step.Terms[i].Floor, step.Terms[i].FloorName = f.Floor, f.FloorName
		}
	}
	return step, nil
}

// truncateAfter rewrites a metrics.jsonl without the lines of steps after the given one and without a cut last line.
// A missing file is fine. The new file replaces the old one in one rename.
func truncateAfter(path string, last int) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var kept bytes.Buffer
	err = eachLine(f, func(number int, line []byte) error {
		step, err := parseLine(line)
		if err != nil {
			return fmt.Errorf("%s: line %d: %w", path, number, err)
		}
		if step.Step <= last {
			kept.Write(line)
		}
		return nil
	})
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // fails after the rename, as it should
	if _, err := temporary.Write(kept.Bytes()); err != nil {
		temporary.Close()
		return err
	}
	if err := errors.Join(temporary.Chmod(0o644), temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
