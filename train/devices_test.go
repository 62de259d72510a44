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

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

const (
	devicesWorker = "GOBLIP_TEST_DEVICES" // set in the process that trains
	devicesMark   = "losses: "            // in front of what it found
	normOf        = " devices: gradient norm"
)

// TestDevicesAgree trains stage 1 on 1, 2 and 4 devices, and BLIP on 1 and 2, dropout and sampled
// negatives included: the losses, and what BLIP carries over, must be the same. XLA's CPU devices need more threads than a small machine has, so
// this happens in a process of its own.
func TestDevicesAgree(t *testing.T) {
	if os.Getenv(devicesWorker) != "" {
		trainOnDevices(t)
		return
	}
	if n := golden.Backend(t).NumDevices(); n < 4 {
		t.Skipf("the backend %s has %d device(s), this test needs 4", golden.Backend(t).Name(), n)
	}
	worker := exec.Command(os.Args[0], "-test.run=^TestDevicesAgree$", "-test.v")
	worker.Env = append(os.Environ(), devicesWorker+"=1", "NPROC=16")
	output, err := worker.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	_, found, ok := bytes.Cut(output, []byte(devicesMark))
	if !ok {
		t.Fatalf("the worker said nothing of losses:\n%s", output)
	}
	var losses map[string][]float32
	if err := json.NewDecoder(bytes.NewReader(found)).Decode(&losses); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, n := range []string{"2", "4"} {
		golden.Near(t, n+" devices", tensors.FromValue(losses[n]), tensors.FromValue(losses["1"]), 1e-5, 0)
		golden.Near(t, n+normOf, tensors.FromValue(losses[n+normOf]), tensors.FromValue(losses["1"+normOf]), 1e-5, 1e-5)
	}
	for name, want := range losses {
		if rest, ok := strings.CutPrefix(name, "1 blip"); ok {
			golden.Near(t, "BLIP"+rest, tensors.FromValue(losses["2 blip"+rest]), tensors.FromValue(want), 2e-5, 1e-5)
		}
	}
	if len(losses["1 blip"]) != 9 {
		t.Errorf("%d losses of BLIP, want 3 steps of 3", len(losses["1 blip"]))
	}
	if len(losses["1"]) != 12 {
		t.Errorf("%d losses, want 4 steps of 3", len(losses["1"]))
	}
}

func trainOnDevices(t *testing.T) {
	losses := map[string][]float32{}
	for _, devices := range []int{1, 2, 4} {
		obj, batch := tinyStage1(8)
		trainer := newTrainer(t, golden.Backend(t), model.NewStore(), obj, Settings{AdamW: testAdam, Seed: 9, Devices: devices}, batch(0))
		key := fmt.Sprint(devices)
		for n := range 4 {
			result := step(t, trainer, n, batch(uint64(n)))
			for _, v := range result.Terms {
				losses[key] = append(losses[key], float32(v))
			}
			losses[key+normOf] = append(losses[key+normOf], float32(result.GradNorm))
		}
	}
	for _, devices := range []int{1, 2} {
		obj, batch := tinyPretraining(4)
		trainer := newTrainer(t, golden.Backend(t), model.NewStore(), obj.Objective(4, [3]float64{}, [3]float64{1, 1, 1}),
			Settings{AdamW: testAdam, Seed: 9, Devices: devices, Trainable: obj.Trained, InitializerRange: 0.1}, batch(0))
		key := fmt.Sprint(devices, " blip")
		for n := range 3 {
			for _, v := range step(t, trainer, n, batch(uint64(n))).Terms {
				losses[key] = append(losses[key], float32(v))
			}
		}
		after := snapshot(t, trainer, false)
		for _, name := range []string{"text_queue", "momentum.text_proj.weight", "temp"} {
			losses[key+" "+name] = tensors.MustCopyFlatData[float32](after[name])
		}
	}
	var line strings.Builder
	if err := json.NewEncoder(&line).Encode(losses); err != nil {
		t.Fatal(err)
	}
	fmt.Print(devicesMark, line.String())
}
