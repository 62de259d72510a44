package main

import (
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"goblip/datasets"
	"goblip/eval"
	"goblip/infer"
)

func newEvalClassifyCommand() *cobra.Command {
	var e evaluation
	var classes string
	var templates []string
	command := &cobra.Command{
		Use:   "classify --checkpoint DIR --data FOLDER",
		Short: "Zero-shot classification: which class name fits a picture best",
		Long: `Names the class of every picture below a folder by the contrastive score (ITC) of the picture with the class names put
into sentences. The truth is the name of the folder that a picture lies in, "_" read as a space. The embeddings of a class's
sentences are averaged, as in CLIP. Equal scores count against the right class.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.classify(cmd, classes, templates) },
	}
	e.flags(command, "for retrieval (stage 1)")
	command.Flags().StringVar(&classes, "classes", "", "file of all class names, one a line; without it the folders' names are the classes")
	command.Flags().StringArrayVar(&templates, "template", []string{"a photo of a {}."}, "sentence with {} for the class name; may be repeated")
	return command
}

// classifyResult is what "eval classify --json" prints.
type classifyResult struct {
	Images   int                      `json:"images"`
	Classes  int                      `json:"classes"`
	Top1     eval.Interval            `json:"top1"` // percent
	Top5     eval.Interval            `json:"top5"`
	Chance   float64                  `json:"chance"` // of top 1
	PerClass map[string]eval.Interval `json:"per_class"`
	Hashes   *provenance              `json:"hashes"`
}

// classOf is the class that a picture's folder names.
func classOf(r datasets.Record) string {
	return strings.ReplaceAll(filepath.Base(filepath.Dir(r.Image)), "_", " ")
}

func (e *evaluation) classify(cmd *cobra.Command, classFile string, templates []string) error {
	for _, t := range templates {
		if !strings.Contains(t, "{}") {
			return usagef("--template %q: there is no {} for the class name", t)
		}
	}
	set, err := e.openAny()
	if err != nil {
		return err
	}
	names, err := readAnswerList(classFile)
	if err != nil {
		return err
	}
	if names == nil {
		seen := map[string]bool{}
		for _, r := range set.Records {
			seen[classOf(r)] = true
		}
		names = slices.Sorted(maps.Keys(seen))
	}
	if len(names) < 2 {
		return fmt.Errorf("%s: %d class, want at least two: a folder of pictures for each", e.data, len(names))
	}
	truth := make([]int, len(set.Records))
	for i, r := range set.Records {
		if truth[i] = slices.Index(names, classOf(r)); truth[i] < 0 {
			return fmt.Errorf("%s: its class %q is not in %s", r.Image, classOf(r), classFile)
		}
	}
	backend, _, err := openBackend(cmd, 1)
	if err != nil {
		return err
	}
	model, err := infer.OpenRetriever(backend, e.checkpoint)
	if err != nil {
		return err
	}
	defer model.Finalize()
	states, err := e.states(set, model.States)
	if err != nil {
		return err
	}
	images, err := model.ImageFeatures(states)
	if err != nil {
		return err
	}
	features, err := classFeatures(model, names, templates)
	if err != nil {
		return err
	}
	scores, err := model.Similarities(images, features)
	if err != nil {
		return err
	}
	// A picture searches among the classes as a text searches among pictures: its one right answer is known by number.
	ranks, err := eval.TextToImageRanks(scores, truth, eval.Pessimistic)
	if err != nil {
		return err
	}
	result := classifyResult{Images: len(ranks), Classes: len(names), Chance: 100 / float64(len(names)), PerClass: map[string]eval.Interval{},
		Top1: eval.RecallInterval(ranks, 1, nil, evalSeed), Top5: eval.RecallInterval(ranks, 5, nil, evalSeed)}
	byClass := map[string][]int{}
	for i, rank := range ranks {
		byClass[names[truth[i]]] = append(byClass[names[truth[i]]], rank)
	}
	for name, of := range byClass {
		result.PerClass[name] = eval.RecallInterval(of, 1, nil, evalSeed)
	}
	settings := map[string]any{"protocol": "classify", "classes": names, "templates": templates}
	if result.Hashes, err = provenanceOf(e.checkpoint, set, settings); err != nil {
		return err
	}
	if err := e.writePredictions(classesFound(set, names, truth, scores)); err != nil {
		return err
	}
	if e.json {
		return writeJSON(cmd.OutOrStdout(), &result)
	}
	return result.print(cmd.OutOrStdout())
}

// classFeatures embeds each class: the mean over its sentences, of unit length.
func classFeatures(model *infer.Retriever, names, templates []string) ([]float32, error) {
	var texts []string
	for _, name := range names {
		for _, t := range templates {
			texts = append(texts, strings.ReplaceAll(t, "{}", name))
		}
	}
	each, err := model.TextFeatures(texts)
	if err != nil {
		return nil, err
	}
	d := model.Dim
	out := make([]float32, len(names)*d)
	for c := range names {
		class, norm := out[c*d:(c+1)*d], 0.0
		for t := range templates {
			for j := range class {
				class[j] += each[(c*len(templates)+t)*d+j]
			}
		}
		for _, x := range class {
			norm += float64(x) * float64(x)
		}
		for j := range class {
			class[j] = float32(float64(class[j]) / math.Max(math.Sqrt(norm), 1e-12))
		}
	}
	return out, nil
}

func (r *classifyResult) print(out io.Writer) error {
	fmt.Fprintf(out, "%d pictures, %d classes; percent [95 %% interval]\n%-20s%s   chance %.1f\n%-20s%s\n", r.Images, r.Classes,
		"top 1", percent(r.Top1), r.Chance, "top 5", percent(r.Top5))
	for _, name := range slices.Sorted(maps.Keys(r.PerClass)) {
		if _, err := fmt.Fprintf(out, "  %-18s%s\n", name, percent(r.PerClass[name])); err != nil {
			return err
		}
	}
	return nil
}

func classesFound(set *datasets.Set, names []string, truth []int, scores [][]float32) iter.Seq[any] {
	return func(yield func(any) bool) {
		for i, r := range set.Records {
			var found []hit
			for _, c := range eval.Top(scores[i], 5) {
				found = append(found, hit{Text: names[c], Score: scores[i][c], Right: c == truth[i]})
			}
			if !yield(struct {
				Image string `json:"image"`
				Class string `json:"class"`
				Found []hit  `json:"found"`
			}{r.Image, names[truth[i]], found}) {
				return
			}
		}
	}
}
