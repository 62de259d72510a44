// Package nn holds the few layers that every model shares.
//
//	nn.go        Linear, LayerNorm, Embedding, PatchEmbedding: PyTorch names and layout
//	attention.go multi-head attention over [batch, heads, seq, head_dim], its weights, masks
//	precision.go the type that a graph computes in
//	gradient.go  gradients of whole formulas
//	block.go     transformer blocks that the backward pass computes again
//	transposed.go the layout of weights for use without training
//	dropout.go   Dropout and the random stream of a training graph
//	ledger.go    what layers keep for their gradients
//	init.go      initial values, computed on the host, equal on every backend
//	loss.go      cross entropy with label smoothing; head.go, over a large vocabulary
//
// Variables carry the names and the layout of a PyTorch state dict ("weight" [out, in],
// "bias" [out]), so a Hugging Face tensor name is our variable path with "." replaced by "/".
// Layers use Scope.At, never Scope.In: one function may be called several times in a graph
// (the Q-Former runs four times in stage 1) and always means the same weights.
package nn

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Linear returns x·weightᵀ + bias: [..., in] -> [..., outDim].
func Linear(scope *model.Scope, x *Node, outDim int) *Node {
	return dense(scope, x, outDim, Param(scope, "bias", x, InitZeros, outDim))
}

// LinearNoBias returns x·weightᵀ: [..., in] -> [..., outDim].
func LinearNoBias(scope *model.Scope, x *Node, outDim int) *Node {
	return dense(scope, x, outDim, nil)
}

// TiedHead projects x on the rows of an embedding table: [..., dim] x [vocab, dim] -> [..., vocab].
func TiedHead(table, x *Node) *Node {
	if table.DType() != x.DType() {
		table = ConvertDType(table, x.DType())
	}
	return product(x, table, nil, compute.DenseLayoutOutputsInput)
}

// LayerNorm normalizes the last axis of x, in float32: [..., dim] -> [..., dim].
// eps has no default: every family of checkpoints has its own.
func LayerNorm(scope *model.Scope, x *Node, eps float64) *Node {
	dim := x.Shape().Dim(-1)
	return Normed(x, Param32(scope, "weight", x, InitOnes, dim), Param32(scope, "bias", x, InitZeros, dim), eps)
}

// Normed is LayerNorm with a weight and bias [dim] of the caller's.
func Normed(x, weight, bias *Node, eps float64) *Node {
	normed := Mul(normalized(single(x), eps), ExpandLeftToRank(single(weight), x.Rank()))
	out := ConvertDType(Add(normed, ExpandLeftToRank(single(bias), x.Rank())), x.DType())
	Keeps("inputs of norms", out, x, 2*bytesOf(x), x, weight, bias)
	return out
}

// EmbeddingTable is the weight of an Embedding as it is stored: [vocab, dim]. Lookup and Compute bring
// rows of it to the type that the graph computes in, so that their gradients add up in the table's.
func EmbeddingTable(scope *model.Scope, g GraphProvider, vocab, dim int) *Node {
	return param(scope, "weight", g, dtypes.InvalidDType, InitNormal, vocab, dim)
}

// Lookup takes rows of a table: table [vocab, dim], ids [...] -> [..., dim].
func Lookup(table, ids *Node) *Node { return Compute(Rows(table, ids)) }

// Rows is Lookup in the table's own type.
func Rows(table, ids *Node) *Node { return Gather(table, InsertAxes(ids, -1)) }

// WithFirst replaces the first column, [CLS] by [DEC] for instance: ids int32 [batch, text].
func WithFirst(ids *Node, id int) *Node {
	batch := ids.Shape().Dim(0)
	first := BroadcastToDims(Reshape(ConstAs(ids, id), 1, 1), batch, 1)
	return Concatenate([]*Node{first, Slice(ids, AxisRange(), AxisRange(1))}, 1)
}

