package plan

import (
	"fmt"
	"strings"

	"goblip/internal/pjrt"
	"goblip/train"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
)

// Memory is what one chip holds at the moment when it holds the most, in bytes.
type Memory struct {
	Weights     float64            `json:"weights"`     // trained in float32, frozen in the precision of the job
	Optimizer   float64            `json:"optimizer"`   // both moments, float32
	Accumulated float64            `json:"accumulated"` // gradients of micro-batches so far, float32
	Gradients   float64            `json:"gradients"`   // float32, of the layers that the backward pass has behind it
	Copies      float64            `json:"copies"`      // of trained weights in the precision of the job
	Activations float64            `json:"activations"` // kept for the layers that it has before it
	Kept        map[string]float64 `json:"kept"`        // Activations, by kind
	Working     float64            `json:"working"`     // values that live for a moment
	Inputs      float64            `json:"inputs"`
}

// Total is all of it.
func (m Memory) Total() float64 {
	return m.Weights + m.Optimizer + m.Accumulated + m.Gradients + m.Copies + m.Activations + m.Working + m.Inputs
}

// MemoryOf reads a step's memory from its timeline; set is the step's, with a policy of checkpointing that is
// decided, and inputs those of one micro-batch over all devices.
func MemoryOf(line *train.Timeline, set train.Settings, inputs []shapes.Shape, compiler Compiler) Memory {
	n := float64(max(set.Devices, 1))
	weights, state := 1.0, 1.0 // shares that a chip holds
	if set.Shard != "" && set.Shard != "none" {
		state = 1 / n
	}
	if set.Shard == "full" {
		weights = 1 / n
	}
	width := 4.0
	if set.Precision == "bf16" {
		width = 2
	}
	trained, frozen := float64(line.Trained), float64(line.Frozen)
	held := line.Peak(train.Machine{Devices: int(n), Gradients: state, Recompute: set.Checkpoint == "blocks", Derives: compiler.Derives, Short: compiler.Short, Lanes: compiler.Lanes})
	m := Memory{
		Weights: (4*trained + width*frozen) * weights, Optimizer: 8 * trained * state,
		Gradients: held.Gradients, Copies: held.Copies, Activations: held.Activations, Kept: held.Kept, Working: held.Passing,
	}
	if set.Accumulate > 1 {
		m.Accumulated = 4 * trained * state
	}
	for _, in := range inputs {
		m.Inputs += float64(in.ByteSize()) / n
	}
	return m
}

// usable is the share of a chip's memory that a program gets: the rest is the runtime's.
const usable = 0.94

// Decide is checkpointing "auto": blocks are computed again where a step would not fit otherwise into so many
// bytes of a device, described by of. why says so in figures.
func Decide(line *train.Timeline, set train.Settings, inputs []shapes.Shape, compiler Compiler, memory float64, of string) (policy, why string) {
	set.Checkpoint = "none"
	plain := MemoryOf(line, set, inputs, compiler).Total()
	if plain <= usable*memory {
		return "none", fmt.Sprintf("a step needs about %s of the %s of %s", gib(plain), gib(memory), of)
	}
	set.Checkpoint = "blocks"
	again := MemoryOf(line, set, inputs, compiler).Total()
	return "blocks", fmt.Sprintf("a step needs about %s of the %s of %s, and %s with blocks computed again", gib(plain), gib(memory), of, gib(again))
}

// DecideHere is Decide for a backend's devices.
func DecideHere(line *train.Timeline, set train.Settings, inputs []shapes.Shape, backend compute.Backend) (policy, why string) {
	description := backend.DeviceDescription(0)
	if chip, known := ChipOf(description); known {
		return Decide(line, set, inputs, chip.Compiler, chip.Memory, "a "+chip.Name)
	}
	host := float64(pjrt.HostMemory())
	if said := strings.ToLower(description + backend.Name() + backend.Description()); host == 0 || strings.Contains(said, "cuda") || strings.Contains(said, "nvidia") || strings.Contains(said, "tpu") {
		return "blocks", fmt.Sprintf("nothing is known of the memory of %q", description)
	}
	n := max(set.Devices, 1) // they share it
	of := "this machine's free memory"
	if n > 1 {
		of = fmt.Sprintf("each of %d devices' share of %s", n, of)
	}
	return Decide(line, set, inputs, Compiler{}, host/float64(n), of)
}

func gib(bytes float64) string { return fmt.Sprintf("%.3g GiB", bytes/(1<<30)) }
