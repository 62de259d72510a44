package train

import (
	"cmp"
	"slices"

	"goblip/models/nn"
	"goblip/train/objective"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Timeline is what the forward and the backward pass of a step hold and when, read from the graph of its
// forward pass; nothing is compiled. Moments are numbers of the graph's nodes: the forward pass
// counts up, the backward pass down.
type Timeline struct {
	Trained, Frozen int // parameters

	kept      []kept
	gradients []weight
	copies    []weight // of trained weights in the type that is computed in
	moments   []moment
}

// kept is a value that waits for its gradient.
type kept struct {
	what       string
	shape      shapes.Shape
	made, used int  // the moments when it is computed and when the backward pass needs it last
	block      int  // in which all of that lies; -1: none
	derived    bool // see nn.Entry
	operand    bool
	again      bool // needed only where blocks are computed again
}

// weight is what stands beside a trained weight, between its first and its last use.
type weight struct{ bytes, first, last int }

// moment is a layer that passing bytes go through.
type moment struct {
	at, passing, collected, block int
	gradient                      bool // comes back through it
}

// NewTimeline builds the forward pass of a step on any backend. No variable gets a value.
func NewTimeline(backend compute.Backend, obj objective.Objective, set Settings, inputs []shapes.Shape) (*Timeline, error) {
	line := &Timeline{}
	store := model.NewStore()
	var ledger *nn.Ledger
	var losses []*Node
	watched := obj
	watched.Build = func(scope *model.Scope, in []*Node) []*Node {
		ledger = nn.Record(in[0].Graph())
		losses = obj.Build(scope, in)
		line.read(store, set.Trainable, ledger, losses)
		return losses
	}
	set.Checkpoint = "none"
	t, frozen, err := declare(backend, store, watched, set, inputs)
	if err != nil {
		return nil, err
	}
	line.Trained = t.NumTrained()
	for _, v := range frozen {
		line.Frozen += v.Shape().Size()
	}
	return line, nil
}

// read turns what the layers report into intervals.
func (l *Timeline) read(store *model.Store, trainable func(name string) bool, ledger *nn.Ledger, losses []*Node) {
	g := losses[0].Graph()
	nodes := g.Nodes()
	at := func(x *Node) int { return int(x.Id()) }
	weights := map[int]bool{}
	for v := range store.IterVariables() {
		if v.InUseByGraph(g) && v.DType().IsFloat() && (trainable == nil || trainable(tensorName(v))) {
			weights[at(v.NodeValue(g))] = true
		}
	}
	// A gradient flows where a trained weight has an influence, and from where there is one on the losses.
	varies, counts := make([]bool, len(nodes)), make([]bool, len(nodes))
	for i, n := range nodes {
		varies[i] = weights[i] || !n.StopGradient() && slices.ContainsFunc(n.Inputs(), func(in *Node) bool { return varies[at(in)] })
	}
	for _, loss := range losses {
		counts[at(loss)] = true
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		if counts[i] && !nodes[i].StopGradient() {
			for _, in := range nodes[i].Inputs() {
				counts[at(in)] = true
			}
		}
	}
	flows := func(x *Node) bool { return varies[at(x)] && counts[at(x)] }

	place := map[*Node]int{} // of kept values, from 1
	for _, e := range ledger.Entries {
		if e.Passing+e.Collected > 0 {
			l.moments = append(l.moments, moment{at(e.At), e.Passing, e.Collected, e.Block, flows(e.At)})
		}
		if e.Value == nil || !flows(e.At) || !slices.ContainsFunc(e.For, flows) {
			continue
		}
		value := nn.Origin(e.Value)
		if value.Type() == NodeTypeParameter {
			continue
		}
		k := kept{what: e.What, shape: e.Value.Shape(), made: at(value), used: at(e.At), block: e.Block, derived: e.Derived, operand: e.Operand}
		if k.block >= 0 && k.made <= at(ledger.Blocks[k.block].In) { // an input of the block
			k.block = -1
		}
		if i := place[value]; i > 0 {
			old := &l.kept[i-1]
			old.used, old.operand = min(old.used, k.used), old.operand && k.operand
			if old.block != k.block {
				old.block = -1
			}
			continue
		}
		l.kept = append(l.kept, k)
		place[value] = len(l.kept)
	}
	for _, b := range ledger.Blocks {
		if in := nn.Origin(b.In); flows(b.Out) && place[in] == 0 {
			l.kept = append(l.kept, kept{what: "inputs of blocks", shape: in.Shape(), made: at(in), used: at(b.In), block: -1, again: true})
		}
	}
	l.readWeights(nodes, weights, flows)
	slices.SortStableFunc(l.moments, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
}

// readWeights finds when trained weights, by the moments of their nodes, are used, and their copies.
func (l *Timeline) readWeights(nodes []*Node, weights map[int]bool, flows func(*Node) bool) {
	of := map[int]int{} // the weight that a node shows in another shape or type
	spans := map[int]*weight{}
	copies := map[int]*weight{}
	for i, n := range nodes {
		if weights[i] {
			of[i] = i
			continue
		}
		for _, in := range n.Inputs() {
			w, shown := of[int(in.Id())]
			if !shown {
				continue
			}
			switch n.Type() {
			case NodeTypeReshape, NodeTypeTranspose, NodeTypeConvertDType:
				of[i] = w
				if n.Type() == NodeTypeConvertDType && n.Shape().Size() == nodes[w].Shape().Size() && flows(n) {
					copies[w] = &weight{bytes: int(n.Shape().ByteSize()), first: i}
				}
				continue
			}
			if flows(n) {
				if spans[w] == nil {
					spans[w] = &weight{bytes: 4 * nodes[w].Shape().Size(), first: i}
				}
				spans[w].last = i
			}
		}
	}
	for w, s := range spans {
		l.gradients = append(l.gradients, *s)
		if c := copies[w]; c != nil && nodes[w].DType() == dtypes.Float32 {
			l.copies = append(l.copies, weight{c.bytes, s.first, s.last})
		}
	}
}

// sublanes are the rows of a register, which the other one of the last two axes is padded to.
const sublanes = 8

// Machine is what of a device matters to what it holds.
type Machine struct {
	Devices   int     // that share the batch
	Gradients float64 // the share of the gradients that each keeps
	Derives   bool    // products compute Derived values while they read them
	Short     bool    // products read float32 as bfloat16
	Recompute bool    // blocks
	Lanes     int     // numbers of a register's row, which one of the last two axes is padded to; 0: no padding
}

// bytes is what a value takes.
func (m Machine) bytes(s shapes.Shape) float64 {
	bytes := float64(s.ByteSize())
	if m.Lanes == 0 || s.Rank() < 2 {
		return bytes
	}
	a, b := s.Dim(-1), s.Dim(-2)
	up := func(n, to int) float64 { return float64((n+to-1)/to*to) / float64(n) }
	return bytes * min(up(a, m.Lanes)*up(b, sublanes), up(b, m.Lanes)*up(a, sublanes))
}

// Holding is what a device holds beside weights and optimizer state at the moment when that is the most, in bytes.
type Holding struct {
	Activations, Passing, Gradients, Copies float64
	Kept                                    map[string]float64 // Activations, by kind
}

// Total is all of it.
func (h Holding) Total() float64 { return h.Activations + h.Passing + h.Gradients + h.Copies }

// Peak finds the moment when a device holds the most.
func (l *Timeline) Peak(m Machine) (most Holding) {
	var then moment
	var back bool
	for _, now := range l.moments {
		for _, backward := range []bool{false, true} {
			if backward && !now.gradient {
				continue
			}
			if h := l.at(m, now, backward, nil); h.Total() > most.Total() {
				most, then, back = h, now, backward
			}
		}
	}
	kinds := map[string]float64{}
	most = l.at(m, then, back, kinds)
	most.Kept = kinds
	return most
}

// at is what is held while a pass is at a layer; kinds, if not nil, gets the activations by kind.
func (l *Timeline) at(m Machine, now moment, backward bool, kinds map[string]float64) Holding {
	share := 1 / float64(max(m.Devices, 1))
	h := Holding{Passing: float64(now.passing) * share}
	if m.Devices > 1 && !backward {
		h.Passing += float64(now.collected)
	}
	for _, k := range l.kept {
		held := k.made <= now.at
		if backward {
			held = k.used <= now.at
		}
		switch {
		case k.derived && m.Derives, k.again && !m.Recompute:
			continue
		case m.Recompute && k.block >= 0: // while the passes are in its block
			held = k.block == now.block && (backward || held)
		}
		if held {
			bytes := m.bytes(k.shape) * share
			if k.operand && m.Short && k.shape.DType == dtypes.Float32 {
				bytes /= 2
			}
			h.Activations += bytes
			if kinds != nil {
				kinds[k.what] += bytes
			}
		}
	}
	for _, c := range l.copies {
		if c.first <= now.at {
			h.Copies += float64(c.bytes)
		}
	}
	if backward {
		for _, w := range l.gradients {
			if w.last >= now.at {
				h.Gradients += float64(w.bytes) * m.Gradients
			}
		}
	}
	return h
}
