package capfilt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"goblip/checkpoints"
)

// Training are the runs that several rounds need. Each trains into a folder, goes on with what it finds there,
// and returns the model folder; init is the model to start from, "" for a new one.
type Training struct {
	Pretrain  func(ctx context.Context, data []string, init, out string) (model string, err error)
	Captioner func(ctx context.Context, data []string, init, out string) (model string, err error)
	Filter    func(ctx context.Context, data []string, init, out string) (model string, err error)
}

// Rounds is bootstrapping over several rounds (BLIP, section 3.3, and its outlook): captioner and filter are
// fine-tuned anew on the set that people wrote, they clean the source, and a new model is pre-trained on what is
// kept and on that set; the next round starts from it.
type Rounds struct {
	Config        // Human must be set; Captioners and Filters come beside those that are trained
	Number int    // of rounds
	Init   string // the model before the first round; "": one is pre-trained on source and human set
}

// Round is what one round made.
type Round struct {
	Captioner string   `json:"captioner"` // model folders
	Filter    string   `json:"filter"`
	Clean     string   `json:"clean"` // folder of the cleaned set
	Model     string   `json:"model"`
	Summary   *Summary `json:"summary"`
}

// RoundsFile is the list of finished rounds in the folder of all.
const RoundsFile = "rounds.json"

// Validate says what is missing.
func (r *Rounds) Validate() error {
	if r.Number < 1 {
		return fmt.Errorf("rounds: %d must be 1 or more", r.Number)
	}
	if r.Human == "" {
		return errors.New("rounds need a set that people wrote, to train captioner and filter on")
	}
	c := r.Config
	c.Captioners = append(slices.Clone(c.Captioners), ModelDir{Name: CaptionerName})
	c.Filters = append(slices.Clone(c.Filters), ModelDir{Name: FilterName})
	return c.Validate()
}

// Names of the models that rounds train.
const (
	CaptionerName = "captioner"
	FilterName    = "filter"
)

// Run does the rounds, or goes on with them. clean cleans one source, as Run does.
func (r *Rounds) Run(ctx context.Context, train Training, clean func(context.Context, Config) (*Summary, error)) (rounds []Round, err error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	model := r.Init
	if model == "" {
		if model, err = r.zero(ctx, train, clean); err != nil {
			return nil, fmt.Errorf("the model before round 1: %w", err)
		}
	}
	for n := 1; n <= r.Number; n++ {
		round, err := r.one(ctx, n, model, train, clean)
		if err != nil {
			return rounds, fmt.Errorf("round %d: %w", n, err)
		}
		model = round.Model
		rounds = append(rounds, *round)
		data, err := json.MarshalIndent(rounds, "", "  ")
		if err != nil {
			return rounds, err
		}
		if err := checkpoints.WriteFile(filepath.Join(r.Out, RoundsFile), append(data, '\n')); err != nil {
			return rounds, err
		}
	}
	return rounds, nil
}

// zero pre-trains on everything that can be used: pictures that cannot be read would end a training run.
func (r *Rounds) zero(ctx context.Context, train Training, clean func(context.Context, Config) (*Summary, error)) (string, error) {
	c := r.Config
	c.Out = filepath.Join(r.Out, "round-0", "usable")
	c.Captioners, c.Filters, c.Captions, c.Rule = nil, nil, 0, KeepAll()
	summary, err := clean(ctx, c)
	if err != nil {
		return "", err
	}
	return train.Pretrain(ctx, summary.paths(c.Out), "", filepath.Join(r.Out, "round-0", "model"))
}

func (r *Rounds) one(ctx context.Context, n int, init string, train Training, clean func(context.Context, Config) (*Summary, error)) (*Round, error) {
	dir := filepath.Join(r.Out, fmt.Sprintf("round-%d", n))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	out := &Round{Clean: filepath.Join(dir, "clean")}
	var err error
	if out.Captioner, err = train.Captioner(ctx, []string{r.Human}, init, filepath.Join(dir, "captioner")); err != nil {
		return nil, fmt.Errorf("captioner: %w", err)
	}
	if out.Filter, err = train.Filter(ctx, []string{r.Human}, init, filepath.Join(dir, "filter")); err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	c := r.Config
	c.Out = out.Clean
	if c.Captions > 0 {
		c.Captioners = append([]ModelDir{{CaptionerName, out.Captioner}}, r.Captioners...)
	}
	c.Filters = append([]ModelDir{{FilterName, out.Filter}}, r.Filters...)
	if out.Summary, err = clean(ctx, c); err != nil {
		return nil, fmt.Errorf("cleaning: %w", err)
	}
	// A model of its own, not the last one trained further: that gains nothing (table 13).
	if out.Model, err = train.Pretrain(ctx, out.Summary.paths(out.Clean), "", filepath.Join(dir, "model")); err != nil {
		return nil, fmt.Errorf("the new model: %w", err)
	}
	return out, nil
}
