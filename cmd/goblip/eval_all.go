package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"goblip/checkpoints"
	"goblip/eval/report"
	"goblip/train/runlog"
)

// runEvaluation is "eval --all RUN": every checkpoint of a run by one protocol.
type runEvaluation struct {
	run, data, protocol string
	reading             sourceFlags
	json                bool
}

func (a *runEvaluation) flags(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&a.run, "all", "", "run folder: evaluate each of its checkpoints and its final model, and draw the curves")
	flags.StringVar(&a.data, "data", "", "data source, with --all")
	a.reading.registerReading(command)
	flags.StringVar(&a.protocol, "protocol", "auto", "retrieval, caption or vqa, with --all; auto: by the model's class")
	flags.BoolVar(&a.json, "json", false, "print the figures as JSON, with --all")
}

// checkpointFigures is what one checkpoint of a run reached.
type checkpointFigures struct {
	Step    int                `json:"step"`
	Final   bool               `json:"final,omitempty"` // the run's exported model
	Figures map[string]float64 `json:"figures"`
	Hashes  json.RawMessage    `json:"hashes"`
}

// runResult is results.json of an evaluated run.
type runResult struct {
	Run         string              `json:"run"`
	Data        string              `json:"data"`
	Protocol    string              `json:"protocol"`
	Checkpoints []checkpointFigures `json:"checkpoints"`
}

func (a *runEvaluation) evaluate(cmd *cobra.Command) error {
	if a.data == "" {
		return usagef("--all needs --data")
	}
	final := filepath.Join(a.run, "final")
	var config struct {
		Architectures []string `json:"architectures"`
	}
	if err := checkpoints.ReadConfig(final, &config); err != nil {
		return err
	}
	protocol, err := a.chooseProtocol(config.Architectures)
	if err != nil {
		return err
	}
	steps, last, err := stepsOf(a.run)
	if err != nil {
		return err
	}
	result := runResult{Run: a.run, Data: a.data, Protocol: protocol}
	for _, step := range steps {
		figures, err := a.evaluateStep(cmd, protocol, final, step)
		if err != nil {
			return fmt.Errorf("%s: step %d: %w", a.run, step, err)
		}
		result.Checkpoints = append(result.Checkpoints, *figures)
	}
	figures, err := a.measure(cmd, protocol, final, last)
	if err != nil {
		return err
	}
	figures.Final = true
	result.Checkpoints = append(result.Checkpoints, *figures)
	if err := a.write(&result); err != nil {
		return err
	}
	if a.json {
		return writeJSON(cmd.OutOrStdout(), &result)
	}
	return result.print(cmd.OutOrStdout(), filepath.Join(a.run, "eval", "report.html"))
}

// chooseProtocol is --protocol, or what a model of these classes is for.
func (a *runEvaluation) chooseProtocol(architectures []string) (string, error) {
	if a.protocol != "auto" {
		if !slices.Contains([]string{"retrieval", "caption", "vqa"}, a.protocol) {
			return "", usagef("--protocol %s: must be retrieval, caption, vqa or auto", a.protocol)
		}
		return a.protocol, nil
	}
	class := strings.Join(architectures, " ")
	switch {
	case strings.Contains(class, "ImageTextRetrieval"):
		return "retrieval", nil
	case strings.Contains(class, "QuestionAnswering"):
		return "vqa", nil
	case strings.Contains(class, "ConditionalGeneration"):
		return "caption", nil
	}
	return "", fmt.Errorf("%s: %s has no protocol of its own: say --protocol", a.run, class)
}

