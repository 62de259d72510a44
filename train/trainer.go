// Package train turns an objective into training steps and runs them.
//
//	trainer.go   one step as a compiled graph: losses, gradient, clipping, AdamW
//	chunked.go   losses over all micro-batches of a step
//	declare.go   what a model trains and what is frozen
//	timeline.go  what a step holds, and when, read from its graph
//	shard.go     what several devices divide among each other
//	export.go    the step as a program for other devices
//	run.go       the loop: resume, log, evaluate, checkpoint, stop cleanly
//	adamw.go     the update and what decays
//	schedule.go  learning rates
//	objective/   batch -> losses
//	recipes/     whole runs: data, model, settings
//	runlog/      metrics.jsonl, TensorBoard, progress bar
package train

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"goblip/checkpoints"
	"goblip/internal/pjrt"
	"goblip/models/nn"
	"goblip/train/objective"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/distributed"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/core/tensors/dtensor"
	"github.com/gomlx/gomlx/ml/model"
)

// Trainer holds the compiled step of an objective. Only variables that the objective uses and that
// trainable names get a gradient and optimizer state; all others are read as they are, unless the
// objective changes them itself, as it does with what it carries over from step to step.
type Trainer struct {
	store     *model.Store
	objective objective.Objective
	adam      AdamW
	seed      uint64
	accum     int
	compute   dtypes.DType
	shard     string // of Shards
	recompute bool   // the inside of blocks, for the backward pass
	whole     bool   // losses are those of all micro-batches together

	compilations int               // of programs, so far
	vars         []*model.Variable // trained, in creation order
	carried      []*model.Variable // changed by the objective itself: momentum copies, queues

	changed map[string]bool // by path: the variables that the program being compiled changes
	release []func()

	mesh                *distributed.DeviceMesh
	sharded, replicated *distributed.ShardingSpec
	collect, update     *model.Exec
	measure             *model.Exec
	chunks              *chunks // nil: each micro-batch has losses of its own
}

// Precisions are what a step may compute in. With bf16 weights and optimizer state stay float32, and
// frozen weights are stored in bfloat16.
var Precisions = []string{"f32", "bf16"}

// Checkpoints say what the backward pass computes again instead of keeping it: nothing, the inside of
// every transformer block, or what memory asks for, which has to be decided before a Trainer is made.
var Checkpoints = []string{"none", "blocks", "auto"}

// Settings of a Trainer.
type Settings struct {
	AdamW      AdamW
	Seed       uint64
	Devices    int                    // data-parallel devices, 1 or more
	Accumulate int                    // micro-batches a step, 1 or more
	Trainable  func(name string) bool // by tensor name; nil: everything
	Precision  string                 // of Precisions; empty: f32
	Shard      string                 // of Shards; empty: none
	Checkpoint string                 // of Checkpoints; empty: none
	Whole      bool                   // losses that compare samples see all micro-batches of a step: objective.Chunked

	InitializerRange float64 // standard deviation of new weights; 0: BERT's 0.02
}

// NewTrainer declares the objective's variables for inputs of the given shapes and prepares the
// step; nothing is compiled yet. Variables without a value get their initial one; load before.
func NewTrainer(backend compute.Backend, store *model.Store, obj objective.Objective, set Settings, inputs []shapes.Shape) (*Trainer, error) {
	t, frozen, err := declare(backend, store, obj, set, inputs)
	if err != nil {
		return nil, err
	}
	if err := nn.Initialize(store, set.Seed, set.InitializerRange); err != nil {
		return nil, err
	}
	if t.compute != dtypes.Float32 {
		for _, v := range frozen {
			value, err := v.Value()
			if err == nil {
				value, err = checkpoints.Cast(value, t.compute)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", tensorName(v), err)
			}
			if err := replace(store, v, value); err != nil {
				return nil, err
			}
		}
	}
	for _, v := range t.vars {
		for _, root := range t.state() {
			if _, err := store.CreateVariable(statePath(v, root), tensors.FromShape(v.Shape())); err != nil {
				return nil, err
			}
		}
	}
	return t, t.prepare(backend, set.Devices, len(inputs))
}

