package nn

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// Ledger lists what the layers of a graph need of the forward pass when gradients come back to them, as each
// layer reports it while it is built. What a step's memory is made of is read from it, with names,
// without compiling anything.
type Ledger struct {
	Entries []Entry
	Blocks  []Span // see Block

	inside  bool // of a block
	derived map[*Node]bool
}

// Entry is what a layer keeps of one value.
type Entry struct {
	What  string
	Value *Node   // nil: nothing is kept
	For   []*Node // it is kept where a gradient flows into one of them
	At    *Node   // the layer's output: its place in the passes
	Block int     // of Blocks; -1: none

	// Passing are bytes that live while a pass is at the layer. Collected are those of them that each of
	// several devices holds whole, since it needs rows of all.
	Passing, Collected int

	// Operand: products alone need it. Devices that multiply shorter numbers than they are given keep those.
	Operand bool

	// Derived: element by element a function of what is kept anyway, or a hash. Compilers whose products
	// compute such numbers while they read them do not keep it.
	Derived bool
}

// Span is a block: its input, and its output.
type Span struct{ In, Out *Node }

// ledgerKey is where a graph keeps its Ledger.
type ledgerKey struct{}

// Record makes the layers of a graph report what they keep. Call it before anything else.
func Record(g *Graph) *Ledger {
	l := &Ledger{derived: map[*Node]bool{}}
	g.AttachState(ledgerKey{}, l)
	return l
}

// ledger is the graph's, or nil.
func ledger(g *Graph) *Ledger {
	l, _ := g.State(ledgerKey{}).(*Ledger)
	return l
}

// Keeps reports that the gradient of a formula, whose output is at, needs a value where it flows into one of
// into; passing are bytes that live while a pass is there. Models call it for formulas of their own.
func Keeps(what string, at, value *Node, passing int, into ...*Node) {
	report(Entry{What: what, Value: value, For: into, At: at, Passing: passing})
}

// multiplies is Keeps for what a product reads.
func multiplies(what string, at, value *Node, passing int, into ...*Node) {
	report(Entry{What: what, Value: value, For: into, At: at, Passing: passing, Operand: true})
}

// Collects reports that at takes rows of a value which several devices have parts of.
func Collects(at, value *Node) {
	report(Entry{What: "collected rows", At: at, Collected: bytesOf(value)})
}

func report(e Entry) {
	l := ledger(e.At.Graph())
	if l == nil {
		return
	}
	e.Block, e.Derived = -1, e.Derived || e.Value != nil && isDerived(e.Value)
	if l.inside {
		e.Block = len(l.Blocks)
	}
	l.Entries = append(l.Entries, e)
}

// derive marks a value as Derived wherever it is kept.
func derive(x *Node) {
	if l := ledger(x.Graph()); l != nil {
		l.derived[Origin(x)] = true
	}
}

func isDerived(x *Node) bool {
	l := ledger(x.Graph())
	return l != nil && l.derived[Origin(x)]
}

// Origin is the value that x shows in another shape.
func Origin(x *Node) *Node {
	for {
		switch x.Type() {
		case NodeTypeReshape, NodeTypeTranspose, NodeTypeOptimizationBarrier, NodeTypeIdentity:
			if len(x.Inputs()) != 1 || x.StopGradient() {
				return x
			}
			x = x.Inputs()[0]
		default:
			return x
		}
	}
}

// bytesOf is what a value takes.
func bytesOf(x *Node) int { return int(x.Shape().ByteSize()) }