// stepsOf lists the checkpoints of a run that are complete, and the last step of its log.
func stepsOf(run string) (steps []int, last int, err error) {
	states, err := filepath.Glob(filepath.Join(run, "checkpoints", "step-*", "state.json"))
	if err != nil {
		return nil, 0, err
	}
	for _, path := range states {
		if step, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(filepath.Dir(path)), "step-")); err == nil {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	logged, err := runlog.Read(filepath.Join(run, "metrics.jsonl"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, 0, err
	}
	for _, s := range logged {
		last = max(last, s.Step)
	}
	if n := len(steps); n > 0 {
		last = max(last, steps[n-1])
	}
	return steps, last, nil
}

// evaluateStep puts the trained tensors of a step into a copy of the final model folder, for the time of the evaluation.
func (a *runEvaluation) evaluateStep(cmd *cobra.Command, protocol, final string, step int) (*checkpointFigures, error) {
	dir, err := os.MkdirTemp("", "goblip-eval-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	trained := filepath.Join(a.run, "checkpoints", fmt.Sprintf("step-%08d", step), checkpoints.ModelFile)
	if err := overlay(dir, final, trained); err != nil {
		return nil, err
	}
	return a.measure(cmd, protocol, dir, step)
}

// overlay writes a model folder like base, with the tensors of a file in place of those of the same names.
func overlay(dir, base, trained string) error {
	folder, err := checkpoints.OpenFolder(base)
	if err != nil {
		return err
	}
	defer folder.Close()
	file, err := checkpoints.Open(trained)
	if err != nil {
		return err
	}
	defer file.Close()
	var all []checkpoints.Named
	for _, name := range folder.Names() {
		var from checkpoints.Tensors = folder
		want, _ := folder.Shape(name)
		if shape, there := file.Shape(name); there {
			if !slices.Equal(shape.Dimensions, want.Dimensions) {
				return fmt.Errorf("%s: tensor %s has shape %v, the final model's %v", trained, name, shape, want)
			}
			from = file
		}
		tensor, err := from.Tensor(name)
		if err != nil {
			return err
		}
		all = append(all, checkpoints.Named{Name: name, Tensor: tensor})
	}
	if err := checkpoints.Write(filepath.Join(dir, checkpoints.ModelFile), all, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	entries, err := os.ReadDir(base)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".safetensors") || strings.HasSuffix(e.Name(), ".index.json") {
			continue
		}
		path, err := filepath.Abs(filepath.Join(base, e.Name()))
		if err != nil {
			return err
		}
		if err := os.Symlink(path, filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// measure runs one of the "eval" commands on a model folder and picks its figures.
func (a *runEvaluation) measure(cmd *cobra.Command, protocol, dir string, step int) (*checkpointFigures, error) {
	commands := map[string]func() *cobra.Command{"retrieval": newEvalRetrievalCommand, "caption": newEvalCaptionCommand, "vqa": newEvalVQACommand}
	var out bytes.Buffer
	command := commands[protocol]()
	args := []string{"--checkpoint", dir, "--data", a.data, "--json"}
	for _, assignment := range a.reading.fields {
		args = append(args, "--map", assignment)
	}
	command.SetArgs(args)
	command.SetOut(&out)
	command.SetErr(cmd.ErrOrStderr())
	command.SilenceErrors, command.SilenceUsage = true, true
	if err := command.ExecuteContext(cmd.Context()); err != nil {
		return nil, err
	}
	var printed map[string]json.RawMessage
	if err := json.Unmarshal(out.Bytes(), &printed); err != nil {
		return nil, err
	}
	c := &checkpointFigures{Step: step, Figures: map[string]float64{}, Hashes: printed["hashes"]}
	for name, raw := range printed {
		collectMeans(c.Figures, name, raw)
	}
	return c, nil
}

// collectMeans finds the means of intervals among the figures that a command printed, under the names that lead to them.
func collectMeans(into map[string]float64, name string, raw json.RawMessage) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || name == "hashes" || name == "chance" || name == "domains" {
		return
	}
	if mean, there := fields["mean"]; there {
		var value float64
		if json.Unmarshal(mean, &value) == nil {
			into[name] = value
		}
		return
	}
	for field, inner := range fields {
		collectMeans(into, name+"_"+field, inner)
	}
}

// write makes RUN/eval/results.json and report.html.
func (a *runEvaluation) write(result *runResult) error {
	dir := filepath.Join(a.run, "eval")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	content, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	if err := checkpoints.WriteFile(filepath.Join(dir, "results.json"), append(content, '\n')); err != nil {
		return err
	}
	phase := report.Phase{Name: result.Protocol, Note: fmt.Sprintf("%d checkpoints on %s", len(result.Checkpoints), result.Data)}
	for _, c := range result.Checkpoints {
		step := runlog.Step{Step: c.Step, Split: "eval"}
		for _, name := range figureNames(c.Figures) {
			step.Terms = append(step.Terms, runlog.Term{Name: figureTitle(name), Value: c.Figures[name]})
		}
		phase.Steps = append(phase.Steps, step)
	}
	return report.Write(filepath.Join(dir, "report.html"), &report.Report{Title: "goblip eval: " + filepath.Base(a.run),
		Summary: "What each checkpoint of the run reaches on data that it may not have been trained on.", Phases: []report.Phase{phase}})
}

// figureTitle is the name of a figure for people: "questions_kinds_how many_accuracy" is "questions: how many".
func figureTitle(name string) string {
	for _, group := range []string{"_each_", "_kinds_"} {
		if before, after, found := strings.Cut(name, group); found {
			name = before + ": " + strings.TrimSuffix(after, "_accuracy")
		}
	}
	return strings.ReplaceAll(name, "_", " ")
}

func figureNames(figures map[string]float64) []string {
	var names []string
	for name := range figures {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (r *runResult) print(out io.Writer, page string) error {
	if len(r.Checkpoints) == 0 {
		return nil
	}
	for _, c := range r.Checkpoints {
		name := fmt.Sprintf("step %d", c.Step)
		if c.Final {
			name += ", final"
		}
		fmt.Fprintf(out, "%s\n", name)
		for _, figure := range figureNames(c.Figures) {
			fmt.Fprintf(out, "  %-40s%.3f\n", figure, c.Figures[figure])
		}
	}
	_, err := fmt.Fprintf(out, "curves: %s\n", page)
	return err
}