// state are the roots of what is kept beside each trained variable.
func (t *Trainer) state() []string {
	if t.accum > 1 {
		return []string{firstMoments, secondMoments, accumulators}
	}
	return []string{firstMoments, secondMoments}
}

// prepare makes the programs; they are compiled when they are first run.
func (t *Trainer) prepare(backend compute.Backend, devices, inputs int) (err error) {
	store := t.store
	if t.whole {
		if err := t.prepareChunks(backend); err != nil {
			return err
		}
	}
	if t.update, err = model.NewExec(backend, store, t.step(true)); err != nil {
		return err
	}
	if t.collect, err = model.NewExec(backend, store, t.step(false)); err != nil {
		return err
	}
	t.overwrite(backend)
	if t.measure, err = model.NewExec(backend, store, t.evaluation); err != nil {
		return err
	}
	return t.distribute(devices, inputs)
}

// programs numbers the programs of this process.
var programs atomic.Int64

// overwrite lets a step write the variables that it changes where they are: weights, moments,
// accumulated gradients, and what else an objective carries on.
func (t *Trainer) overwrite(backend compute.Backend) {
	b, ok := backend.(pjrt.Overwriter)
	if !ok {
		return
	}
	t.changed = map[string]bool{}
	changing := []*model.Exec{t.update, t.collect}
	if t.chunks != nil {
		changing = append(changing, t.chunks.compare)
	}
	for _, e := range changing {
		name := fmt.Sprintf("step %d", programs.Add(1))
		e.WithName(name)
		b.Overwrite(name, func(input string) bool { return t.changed[input] })
		t.release = append(t.release, func() { b.Overwrite(name, nil) })
	}
}

// step builds one micro-batch: inputs are the random stream, [lr, 1-beta1^t, 1-beta2^t], then the
// batch; outputs are the terms and the gradient norm. The last micro-batch of a step updates.
func (t *Trainer) step(update bool) func(scope *model.Scope, in []*Node) []*Node {
	return func(scope *model.Scope, in []*Node) []*Node {
		t.in(in[0].Graph())
		nn.Train(in[0])
		scalars := Split(in[1], 0, in[1].Shape().Size())
		for i := range scalars {
			scalars[i] = Reshape(scalars[i])
		}
		g := in[0].Graph()
		before := make([]*Node, len(t.carried))
		for i, v := range t.carried {
			before[i] = v.NodeValue(g)
		}
		var total *Node
		var losses []*Node
		if t.chunks != nil {
			total, losses = t.chunkLosses(scope.At("model"), in[2:], scalars[3])
		} else {
			losses = t.objective.Build(scope.At("model"), in[2:])
			total = sum(losses)
		}
		weights := make([]*Node, len(t.vars))
		for i, v := range t.vars {
			weights[i] = v.NodeValue(g)
		}
		grads := Gradient(total, weights...)
		if t.accum > 1 {
			for i, v := range t.vars {
				var sum *model.Variable
				sum, grads[i] = t.accumulate(g, v, DivScalar(grads[i], float64(t.accum)))
				if update {
					sum.SetNodeValue(ZerosLike(grads[i]))
				}
			}
		}
		norm := globalNorm(grads)
		keep := LogicalAnd(IsFinite(total), IsFinite(norm))
		for i, v := range t.carried {
			v.SetNodeValue(Where(keep, v.NodeValue(g), before[i]))
		}
		if update {
			t.adam.apply(t.store, t.vars, grads, norm, scalars[0], scalars[1], scalars[2], keep)
		}
		t.noteChanges(g)
		e := t.collect
		if update {
			e = t.update
		}
		t.divideOutputs(e, g, len(losses)+1)
		return append(losses, norm)
	}
}

// accumulate adds a gradient to those of the step so far.
func (t *Trainer) accumulate(g *Graph, v *model.Variable, grad *Node) (*model.Variable, *Node) {
	sum := t.store.GetVariable(statePath(v, accumulators))
	grad = Add(sum.NodeValue(g), grad)
	sum.SetNodeValue(grad)
	return sum, grad
}

// noteChanges remembers which variables the program being compiled changes.
func (t *Trainer) noteChanges(g *Graph) {
	for v := range t.store.IterVariables() {
		if t.changed != nil {
			t.changed[v.Path()] = v.ChangedInGraph(g)
		}
	}
}

