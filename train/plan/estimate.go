package plan

import (
	"fmt"
	"math"
	"slices"

	"goblip/train"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
)

// Estimate is what a job needs on a slice, counted from its sizes alone.
type Estimate struct {
	Device       string    `json:"device"`
	Devices      int       `json:"devices"`
	Precision    string    `json:"precision"`
	Shard        string    `json:"shard"`
	Checkpoint   string    `json:"checkpoint"`
	Why          string    `json:"checkpoint_why,omitempty"` // where the job leaves it to the estimate
	Batch        int       `json:"batch"`
	Trained      int       `json:"trained_parameters"`
	Frozen       int       `json:"frozen_parameters"`
	Memory       Memory    `json:"memory_bytes"` // of a chip
	MemoryTotal  float64   `json:"memory_total_bytes"`
	DeviceMemory float64   `json:"device_memory_bytes"` // of a chip
	Fits         bool      `json:"fits"`
	Flops        float64   `json:"flops"`            // of a chip in a step
	Bytes        float64   `json:"bytes"`            // that a chip reads and writes in a step
	Sent         float64   `json:"collective_bytes"` // that a chip sends in a step
	Traffic      []Traffic `json:"collectives"`
	Compute      float64   `json:"compute_seconds"`   // at the share of the peak that training usually reaches
	MemoryTime   float64   `json:"memory_seconds"`    // at full bandwidth
	Interconnect float64   `json:"interconnect_secs"` // at full bandwidth
	Bound        string    `json:"bound"`             // the longest of the three
	Step         float64   `json:"step_seconds"`
	Days         float64   `json:"days"`
	ChipHours    float64   `json:"chip_hours"`
}

// timeline is that of the job's step, and its inputs. The backend in Go builds it: no plugin is needed.
func (j *Job) timeline() (*train.Timeline, []shapes.Shape, error) {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		return nil, nil, err
	}
	defer backend.Finalize()
	obj, inputs := j.Objective()
	line, err := train.NewTimeline(backend, obj, j.Settings(1), inputs)
	return line, inputs, err
}

// Estimate plans the job on a slice; shard is one of train.Shards.
func (j *Job) Estimate(s Devices, shard string) (*Estimate, error) {
	if err := j.Validate(s.Count); err != nil {
		return nil, err
	}
	if !slices.Contains(train.Shards, shard) {
		return nil, fmt.Errorf("shard %q is none of %v", shard, train.Shards)
	}
	settings := j.Settings(s.Count)
	settings.Shard = shard
	line, inputs, err := j.timeline()
	if err != nil {
		return nil, err
	}
	e := &Estimate{Device: s.Chip.Name, Devices: s.Count, Precision: j.Precision, Shard: shard, Checkpoint: j.Remat, Batch: j.Batch,
		Trained: line.Trained, Frozen: line.Frozen, DeviceMemory: s.Chip.Memory}
	if e.Checkpoint == "auto" {
		e.Checkpoint, e.Why = Decide(line, settings, inputs, s.Chip.Compiler, s.Chip.Memory, "a "+s.Chip.Name)
	}
	settings.Checkpoint = e.Checkpoint
	e.Memory = MemoryOf(line, settings, inputs, s.Chip.Compiler)
	e.MemoryTotal = e.Memory.Total()
	e.Fits = e.MemoryTotal <= usable*s.Chip.Memory

	w, n, state := j.count(e.Checkpoint), float64(s.Count), 1.0
	if shard != "none" {
		state = 1 / n
	}
	e.Flops, e.Bytes, e.Traffic = w.Flops()/n, w.Moved/n+w.Read+28*float64(line.Trained)*state, j.Traffic(s.Count, shard)
	for _, part := range e.Traffic {
		e.Sent += part.Bytes
	}
	e.Compute = e.Flops / (s.Chip.Peak(j.Precision) * s.Chip.MFU)
	e.MemoryTime, e.Interconnect = e.Bytes/s.Chip.Bandwidth, e.Sent/s.Chip.Link
	e.Step = math.Max(e.Compute, math.Max(e.MemoryTime, e.Interconnect))
	switch e.Step {
	case e.Compute:
		e.Bound = "compute"
	case e.MemoryTime:
		e.Bound = "memory"
	default:
		e.Bound = "interconnect"
	}
	e.Days = e.Step * float64(j.Steps) / 86400
	e.ChipHours = e.Days * 24 * n
	return e, nil
}
