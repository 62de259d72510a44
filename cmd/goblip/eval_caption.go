package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"goblip/datasets"
	"goblip/datasets/shapes"
	"goblip/eval"
	"goblip/infer"
	"goblip/models/generate"
)

func newEvalCaptionCommand() *cobra.Command {
	var e evaluation
	var prompt, trainData, domains string
	var o generate.Options
	command := &cobra.Command{
		Use:   "caption --checkpoint DIR --data PATH",
		Short: "BLEU-4, CIDEr, attributes and answers of a model that writes",
		Long: `Captions every picture of a data set and scores the captions against its own: BLEU-4 and CIDEr on coco-caption's
scales (0 to 1, 0 to 10). Where records hold the truth of a drawn scene, it also counts the attributes that captions
state rightly; where they hold questions, it asks them. With --train-data, answers are compared with those of a guesser
that never sees a picture and gives the most frequent training answer. Intervals are 95 %, by bootstrap over pictures.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.caption(cmd, prompt, trainData, domains, o) },
	}
	e.resultsFile = true
	e.flags(command, "that writes")
	command.Flags().StringVar(&prompt, "prompt", "", "text that captions continue, such as \"a photo of\"; where it is not given, what the model is used to")
	command.Flags().StringVar(&trainData, "train-data", "", "training set whose answers the blind baseline learns")
	command.Flags().StringVar(&domains, "domains", "", "COCO annotations whose images have file_name and domain, as NoCaps' do: also score each domain apart")
	generationFlags(command, &o)
	return command
}

// captionResult is what "eval caption --json" prints. What the data does not allow to measure is absent.
type captionResult struct {
	Images     int                     `json:"images"`
	BLEU4      eval.Interval           `json:"bleu4"`
	CIDEr      eval.Interval           `json:"cider"`
	Attributes *attributeResult        `json:"attributes,omitempty"` // percent
	Questions  *questionResult         `json:"questions,omitempty"`  // percent
	Domains    map[string]captionSlice `json:"domains,omitempty"`    // each scored as a corpus of its own
	Hashes     *provenance             `json:"hashes"`
}

type attributeResult struct {
	All  eval.Interval            `json:"all"`
	Each map[string]eval.Interval `json:"each"`
}

type questionResult struct {
	Count    int                        `json:"count"`
	Accuracy eval.Interval              `json:"accuracy"`
	Blind    *float64                   `json:"blind,omitempty"`
	Kinds    map[string]*questionResult `json:"kinds,omitempty"`
}

func (e *evaluation) caption(cmd *cobra.Command, prompt, trainData, domainFile string, o generate.Options) error {
	if err := o.Validate(); err != nil {
		return usageError{err}
	}
	set, err := e.open()
	if err != nil {
		return err
	}
	domains, err := readDomains(domainFile)
	if err != nil {
		return err
	}
	var blind *eval.Blind
	if trainData != "" {
		training, err := datasets.Open(trainData)
		if err != nil {
			return err
		}
		blind = learnBlind(training)
	}
	model, states, err := e.openWriter(cmd, set, func(w infer.Writer) error {
		if !w.Captions() {
			return fmt.Errorf("%s: this model answers questions and does not caption", e.checkpoint)
		}
		return nil
	})
	if err != nil {
		return err
	}
	defer model.Finalize()
	if !cmd.Flags().Changed("prompt") {
		prompt = model.CaptionPrompt()
	}
	w, err := writeAll(model, states, set, prompt, o, blind, evalSeed, e.json)
	if err != nil {
		return err
	}
	if err := e.writePredictions(w.predictions(set)); err != nil {
		return err
	}
	result := w.result()
	if domains != nil {
		if result.Domains, err = w.domains(set, domains); err != nil {
			return err
		}
	}
	settings := map[string]any{"protocol": "caption", "prompt": prompt, "generation": o}
	if result.Hashes, err = provenanceOf(e.checkpoint, set, settings); err != nil {
		return err
	}
	if e.json {
		return writeJSON(cmd.OutOrStdout(), result)
	}
	return result.print(cmd.OutOrStdout())
}

func (w *written) result() *captionResult {
	r := &captionResult{Images: len(w.captions), BLEU4: w.bleu, CIDEr: w.cider(evalSeed)}
	if each, all := w.attributeShares(evalSeed); each != nil {
		r.Attributes = &attributeResult{All: all, Each: map[string]eval.Interval{}}
		for _, a := range each {
			r.Attributes.Each[a.Name] = a.Share
		}
	}
	if len(w.questions) > 0 {
		of := func(a eval.Accuracy) *questionResult {
			return &questionResult{Count: a.Questions, Accuracy: a.Share, Blind: a.Blind}
		}
		r.Questions = of(w.answers)
		if len(w.kinds) > 1 {
			r.Questions.Kinds = map[string]*questionResult{}
			for _, k := range w.kinds {
				r.Questions.Kinds[k.Kind] = of(k)
			}
		}
	}
	return r
}

func (r *captionResult) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d pictures [95 %% interval]\n\n", r.Images)
	fmt.Fprintf(&b, "%-20s%.3f [%.3f, %.3f]\n", "BLEU-4", r.BLEU4.Mean, r.BLEU4.Low, r.BLEU4.High)
	fmt.Fprintf(&b, "%-20s%.3f [%.3f, %.3f]\n", "CIDEr", r.CIDEr.Mean, r.CIDEr.Low, r.CIDEr.High)
	for _, name := range slices.Sorted(maps.Keys(r.Domains)) {
		d := r.Domains[name]
		fmt.Fprintf(&b, "  %-18s%d pictures   BLEU-4 %.3f   CIDEr %.3f\n", name, d.Images, d.BLEU4, d.CIDEr)
	}
	if a := r.Attributes; a != nil {
		fmt.Fprintf(&b, "\n%-20s%s\n", "attributes, percent", percent(a.All))
		for _, name := range shapes.Attributes {
			fmt.Fprintf(&b, "  %-18s%s\n", name, percent(a.Each[name]))
		}
	}
	if q := r.Questions; q != nil {
		line := func(name string, q *questionResult) {
			fmt.Fprintf(&b, "%-20s%s", name, percent(q.Accuracy))
			if q.Blind != nil {
				fmt.Fprintf(&b, "   blind %.1f", *q.Blind)
			}
			fmt.Fprintf(&b, "   of %d\n", q.Count)
		}
		b.WriteByte('\n')
		line("answers, percent", q)
		for _, name := range slices.Sorted(maps.Keys(q.Kinds)) {
			line("  "+name, q.Kinds[name])
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