func sum(losses []*Node) *Node {
	total := losses[0]
	for _, l := range losses[1:] {
		total = Add(total, l)
	}
	return total
}

// in makes a graph compute in the trainer's precision.
func (t *Trainer) in(g *Graph) {
	t.compilations++
	if t.recompute {
		nn.Recompute(g)
	}
	if t.compute != dtypes.Float32 {
		nn.ComputeIn(g, t.compute)
	}
}

// evaluation builds the terms of one batch without dropout and without a gradient; inputs as step's.
func (t *Trainer) evaluation(scope *model.Scope, in []*Node) []*Node {
	t.in(in[0].Graph())
	nn.Evaluate(in[0])
	unused := Mul(ReduceAllSum(in[1]), ScalarZero(in[1].Graph(), dtypes.Float32))
	losses := t.objective.Build(scope.At("model"), in[2:])
	losses[0] = Add(losses[0], unused)
	return losses
}

// Evaluate averages the terms over batches without changing anything.
func (t *Trainer) Evaluate(batches int, data func(i int) ([]*tensors.Tensor, error)) ([]float64, error) {
	sums := make([]float64, len(t.objective.Terms))
	for i := range batches {
		batch, err := data(i)
		if err != nil {
			return nil, err
		}
		outputs, err := t.call(t.measure, 2, append([]*tensors.Tensor{nn.StepRNG(t.seed, -1-i), tensors.FromValue([]float32{0, 0, 0})}, batch...))
		if err != nil {
			return nil, err
		}
		for j := range sums {
			sums[j] += float64(tensors.ToScalar[float32](outputs[j])) / float64(batches)
		}
	}
	return sums, nil
}

// StepResult is what one optimizer step reports.
type StepResult struct {
	Terms    []float64 // in the order of the objective's terms, averaged over micro-batches
	GradNorm float64
}

// Step runs optimizer step number step (from 0) on its micro-batches. With NaN or infinity in a
// loss or gradient the weights stay as they were and the error names the first bad term.
func (t *Trainer) Step(step int, lr float64, batches [][]*tensors.Tensor) (StepResult, error) {
	if len(batches) != t.accum {
		return StepResult{}, fmt.Errorf("step %d: %d micro-batches, want %d", step, len(batches), t.accum)
	}
	var result StepResult
	c1, c2 := t.adam.biasCorrections(step + 1)
	scalars := []float32{float32(lr), c1, c2}
	var compared []float64
	var beside [][]*tensors.Tensor
	if t.chunks != nil {
		var words float32
		var err error
		if compared, beside, words, err = t.compareChunks(step, batches); err != nil {
			return result, fmt.Errorf("step %d: %w", step, err)
		}
		scalars = append(scalars, words)
	}
	for i, batch := range batches {
		exec := t.collect
		if i == t.accum-1 {
			exec = t.update
		}
		rng := nn.StepRNG(t.seed, step*t.accum+i)
		in := append([]*tensors.Tensor{rng, tensors.FromValue(scalars)}, batch...)
		if t.chunks != nil {
			in = append(in, beside[i]...)
		}
		outputs, err := t.call(exec, 2, in)
		if err != nil {
			return result, fmt.Errorf("step %d: %w", step, err)
		}
		values := slices.Clone(compared)
		for _, out := range outputs[:len(outputs)-1] {
			values = append(values, float64(tensors.ToScalar[float32](out)))
		}
		if result.Terms == nil {
			result.Terms = make([]float64, len(values))
		}
		for j, value := range values {
			if math.IsNaN(value) || math.IsInf(value, 0) {
				return result, fmt.Errorf("step %d: loss term %q is %v", step, t.objective.Terms[j].Name, value)
			}
			result.Terms[j] += value / float64(t.accum)
		}
		result.GradNorm = float64(tensors.ToScalar[float32](outputs[len(outputs)-1]))
	}
	if math.IsNaN(result.GradNorm) || math.IsInf(result.GradNorm, 0) {
		return result, fmt.Errorf("step %d: the gradient norm is %v although every loss term is finite", step, result.GradNorm)
	}
	return result, nil
}

