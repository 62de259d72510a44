package runlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Options say how a run is logged.
type Options struct {
	// Name of the run or phase in progress lines: "stage1".
	Name string
	// TotalSteps is where the run ends; for the ETA.
	TotalSteps int
	// ResumeStep is the last step of the checkpoint that the run continues from, 0 for a new run. Lines of later steps
	// in metrics.jsonl are dropped, so that a killed and resumed run has each step once.
	ResumeStep int
	// Quiet shows no progress; the files are written all the same.
	Quiet bool
	// NoTensorBoard leaves out the event file.
	NoTensorBoard bool
	// Out is where progress goes; standard error if nil.
	Out io.Writer

	display *display // for tests
}

// Log writes the log of a run. It is not safe for concurrent use.
type Log struct {
	options Options
	metrics *os.File
	events  *eventFile
	display *display
	pace    pace
}

// Open starts or continues the log of a run in dir, which is created if need be.
func Open(dir string, options Options) (*Log, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, MetricsFile)
	if err := truncateAfter(path, options.ResumeStep); err != nil {
		return nil, fmt.Errorf("continuing the metrics of the run: %w", err)
	}
	metrics, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	l := &Log{options: options, metrics: metrics, display: options.display}
	if l.display == nil {
		l.display = newDisplay(options.Out, options.Quiet)
	}
	if !options.NoTensorBoard {
		if l.events, err = createEventFile(dir, options.ResumeStep+1, l.display.now); err != nil {
			metrics.Close()
			return nil, err
		}
	}
	return l, nil
}

// Step logs one step. Call it after the first step too, so that the first minutes of a run do not look stuck.
func (l *Log) Step(s Step) error {
	if err := s.validate(); err != nil {
		return err
	}
	// One write call for each line: a kill leaves whole lines, but for the last.
	if _, err := l.metrics.Write(s.line()); err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	if l.events != nil {
		tags, values := eventScalars(&s)
		if err := l.events.scalars(s.Step, tags, values); err != nil {
			return fmt.Errorf("writing TensorBoard events: %w", err)
		}
	}
	line := l.describe(&s)
	switch {
	case s.split() == "eval":
		l.display.lasting(line)
	case l.display.due(), s.Step == l.options.TotalSteps:
		l.display.moment(line, float64(s.Step)/float64(max(1, l.options.TotalSteps)))
	}
	return nil
}

func eventScalars(s *Step) (tags []string, values []float64) {
	add := func(tag string, value float64) {
		tags = append(tags, s.split()+"/"+tag)
		values = append(values, value)
	}
	for _, t := range s.Terms {
		add(t.Name, t.Value)
	}
	if s.split() == "train" {
		add("lr", s.LR)
		add("grad_norm", s.GradNorm)
		add("step_seconds", s.StepSeconds)
		add("data_wait_seconds", s.DataWaitSeconds)
		add("data_wait_share", s.DataWaitShare)
	}
	return tags, values
}

// describe writes the step for people:
//
//	stage1  step 120/400  itc 1.23 (floor 0.88)  itm 0.41 (chance 0.64)  lr 9.1e-04  ETA 1m20s
func (l *Log) describe(s *Step) string {
	var b strings.Builder
	if l.options.Name != "" {
		fmt.Fprintf(&b, "%s  ", l.options.Name)
	}
	if s.split() == "eval" {
		b.WriteString("eval at ")
	}
	fmt.Fprintf(&b, "step %d", s.Step)
	if l.options.TotalSteps > 0 {
		fmt.Fprintf(&b, "/%d", l.options.TotalSteps)
	}
	for _, t := range s.Terms {
		fmt.Fprintf(&b, "  %s %s", t.Name, formatValue(t.Value))
		if t.Floor != 0 {
			fmt.Fprintf(&b, " (%s %s)", t.floorName(), formatValue(t.Floor))
		}
	}
	if s.split() == "train" {
		fmt.Fprintf(&b, "  lr %.1e", s.LR)
		if left, ok := l.pace.eta(s.Step, l.options.TotalSteps, l.display.now()); ok {
			fmt.Fprintf(&b, "  ETA %s", formatDuration(left))
		}
	}
	return b.String()
}

// formatValue keeps three digits of losses and one decimal of percentages.
func formatValue(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10 || v <= -10:
		return fmt.Sprintf("%.1f", v)
	case v != 0 && v < 0.01 && v > -0.01:
		return fmt.Sprintf("%.1e", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// Note shows a line that stays, such as "saved checkpoints/step-00000100".
func (l *Log) Note(format string, arguments ...any) {
	l.display.lasting(fmt.Sprintf(format, arguments...))
}

// Sync forces the metrics to disk. Call it when a checkpoint is saved: what the checkpoint's step counts was logged.
func (l *Log) Sync() error { return l.metrics.Sync() }

// Close ends the log.
func (l *Log) Close() error {
	l.display.settle()
	err := l.metrics.Close()
	if l.events != nil {
		err = errors.Join(err, l.events.close())
	}
	return err
}

// Elapsed formats a duration as progress lines do: 7s, 1m20s, 2h05m.
func Elapsed(d time.Duration) string { return formatDuration(d) }
