package recipes

import (
	"encoding/json"
	"os"
	"path/filepath"

	"goblip/train"
	"goblip/train/plan"

	"github.com/gomlx/compute"
)

// decideCheckpointing turns "auto" into what the estimate of a step's memory asks for, and says why. The
// decision becomes the run's setting: a run that goes on, where memory may be another, keeps what it
// began with, so that it ends with the same numbers.
func (r *recipe) decideCheckpointing(settings *train.Settings, o Options) error {
	if settings.Checkpoint != "auto" {
		return nil
	}
	policy, why := begun(o), "as the run began"
	if policy == "" {
		builder, err := compute.NewWithConfig("go:ops_sequential") // builds the graph alone, and needs no device
		if err != nil {
			return err
		}
		defer builder.Finalize()
		line, err := train.NewTimeline(builder, r.objective, *settings, r.inputs)
		if err != nil {
			return err
		}
		policy, why = plan.DecideHere(line, *settings, r.inputs, r.backend)
	}
	settings.Checkpoint, r.common.Checkpointing = policy, policy
	if o.Note != nil {
		o.Note("%s: checkpointing auto is %s: %s", r.name, policy, why)
	}
	return nil
}

// begun is what a run that is to be resumed was decided to do; empty: there is none.
func begun(o Options) string {
	if !o.Resume {
		return ""
	}
	var config struct {
		Settings struct {
			Checkpointing string `json:"checkpointing"`
		} `json:"settings"`
	}
	data, err := os.ReadFile(filepath.Join(o.Dir, "config.json"))
	if err != nil || json.Unmarshal(data, &config) != nil {
		return "" // what is wrong with the folder is said when the run begins
	}
	return config.Settings.Checkpointing
}