// call runs a program: the first inputs are for all devices, the others are divided among them.
func (t *Trainer) call(exec *model.Exec, shared int, inputs []*tensors.Tensor) ([]*tensors.Tensor, error) {
	args := make([]any, len(inputs))
	for i, in := range inputs {
		if t.mesh == nil {
			args[i] = in
			continue
		}
		spec := t.sharded
		if i < shared {
			spec = t.replicated
		}
		shard, err := dtensor.ShardTensor(spec, in)
		if err != nil {
			return nil, err
		}
		args[i] = shard
	}
	outputs, err := exec.Call(args...)
	return outputs[:len(outputs)/t.Devices()], err // all devices have the same
}

// Trained returns the variables that steps change, trained or carried over, by tensor name, with their
// values; or, when optimizer is set, the moments under "exp_avg.NAME" and "exp_avg_sq.NAME".
func (t *Trainer) Trained(optimizer bool) (map[string]*tensors.Tensor, error) {
	out := map[string]*tensors.Tensor{}
	if !optimizer {
		for _, v := range t.carried {
			value, err := v.Value()
			if err != nil {
				return nil, err
			}
			out[tensorName(v)] = value
		}
	}
	for _, v := range t.vars {
		for root, prefix := range map[string]string{modelRoot: "", firstMoments: "exp_avg.", secondMoments: "exp_avg_sq."} {
			if (root == modelRoot) == optimizer {
				continue
			}
			value, err := t.store.GetVariable(statePath(v, root)).Value()
			if err != nil {
				return nil, err
			}
			out[prefix+tensorName(v)] = value
		}
	}
	return out, nil
}

// Restore sets the variables that steps change, or moments, from what Trained returned: every one must
// be there with its shape.
func (t *Trainer) Restore(values map[string]*tensors.Tensor, optimizer bool) error {
	have, err := t.Trained(optimizer)
	if err != nil {
		return err
	}
	for name := range have {
		value, ok := values[name]
		if !ok {
			return fmt.Errorf("checkpoint lacks tensor %s", name)
		}
		root, path := modelRoot, name
		if rest, ok := strings.CutPrefix(name, "exp_avg."); ok && optimizer {
			root, path = firstMoments, rest
		} else if rest, ok := strings.CutPrefix(name, "exp_avg_sq."); ok && optimizer {
			root, path = secondMoments, rest
		}
		v := t.store.GetVariable(root + "/" + strings.ReplaceAll(path, ".", "/"))
		if !v.Shape().Equal(value.Shape()) {
			return fmt.Errorf("checkpoint tensor %s has shape %s, the model needs %s", name, value.Shape(), v.Shape())
		}
		if err := v.SetValue(value); err != nil {
			return err
		}
	}
	return nil
}

// Compilations counts the programs that were compiled so far: one for each kind of step and each
// length that texts are padded to.
func (t *Trainer) Compilations() int { return t.compilations }

// Devices is how many devices a step is divided among.
func (t *Trainer) Devices() int {
	if t.mesh == nil {
		return 1
	}
	return t.mesh.NumDevices()
}

// NumTrained counts trained parameters.
func (t *Trainer) NumTrained() int {
	n := 0
	for _, v := range t.vars {
		n += v.Shape().Size()
	}
	return n
}

// Finalize frees the compiled step.
func (t *Trainer) Finalize() {
	for _, f := range t.release {
		f()
	}
	t.update.Finalize()
	t.collect.Finalize()
	t.measure.Finalize()
	if t.chunks != nil {
		t.chunks.features.Finalize()
		t.chunks.compare.Finalize()
	}
}

// Release drops the optimizer's state and leaves the trained weights in the store as single values,
// whatever the number of devices, for what comes after training.
func (t *Trainer) Release() error {
	for _, v := range slices.Concat(t.vars, t.carried) {
		value, err := v.Value()
		if err != nil {
			return err
		}
		if value, err = value.LocalClone(); err != nil {
			return err
		}
		if err := v.SetValue(value); err != nil {
			return err
		}
	}
	for _, root := range []string{firstMoments, secondMoments, accumulators} {
		if err := t.store.DeleteVariablesInScope(root); err != nil {
			return err
		}
	}
	return nil
}
