package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"goblip/datasets"
	"goblip/datasets/blob"
)

// sourceNames is what --data may say, for help texts.
const sourceNames = `A data source is

  a folder             pictures, their captions in .txt files of the same name, one a line
  FILE.jsonl           image, caption or captions, question, answers, id
  FILE.csv, FILE.tsv   the same as columns; lists are JSON lists
  FILE.json            COCO captions, Karpathy's splits (#split=train+restval), questions of VQA v2
                       and OK-VQA (#annotations=FILE), of VizWiz, GQA and A-OKVQA, a list of JSONL's
                       objects; pictures by #images=DIR
  s-{000..127}.tar     WebDataset shards, .tar or .tar.gz
  FILE.parquet         in Hugging Face's layout

Paths of files may be http://, https:// and s3:// addresses too. #share=0/4 takes the first of four
equal parts; #weight=2 says how often a mixture draws from a source; several join by "&".`

// sourceFlags are the flags of a command that reads data.
type sourceFlags struct {
	names       []string // --data, where the command has it
	fields      []string
	temperature float64
	onBad       string
}

// registerReading adds the flags that say how a source is read.
func (s *sourceFlags) registerReading(command *cobra.Command) {
	command.Flags().StringArrayVar(&s.fields, "map", nil, "field=column: what the source calls image, caption, captions, question, answers, question_id, kind or id; may be repeated")
}

// register adds --data and what belongs to it.
func (s *sourceFlags) register(command *cobra.Command) {
	flags := command.Flags()
	flags.StringArrayVar(&s.names, "data", nil, "data source (goblip data --help); several make a mixture, PATH#weight=2 draws twice as often")
	flags.Float64Var(&s.temperature, "mix-temperature", 1, "sources of a mixture without weights are drawn by size^(1/T): 1 by size, 2 by its square root")
	flags.StringVar(&s.onBad, "on-bad", "stop", "stop or skip: what to do about shards, records and pictures that cannot be read")
	s.registerReading(command)
}

// options are for one source; note is told what was left out.
func (s *sourceFlags) options(note func(format string, args ...any)) datasets.Options {
	o := datasets.Options{SkipBad: s.onBad == "skip", Fields: map[string]string{}}
	for _, assignment := range s.fields {
		field, column, _ := strings.Cut(assignment, "=")
		o.Fields[field] = column
	}
	if note != nil {
		o.Note = func(what string) { note("warning: %s", what) }
	}
	return o
}

// check finds what is wrong with the flags.
func (s *sourceFlags) check() error {
	if s.onBad != "" && s.onBad != "stop" && s.onBad != "skip" {
		return usagef("--on-bad %q is not stop or skip", s.onBad)
	}
	if s.temperature < 0 || math.IsNaN(s.temperature) {
		return usagef("--mix-temperature %g is not positive", s.temperature)
	}
	for _, assignment := range s.fields {
		if field, column, ok := strings.Cut(assignment, "="); !ok || field == "" || column == "" {
			return usagef("--map %q is not field=column", assignment)
		}
	}
	return nil
}

// source opens one source.
func (s *sourceFlags) source(name string) (datasets.Source, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	source, err := datasets.OpenSource(name, s.options(nil))
	if err == nil && source.Len() == 0 {
		err = fmt.Errorf("%s: no records", name)
	}
	return source, err
}

// open reads all of --data.
func (s *sourceFlags) open(note func(format string, args ...any)) (*datasets.Set, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	blob.DefaultClient.Retried = func(name string, err error) { note("warning: %s: %v; trying again", name, err) }
	set, err := datasets.OpenMixture(s.names, s.temperature, s.options(note))
	if err != nil {
		return nil, err
	}
	if set.Skipped > 0 {
		note("warning: %d records or shards could not be read and are left out", set.Skipped)
	}
	for _, p := range set.Parts {
		note("%s: %d pictures, %.1f %% of what is drawn", p.Name, p.Records, 100*p.Share)
	}
	return set, nil
}
