package capfilt

import (
	"fmt"

	"github.com/spf13/pflag"
)

// Flags are the settings of a run as command lines have them.
type Flags struct {
	Rounds bool // captioner and filter are trained on the way, so that none has to be named

	config              Config
	captioners, filters []string
	method, decode      string
	score, ensemble     string
	threshold           float64
	topK                int
	prompt              string
	changed             func(name string) bool
}

// Add defines the flags.
func (f *Flags) Add(flags *pflag.FlagSet) {
	f.changed = flags.Changed
	f.config.Writing = DefaultWriting()
	o := &f.config.Writing.Options
	flags.StringVar(&f.config.Source, "data", "", "the noisy set: a JSONL file, several (web-{00000..00099}.jsonl), or a folder of pictures with .txt beside them")
	flags.StringVar(&f.config.Out, "out", "", "folder for the results")
	flags.StringArrayVar(&f.captioners, "captioner", nil, "model folder that writes captions, DIR or NAME=DIR; may be repeated")
	flags.StringArrayVar(&f.filters, "filter", nil, "model folder that scores texts, DIR or NAME=DIR; may be repeated")
	flags.IntVar(&f.config.Captions, "captions", 1, "texts that each captioner writes for a picture (BLIP: 1; BLIP-2: 10)")
	flags.StringVar(&f.method, "method", "blip", "rule to start from: blip (itm of at least 0.5), blip2 (the best 2 by clip), all (no filter)")
	flags.StringVar(&f.score, "score", "", "score that decides instead: itm, itc or clip")
	flags.Float64Var(&f.threshold, "threshold", 0, "keep texts whose score is at least this (blip: 0.5)")
	flags.IntVar(&f.topK, "top-k", 0, "keep at most this many texts of a picture, the best (blip2: 2; 0: all)")
	flags.StringVar(&f.ensemble, "ensemble", Mean, "what several filters' scores become: mean, min or max")
	flags.StringVar(&f.decode, "decode", "nucleus", "how captions are written: nucleus, beam or greedy")
	flags.StringVar(&f.prompt, "prompt", "", "text that captions continue; not given: each model's own")
	flags.Float64Var(&o.TopP, "top-p", o.TopP, "nucleus: sample among the most likely words that have this probability together")
	flags.Float64Var(&o.Temperature, "temperature", o.Temperature, "nucleus: of sampling")
	flags.IntVar(&o.NumBeams, "num-beams", 3, "beam: this many beams")
	flags.IntVar(&o.MinNewTokens, "min-new-tokens", o.MinNewTokens, "no end before this many tokens")
	flags.IntVar(&o.MaxNewTokens, "max-new-tokens", o.MaxNewTokens, "length limit")
	flags.Float64Var(&o.RepetitionPenalty, "repetition-penalty", o.RepetitionPenalty, "above 1 makes repeated words less likely")
	flags.Uint64Var(&o.Seed, "seed", 1, "of sampling: what is drawn for a picture depends on seed, pixels and prompt alone")
	flags.IntVar(&f.config.Chunk, "chunk", DefaultChunk, "pictures in a unit of work: what a kill can lose")
	flags.IntVar(&f.config.ShardSize, "shard-size", DefaultShardSize, "pictures in a file of the data set; larger sets become several files")
	flags.StringVar(&f.config.Human, "human", "", "a clean set that people wrote: all of it joins the data set")
}

// Config is what the flags say. find turns a model's name, as it was given, into its folder; nil: it is one.
func (f *Flags) Config(find func(name string) (dir string, err error)) (Config, error) {
	c := f.config
	var err error
	if c.Rule, err = f.rule(); err != nil {
		return c, err
	}
	if f.changed("prompt") {
		c.Writing.Prompt = &f.prompt
	}
	o := &c.Writing.Options
	switch f.decode {
	case "nucleus":
		o.DoSample, o.NumBeams = true, 1
	case "beam":
		o.DoSample, o.TopP = false, 1
	case "greedy":
		o.DoSample, o.TopP, o.NumBeams = false, 1, 1
	default:
		return c, fmt.Errorf("--decode %q is not nucleus, beam or greedy", f.decode)
	}
	if c.Captioners, err = models("captioner", f.captioners, find); err != nil {
		return c, err
	}
	if c.Filters, err = models("filter", f.filters, find); err != nil {
		return c, err
	}
	if f.Rounds {
		return c, nil
	}
	if len(c.Captioners) == 0 {
		c.Captions = 0
	}
	return c, c.Validate()
}

// rule is the method's, with what the flags change.
func (f *Flags) rule() (Rule, error) {
	var rule Rule
	switch f.method {
	case "blip":
		rule = BLIPRule()
	case "blip2":
		rule = BLIP2Rule()
	case "all":
		rule = KeepAll()
	default:
		return rule, fmt.Errorf("--method %q is not blip, blip2 or all", f.method)
	}
	if f.score != "" {
		if rule.Score != f.score && !f.changed("threshold") {
			rule.Threshold = nil // 0.5 is of a probability
		}
		rule.Score = f.score
	}
	if f.changed("threshold") {
		rule.Threshold = &f.threshold
	}
	if f.changed("top-k") {
		rule.TopK = f.topK
	}
	rule.Ensemble = f.ensemble
	return rule, nil
}

// models reads a flag that names models.
func models(flag string, values []string, find func(string) (string, error)) ([]ModelDir, error) {
	models, err := ParseModels(values)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	for i := range models {
		if find == nil {
			break
		}
		if models[i].Dir, err = find(models[i].Dir); err != nil {
			return nil, fmt.Errorf("--%s: %w", flag, err)
		}
	}
	return models, nil
}
