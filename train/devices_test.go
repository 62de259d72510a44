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
	momentsOf     = " devices: first moments of a weight"
)

// TestDevicesAgree trains stage 1 on 1, 2 and 4 devices, dropout and sampled negatives included, and
// with state and weights divided among them: the losses must be the same, and so must the moments. XLA's CPU devices need more threads than a small machine has, so
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
	for _, n := range []string{"2", "4", "2 optimizer", "4 full"} {
		golden.Near(t, n+" devices", tensors.FromValue(losses[n]), tensors.FromValue(losses["1"]), 1e-5, 0)
		golden.Near(t, n+normOf, tensors.FromValue(losses[n+normOf]), tensors.FromValue(losses["1"+normOf]), 1e-5, 1e-5)
		golden.Near(t, n+momentsOf, tensors.FromValue(losses[n+momentsOf]), tensors.FromValue(losses["1"+momentsOf]), 1e-5, 1e-5)
	}
	if len(losses["1"]) != 12 {
		t.Errorf("%d losses, want 4 steps of 3", len(losses["1"]))
	}
}

func trainOnDevices(t *testing.T) {
	losses := map[string][]float32{}
	for _, set := range []struct {
		devices    int
		shard, key string
	}{{1, "none", "1"}, {2, "none", "2"}, {4, "none", "4"}, {2, "optimizer", "2 optimizer"}, {4, "full", "4 full"}} {
		obj, batch := tinyStage1(8)
		trainer := newTrainer(t, golden.Backend(t), model.NewStore(), obj, Settings{AdamW: testAdam, Seed: 9, Devices: set.devices, Shard: set.shard}, batch(0))
		key := set.key
		for n := range 4 {
			result := step(t, trainer, n, batch(uint64(n)))
			for _, v := range result.Terms {
				losses[key] = append(losses[key], float32(v))
			}
			losses[key+normOf] = append(losses[key+normOf], float32(result.GradNorm))
		}
		const weight = "qformer/encoder/layer/0/intermediate/dense/weight"
		divided := map[string]bool{}
		for _, root := range []string{modelRoot, firstMoments} {
			v := trainer.store.GetVariable(root + "/" + weight)
			divided[root] = v.ShardShape().Size() < v.Shape().Size()
		}
		if divided[modelRoot] != (set.shard == "full") || divided[firstMoments] != (set.shard != "none") {
			t.Errorf("%s: a device holds part of the weight: %v, of its moments: %v", key, divided[modelRoot], divided[firstMoments])
		}
		moments, err := trainer.Trained(true)
		if err != nil {
			t.Fatal(err)
		}
		losses[key+momentsOf] = tensors.MustCopyFlatData[float32](moments["exp_avg."+strings.ReplaceAll(weight, "/", ".")])
	}
	var line strings.Builder
	if err := json.NewEncoder(&line).Encode(losses); err != nil {
		t.Fatal(err)
	}
	fmt.Print(devicesMark, line.String())
}