// PatchEmbedding is the convolution of a ViT whose stride is its kernel, as one product:
// pixels [batch, 3, height, width] -> [batch, patches, hidden], patches row by row.
// The weight keeps the convolution's layout [hidden, 3, patch, patch].
func PatchEmbedding(scope *model.Scope, pixels *Node, patch, hidden int, withBias bool) *Node {
	dims := pixels.Shape().Dimensions
	if len(dims) != 4 || dims[2]%patch != 0 || dims[3]%patch != 0 {
		exceptions.Panicf("PatchEmbedding: pixels %s do not divide into patches of %d", pixels.Shape(), patch)
	}
	batch, channels, rows, cols := dims[0], dims[1], dims[2]/patch, dims[3]/patch
	x := Reshape(pixels, batch, channels, rows, patch, cols, patch)
	x = TransposeAllAxes(x, 0, 2, 4, 1, 3, 5) // [batch, rows, cols, channels, patch, patch]
	x = Reshape(x, batch, rows*cols, channels*patch*patch)
	weight := Param(scope, "weight", x, InitNormal, hidden, channels, patch, patch)
	var bias *Node
	if withBias {
		bias = Param(scope, "bias", x, InitZeros, hidden)
	}
	return product(x, Reshape(weight, hidden, channels*patch*patch), bias, compute.DenseLayoutOutputsInput)
}

// Activation applies the function that a config.json names: "gelu" (erf), "quick_gelu", "relu",
// "gelu_new" or "gelu_pytorch_tanh".
func Activation(name string, x *Node) *Node {
	out := activate(name, x)
	Keeps("inputs of activations", out, x, 2*bytesOf(x), x)
	derive(out)
	return out
}

func activate(name string, x *Node) *Node {
	switch name {
	case "gelu":
		return activation.Gelu(x)
	case "gelu_new", "gelu_pytorch_tanh":
		return activation.GeluApproximate(x)
	case "quick_gelu": // OpenAI's CLIP
		return Mul(x, Sigmoid(MulScalar(x, 1.702)))
	case "relu":
		return activation.Relu(x)
	}
	exceptions.Panicf("activation %q is not known (gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, relu)", name)
	return nil
}

// KnownActivation says whether Activation accepts the name; configs check it before any graph.
func KnownActivation(name string) bool {
	switch name {
	case "gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu":
		return true
	}
	return false
}

// Normalize scales the last axis to unit length, as torch's F.normalize: [..., dim] -> float32 [..., dim].
func Normalize(x *Node) *Node {
	x = single(x)
	norm := Sqrt(ReduceAndKeep(Square(x), ReduceSum, -1))
	return Div(x, MaxScalar(norm, 1e-12))
}

// Param is a variable of like's dtype in the graph of like.
func Param(scope *model.Scope, name string, like *Node, init Init, dims ...int) *Node {
	return param(scope, name, like, like.DType(), init, dims...)
}

// Param32 is a variable used in float32, whatever the graph computes in: scales, queues, norms.
func Param32(scope *model.Scope, name string, g GraphProvider, init Init, dims ...int) *Node {
	return param(scope, name, g, dtypes.Float32, init, dims...)
}

// param converts a variable to dtype at its use; InvalidDType leaves it as it is stored.
func param(scope *model.Scope, name string, g GraphProvider, dtype dtypes.DType, init Init, dims ...int) *Node {
	// What is trained is float32; what is frozen may be stored in a shorter type.
	shape := shapes.Make(dtypes.Float32, dims...)
	if have := scope.GetVariable(name); have != nil && have.DType().IsFloat() {
		shape.DType = have.DType()
	}
	v := scope.VariableWithShape(name, shape)
	if _, known := scope.Store().GetParam(initKey(v.Path())); !known { // a CopyOf keeps its own
		scope.Store().SetParam(initKey(v.Path()), init)
	}
	node := v.NodeValue(g.Graph())
	if dtype != dtypes.InvalidDType && dtype != node.DType() {
		node = ConvertDType(node, dtype)
	}
	return node
}

// PixelValues turns 8-bit pictures into a model's input, on the device: u8 [batch, height, width, 3]
// -> [batch, 3, height, width], scaled to 0..1, then (x-mean)/std per channel, in the type that the
// graph computes in.
func PixelValues(u8 *Node, mean, std [3]float64) *Node {
	g := u8.Graph()
	x := TransposeAllAxes(ConvertDType(u8, dtypes.Float32), 0, 3, 1, 2)
	scale, shift := make([]float32, 3), make([]float32, 3)
	for c := range 3 {
		scale[c] = float32(1 / (255 * std[c]))
		shift[c] = float32(-mean[c] / std[c])
	}
	channel := func(v []float32) *Node { return Reshape(Const(g, v), 1, 3, 1, 1) }
	return Compute(Add(Mul(x, channel(scale)), channel(shift)))
}
