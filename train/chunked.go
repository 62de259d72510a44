package train

import (
	"fmt"

	"goblip/models/nn"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// chunks are the programs with which a step's micro-batches give the losses of the whole; see
// objective.Chunked. What is compared waits in the host's memory between them.
type chunks struct {
	features, compare *model.Exec
	partners          []int // of the inputs that have them
}

// prepareChunks makes the programs; the third is the step's own.
func (t *Trainer) prepareChunks(backend compute.Backend) (err error) {
	c := t.objective.Chunked
	t.chunks = &chunks{}
	for input, rows := range c.Partners {
		if rows >= 0 {
			t.chunks.partners = append(t.chunks.partners, input)
		}
	}
	t.chunks.features, err = model.NewExec(backend, t.store, func(scope *model.Scope, in []*Node) []*Node {
		t.in(in[0].Graph())
		nn.Train(in[0])
		features := c.Features(scope.At("model"), in[1:])
		t.wholeOutputs(t.chunks.features, in[0].Graph(), len(features))
		return features
	})
	if err != nil {
		return err
	}
	t.chunks.compare, err = model.NewExec(backend, t.store, t.compare)
	return err
}

// compare builds the losses over the features of all micro-batches: inputs are the random stream,
// features, and the objective's inputs but the first; outputs the losses, the gradient of each
// feature, rows, and the number of words. The gradients of its own weights are accumulated.
func (t *Trainer) compare(scope *model.Scope, in []*Node) []*Node {
	g := in[0].Graph()
	t.in(g)
	nn.Train(in[0])
	n := t.objective.Chunked.NumFeatures
	features := in[1 : 1+n]
	compared := t.objective.Chunked.Compare(scope.At("model"), features, in[1+n:])
	total := sum(compared.Losses)
	var used []*model.Variable
	of := append([]*Node{}, features...)
	for _, v := range t.vars {
		if v.InUseByGraph(g) {
			used = append(used, v)
			of = append(of, v.NodeValue(g))
		}
	}
	grads := Gradient(total, of...)
	for i, v := range used {
		t.accumulate(g, v, grads[n+i])
	}
	out := append(compared.Losses, grads[:n]...)
	out = append(append(out, compared.Rows...), compared.Words)
	t.noteChanges(g)
	t.wholeOutputs(t.chunks.compare, g, len(out))
	return out
}

// chunkLosses builds the losses of a micro-batch that compare has not, and what is to be minimized: in
// are the objective's inputs, their partners, and the gradients of the features.
func (t *Trainer) chunkLosses(scope *model.Scope, in []*Node, words *Node) (total *Node, losses []*Node) {
	c := t.objective.Chunked
	inputs, rest := in[:len(c.Partners)], in[len(c.Partners):]
	partners := make([]*Node, len(inputs))
	for i, input := range t.chunks.partners {
		partners[input] = rest[i]
	}
	features, losses := c.Rest(scope, inputs, partners, words)
	total = sum(losses)
	for i, grad := range rest[len(t.chunks.partners):] {
		// The step divides what it accumulates by the number of micro-batches; this part is no mean over them.
		flow := ReduceAllSum(Mul(features[i], StopGradient(grad)))
		total = Add(total, MulScalar(flow, float64(t.accum)))
	}
	return total, losses
}

// compareChunks runs the first two programs: the losses, what each micro-batch gets beside its own
// inputs, and the words of each on average.
func (t *Trainer) compareChunks(step int, batches [][]*tensors.Tensor) (losses []float64, beside [][]*tensors.Tensor, words float32, err error) {
	fail := func(err error) ([]float64, [][]*tensors.Tensor, float32, error) { return nil, nil, 0, err }
	c := t.objective.Chunked
	for i, batch := range batches {
		for j := range batch {
			if first := batches[0][j].Shape(); !batch[j].Shape().Equal(first) {
				return fail(fmt.Errorf("input %d of micro-batch %d has shape %s, that of the first %s: losses over several need equal ones", j, i, batch[j].Shape(), first))
			}
		}
	}
	features := make([][]*tensors.Tensor, c.NumFeatures) // by micro-batch
	for i, batch := range batches {
		rng := nn.StepRNG(t.seed, step*t.accum+i)
		outputs, err := t.call(t.chunks.features, 1, append([]*tensors.Tensor{rng}, batch...))
		if err != nil {
			return fail(err)
		}
		for j, f := range outputs {
			features[j] = append(features[j], f)
		}
	}
	in := []*tensors.Tensor{nn.StepRNG(t.seed, step*t.accum)}
	for _, parts := range features {
		whole, err := concatenate(parts)
		if err != nil {
			return fail(err)
		}
		in = append(in, whole)
	}
	for j := 1; j < len(c.Partners); j++ {
		whole, err := concatenate(column(batches, j))
		if err != nil {
			return fail(err)
		}
		in = append(in, whole)
	}
	out, err := t.call(t.chunks.compare, 1, in)
	if err != nil {
		return fail(err)
	}
	take := func(n int) (some []*tensors.Tensor) { some, out = out[:n], out[n:]; return some }
	for _, l := range take(len(out) - c.NumFeatures - c.NumRows - 1) {
		losses = append(losses, float64(tensors.ToScalar[float32](l)))
	}
	grads, rows := take(c.NumFeatures), take(c.NumRows)
	words = tensors.ToScalar[float32](out[0]) / float32(t.accum)
	size := batches[0][0].Shape().Dim(0)
	for i := range batches {
		var extra []*tensors.Tensor
		for _, input := range t.chunks.partners {
			all, err := tensors.CopyFlatData[int32](rows[c.Partners[input]])
			if err != nil {
				return fail(err)
			}
			picked, err := gather(column(batches, input), all[i*size:(i+1)*size])
			if err != nil {
				return fail(err)
			}
			extra = append(extra, picked)
		}
		own := make([]int32, size)
		for k := range own {
			own[k] = int32(i*size + k)
		}
		for _, grad := range grads {
			part, err := gather([]*tensors.Tensor{grad}, own)
			if err != nil {
				return fail(err)
			}
			extra = append(extra, part)
		}
		beside = append(beside, extra)
	}
	return losses, beside, words, nil
}

// column is one input of all micro-batches.
func column(batches [][]*tensors.Tensor, input int) (out []*tensors.Tensor) {
	for _, batch := range batches {
		out = append(out, batch[input])
	}
	return out
}

// concatenate puts tensors of one shape below each other.
func concatenate(parts []*tensors.Tensor) (*tensors.Tensor, error) {
	rows := make([]int32, len(parts)*parts[0].Shape().Dim(0))
	for i := range rows {
		rows[i] = int32(i)
	}
	return gather(parts, rows)
}

// gather picks rows of tensors of one shape, which are counted through all of them.
func gather(parts []*tensors.Tensor, rows []int32) (*tensors.Tensor, error) {
	shape := parts[0].Shape().Clone()
	each := shape.Dim(0)
	shape.Dimensions[0] = len(rows)
	out := tensors.FromShape(shape)
	var failed error
	err := out.MutableBytes(func(to []byte) {
		width := len(to) / len(rows)
		for p, part := range parts {
			failed = part.ConstBytes(func(from []byte) {
				for i, row := range rows {
					if at := int(row) - p*each; at >= 0 && at < each {
						copy(to[i*width:(i+1)*width], from[at*width:])
					}
				}
			})
			if failed != nil {
				return
			}
		}
	})
	if failed != nil {
		err = failed
	}
	return out, err
}
