package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"goblip/internal/golden"
	"goblip/train/objective"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

const (
	devicesWorker = "GOBLIP_TEST_DEVICES" // names the case in the process that trains
	devicesMark   = "values: "            // in front of what it found
)

// devicesCase trains on some numbers of devices: values by number and name.
type devicesCase struct {
	devices []int
	steps   int
	trainer func(t *testing.T, devices int) (*Trainer, func(seed uint64) []*tensors.Tensor)
	carried []string // tensors whose values after the last step must agree too
}

var devicesCases = map[string]devicesCase{
	"stage1": {devices: []int{1, 2, 4}, steps: 4, trainer: func(t *testing.T, devices int) (*Trainer, func(seed uint64) []*tensors.Tensor) {
		obj, batch := tinyStage1(8)
		return newTrainer(t, golden.Backend(t), model.NewStore(), obj, Settings{AdamW: testAdam, Seed: 9, Devices: devices}, batch(0)), batch
	}},
	"blip": {devices: []int{1, 2}, steps: 3, trainer: func(t *testing.T, devices int) (*Trainer, func(seed uint64) []*tensors.Tensor) {
		obj, batch := tinyPretraining(4)
		return newTrainer(t, golden.Backend(t), model.NewStore(), whole(obj, 4),
			Settings{AdamW: testAdam, Seed: 9, Devices: devices, Trainable: obj.Trained, InitializerRange: 0.1}, batch(0)), batch
	}, carried: []string{"text_queue", "momentum.text_proj.weight", "temp"}},
}

// whole is an objective over pixels that are not normalized.
func whole(b objective.BLIPPretrain, batch int) objective.Objective {
	return b.Objective(batch, [3]float64{}, [3]float64{1, 1, 1})
}

// TestDevicesAgree trains stage 1 and BLIP on several devices, dropout and sampled negatives included:
// the losses must be the same, and what BLIP carries over. XLA's CPU devices need more threads than a
// small machine has, so this happens in processes of their own.
func TestDevicesAgree(t *testing.T) {
	if name := os.Getenv(devicesWorker); name != "" {
		trainOnDevices(t, devicesCases[name])
		return
	}
	if n := golden.Backend(t).NumDevices(); n < 4 {
		t.Skipf("the backend %s has %d device(s), this test needs 4", golden.Backend(t).Name(), n)
	}
	for name, c := range devicesCases {
		t.Run(name, func(t *testing.T) {
			worker := exec.Command(os.Args[0], "-test.run=^TestDevicesAgree$", "-test.v")
			worker.Env = append(os.Environ(), devicesWorker+"="+name, "NPROC=16")
			output, err := worker.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			_, found, ok := bytes.Cut(output, []byte(devicesMark))
			if !ok {
				t.Fatalf("the worker said nothing of values:\n%s", output)
			}
			var values map[int]map[string][]float32
			if err := json.NewDecoder(bytes.NewReader(found)).Decode(&values); err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			for _, n := range c.devices[1:] {
				for name, want := range values[1] {
					golden.Near(t, fmt.Sprint(n, " devices: ", name), tensors.FromValue(values[n][name]), tensors.FromValue(want), 1e-5, 1e-5)
				}
			}
			if n := len(values[1]["losses"]); n != 3*c.steps {
				t.Errorf("%d losses, want %d steps of 3", n, c.steps)
			}
		})
	}
}

func trainOnDevices(t *testing.T, c devicesCase) {
	values := map[int]map[string][]float32{}
	for _, devices := range c.devices {
		trainer, batch := c.trainer(t, devices)
		of := map[string][]float32{}
		for n := range c.steps {
			result := step(t, trainer, n, batch(uint64(n)))
			for _, v := range result.Terms {
				of["losses"] = append(of["losses"], float32(v))
			}
			of["gradient norms"] = append(of["gradient norms"], float32(result.GradNorm))
		}
		after := snapshot(t, trainer, false)
		for _, name := range c.carried {
			of[name] = tensors.MustCopyFlatData[float32](after[name])
		}
		values[devices] = of
	}
	var line strings.Builder
	if err := json.NewEncoder(&line).Encode(values); err != nil {
		t.Fatal(err)
	}
	fmt.Print(devicesMark, line.String())
}
