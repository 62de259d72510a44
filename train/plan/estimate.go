package plan

import (
	"fmt"
	"math"
	"slices"

	"goblip/train"
)

// Memory is what one chip holds during a step, in bytes.
type Memory struct {
	Weights     float64 `json:"weights"`     // trained in float32, frozen in the precision of the job
	Optimizer   float64 `json:"optimizer"`   // both moments, float32
	Gradients   float64 `json:"gradients"`   // float32
	Copies      float64 `json:"copies"`      // of trained weights in the precision of the job
	Activations float64 `json:"activations"` // kept for the backward pass
	Working     float64 `json:"working"`     // the largest values that live for a moment
	Inputs      float64 `json:"inputs"`
}

// Total is all of it.
func (m Memory) Total() float64 {
	return m.Weights + m.Optimizer + m.Gradients + m.Copies + m.Activations + m.Working + m.Inputs
}

// Estimate is what a job needs on a slice, counted from its sizes alone.
type Estimate struct {
	Device       string    `json:"device"`
	Devices      int       `json:"devices"`
	Precision    string    `json:"precision"`
	Shard        string    `json:"shard"`
	Checkpoint   string    `json:"checkpoint"`
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

// usable is the share of a chip's memory that a program gets: the rest is the runtime's.
const usable = 0.94

// Estimate plans the job on a slice; shard is one of train.Shards.
func (j *Job) Estimate(s Devices, shard string) (*Estimate, error) {
	if err := j.Validate(s.Count); err != nil {
		return nil, err
	}
	if !slices.Contains(train.Shards, shard) {
		return nil, fmt.Errorf("shard %q is none of %v", shard, train.Shards)
	}
	w, n := j.Count(), float64(s.Count)
	trainedCount, frozenCount := j.Parameters()
	t, f := float64(trainedCount), float64(frozenCount)
	width := j.width()
	weights, state := 1.0, 1.0 // shares that a chip holds
	if shard != "none" {
		state = 1 / n
	}
	if shard == "full" {
		weights = 1 / n
	}
	m := Memory{
		Weights:     (4*t + width*f) * weights,
		Optimizer:   8 * t * state,
		Gradients:   4 * t * state,
		Activations: w.Kept / n,
		Working:     w.Largest / n,
		Inputs:      float64(j.Batch) / n * 3 * float64(j.Config.Vision.ImageSize*j.Config.Vision.ImageSize),
	}
	if j.Precision == "bf16" {
		m.Copies = width * t
	}
	e := &Estimate{Device: s.Chip.Name, Devices: s.Count, Precision: j.Precision, Shard: shard, Checkpoint: j.Remat, Batch: j.Batch,
		Trained: trainedCount, Frozen: frozenCount, Memory: m, MemoryTotal: m.Total(), DeviceMemory: s.Chip.Memory, Fits: m.Total() <= usable*s.Chip.Memory,
		Flops: w.Flops() / n, Bytes: w.Moved/n + w.Read + 28*t*state, Traffic: j.Traffic(s.Count, shard)}
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
