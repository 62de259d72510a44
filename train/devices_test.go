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

// division is a number of devices and what is divided among them.
type division struct {
	devices int
	shard   string
}

func (d division) String() string { return fmt.Sprint(d.devices, " devices, shard ", d.shard) }

// devicesCase trains on some numbers of devices: values by division and name.
type devicesCase struct {
	on      []division // first that which the others must agree with
	steps   int
	trainer func(t *testing.T, on division) (*Trainer, func(seed uint64) []*tensors.Tensor)
	carried []string // tensors whose values after the last step must agree too
	divided string   // a trained variable that "full" divides; its moments must agree too
}

var devicesCases = map[string]devicesCase{
	"stage1": {on: []division{{1, "none"}, {2, "none"}, {4, "none"}, {2, "optimizer"}, {4, "full"}}, steps: 4, divided: "qformer/encoder/layer/0/intermediate/dense/weight", trainer: func(t *testing.T, on division) (*Trainer, func(seed uint64) []*tensors.Tensor) {
		obj, batch := tinyStage1(8)
		return newTrainer(t, golden.Backend(t), model.NewStore(), obj, Settings{AdamW: testAdam, Seed: 9, Devices: on.devices, Shard: on.shard}, batch(0)), batch
	}},
	"stage1 in chunks": {on: []division{{1, "none"}, {2, "optimizer"}}, steps: 2, divided: "qformer/encoder/layer/0/intermediate/dense/weight", trainer: func(t *testing.T, on division) (*Trainer, func(seed uint64) []*tensors.Tensor) {
		obj, batch := tinyStage1(8)
		return newTrainer(t, golden.Backend(t), model.NewStore(), obj,
			Settings{AdamW: testAdam, Seed: 9, Devices: on.devices, Shard: on.shard, Accumulate: 2, Whole: true}, parts(t, batch(0), 2)[0]), batch
	}},
	"blip": {on: []division{{1, "none"}, {2, "none"}}, steps: 3, trainer: func(t *testing.T, on division) (*Trainer, func(seed uint64) []*tensors.Tensor) {
		obj, batch := tinyPretraining(4)
		return newTrainer(t, golden.Backend(t), model.NewStore(), whole(obj, 4),
			Settings{AdamW: testAdam, Seed: 9, Devices: on.devices, Trainable: notCarried(obj), InitializerRange: 0.1}, batch(0)), batch
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
			var values map[string]map[string][]float32
			if err := json.NewDecoder(bytes.NewReader(found)).Decode(&values); err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			alone := values[c.on[0].String()]
			for _, on := range c.on[1:] {
				for name, want := range alone {
					golden.Near(t, on.String()+": "+name, tensors.FromValue(values[on.String()][name]), tensors.FromValue(want), 1e-5, 1e-5)
				}
			}
			if n := len(alone["losses"]); n != 3*c.steps {
				t.Errorf("%d losses, want %d steps of 3", n, c.steps)
			}
		})
	}
}

func trainOnDevices(t *testing.T, c devicesCase) {
	values := map[string]map[string][]float32{}
	for _, on := range c.on {
		trainer, batch := c.trainer(t, on)
		of := map[string][]float32{}
		for n := range c.steps {
			result := step(t, trainer, n, parts(t, batch(uint64(n)), trainer.accum)...)
			for _, v := range result.Terms {
				of["losses"] = append(of["losses"], float32(v))
			}
			of["gradient norms"] = append(of["gradient norms"], float32(result.GradNorm))
		}
		after := snapshot(t, trainer, false)
		for _, name := range c.carried {
			of[name] = tensors.MustCopyFlatData[float32](after[name])
		}
		if c.divided != "" {
			for root, want := range map[string]bool{modelRoot: on.shard == "full", firstMoments: on.shard != "none"} {
				v := trainer.store.GetVariable(root + "/" + c.divided)
				if divided := v.ShardShape().Size() < v.Shape().Size(); divided != want {
					t.Errorf("%s: a device holds part of %s: %v", on, v.Path(), divided)
				}
			}
			moments := snapshot(t, trainer, true)
			of["moments"] = tensors.MustCopyFlatData[float32](moments["exp_avg."+strings.ReplaceAll(c.divided, "/", ".")])
		}
		values[on.String()] = of
	}
	var line strings.Builder
	if err := json.NewEncoder(&line).Encode(values); err != nil {
		t.Fatal(err)
	}
	fmt.Print(devicesMark, line.String())
}
