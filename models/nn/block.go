package nn

import . "github.com/gomlx/gomlx/core/graph"

// blockKey is where a graph keeps whether its blocks are computed again.
type blockKey struct{}

// Recompute makes the backward pass compute the inside of every Block again instead of keeping it
// (gradient checkpointing, https://arxiv.org/abs/1604.06174): a third more arithmetic at most, for
// activations of one block at a time. Call it before anything else.
func Recompute(g *Graph) { g.AttachState(blockKey{}, true) }

func recomputed(g *Graph) bool { return g.State(blockKey{}) != nil }

// Block is one block of a transformer: x -> f(x).
func Block(x *Node, f func(x *Node) *Node) *Node {
	l := ledger(x.Graph())
	if l != nil {
		l.inside = true
	}
	var out *Node
	if recomputed(x.Graph()) {
		out = f(x.Checkpoint()).StopCheckpoint()
	} else {
		out = f(x)
	}
	if l != nil {
		l.inside = false
		l.Blocks = append(l.Blocks, Span{x, out})
	}
	return out
}

// Kept is a value from the inside of a Block that is used outside of it, and therefore kept.
func Kept(x *Node) *Node {
	if !recomputed(x.Graph()) {
		return x
	}
	return x.StopCheckpoint()
}
