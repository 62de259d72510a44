package capfilt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goblip/capfilt/capfilttest"
	"goblip/datasets"
	"goblip/models/blip"
)

// TestRounds follows what each round trains on and starts from, with trainers that write tiny random models, and
// stops and goes on between all steps.
func TestRounds(t *testing.T) {
	source, human := capfilttest.Pictures(t, 9, 4), capfilttest.Pictures(t, 3)
	var calls []string
	stop := -1 // the call that is interrupted
	trainer := func(kind, class string) func(context.Context, []string, string, string) (string, error) {
		return func(_ context.Context, data []string, init, out string) (string, error) {
			if _, err := os.Stat(filepath.Join(out, "config.json")); err == nil {
				return out, nil
			}
			if stop--; stop == -1 {
				return "", ErrStopped
			}
			records := 0
			for _, path := range data {
				set, err := datasets.Open(path)
				if err != nil {
					return "", err
				}
				records += set.Len()
			}
			short := func(path string) string {
				return strings.TrimPrefix(path, filepath.Dir(filepath.Dir(filepath.Dir(out)))+string(filepath.Separator))
			}
			calls = append(calls, fmt.Sprintf("%s of %d records from %q into %s", kind, records, short(init), short(out)))
			capfilttest.BLIP(t, out, class, 8, uint64(len(calls)))
			return out, nil
		}
	}
	train := Training{trainer("pretrain", blip.RetrievalClass), trainer("captioner", blip.CaptionClass), trainer("filter", blip.RetrievalClass)}
	c := tinyConfig(t, source)
	r := Rounds{Config: c, Number: 2}
	r.Captioners, r.Filters, r.Human, r.Out = nil, r.Filters[:1], human, filepath.Join(t.TempDir(), "rounds")
	r.Rule = Rule{Score: ITC, Ensemble: Mean, TopK: 1} // keeps one text of each of the 8 good pictures
	var rounds []Round
	for {
		stop = 1 // one call gets through
		var err error
		rounds, err = r.Run(context.Background(), train, func(ctx context.Context, c Config) (*Summary, error) { return run(t, ctx, c) })
		if err == nil {
			break
		}
		if !errors.Is(err, ErrStopped) {
			t.Fatal(err)
		}
	}
	want := []string{
		`pretrain of 11 records from "" into rounds/round-0/model`,
		`captioner of 3 records from "rounds/round-0/model" into rounds/round-1/captioner`,
		`filter of 3 records from "rounds/round-0/model" into rounds/round-1/filter`,
		`pretrain of 11 records from "" into rounds/round-1/model`,
		`captioner of 3 records from "rounds/round-1/model" into rounds/round-2/captioner`,
		`filter of 3 records from "rounds/round-1/model" into rounds/round-2/filter`,
		`pretrain of 11 records from "" into rounds/round-2/model`,
	}
	if !slices.Equal(calls, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(calls, "\n"), strings.Join(want, "\n"))
	}
	if len(rounds) != 2 || rounds[1].Summary.Kept != 8 || rounds[1].Summary.HumanPictures != 3 || rounds[1].Summary.BadPictures != 1 {
		t.Errorf("%+v", rounds)
	}
	if names := rounds[0].Summary.Sources; len(names) != 3 || names[0].Origin != Web || names[1].Origin != CaptionerName || names[2].Origin != Human {
		t.Errorf("sources %+v", names)
	}
	r.Human = ""
	if err := r.Validate(); err == nil {
		t.Error("rounds without a human set were accepted")
	}
}
