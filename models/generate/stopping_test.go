package generate

import (
	"encoding/json"
	"strings"
	"testing"
)

// counting is a table that counts its steps.
type counting struct {
	table
	steps int
}

func (d *counting) Next(tokens, parents []int32) ([]float32, error) {
	d.steps++
	return d.table.Next(tokens, parents)
}

// TestStopping: the three ways run the same search and differ in when they end, so that a later end
// never has fewer steps or a worse best beam; and each pair of them differs somewhere.
func TestStopping(t *testing.T) {
	ways := []Stopping{StopEarly, StopHeuristic, StopNever}
	var later [3]int
	for seed := range uint64(60) {
		var scores [3]float64
		var steps [3]int
		for i, way := range ways {
			o := Default()
			o.NumBeams, o.MaxNewTokens, o.EOSTokenID, o.LengthPenalty, o.EarlyStopping = 3, 12, eos, 2, way
			d := &counting{table: table{beams: 3, items: []func([]int32) []float32{random(seed, 5)}}}
			out, err := Run(d, [][]int32{{1}}, 5, o, nil)
			if err != nil {
				t.Fatal(err)
			}
			scores[i], steps[i] = out[0].Score, d.steps
		}
		for i := 1; i < len(ways); i++ {
			if steps[i] < steps[i-1] || scores[i] < scores[i-1] {
				t.Errorf("seed %d: steps %v, scores %v", seed, steps, scores)
			}
			if steps[i] > steps[i-1] {
				later[i]++
			}
		}
	}
	if later[1] == 0 || later[2] == 0 {
		t.Errorf("the ways never differ: %v", later)
	}
}

func TestStoppingJSON(t *testing.T) {
	for text, want := range map[string]Stopping{"false": StopHeuristic, "true": StopEarly, `"never"`: StopNever} {
		var got Stopping
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: got %d, %v", text, got, err)
		}
		if back, err := json.Marshal(got); err != nil || string(back) != text {
			t.Errorf("%s: written as %s, %v", text, back, err)
		}
	}
	var o Options
	if err := json.Unmarshal([]byte(`{"early_stopping": "often"}`), &o); err == nil || !strings.Contains(err.Error(), "often") {
		t.Errorf("got %v", err)
	}
}
