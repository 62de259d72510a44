package nn

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	gomlxnn "github.com/gomlx/gomlx/ml/nn"
)

// transposedName is the variable [in, out] that TransposeWeights puts in the place of a Linear's "weight".
const transposedName = "weight_transposed"

func linearKey(path string) string { return "/linear" + strings.ReplaceAll(path, "/", "_") }

// dense is x·weightᵀ + bias of the scope, bias may be nil.
func dense(scope *model.Scope, x *Node, outDim int, bias *Node) *Node {
	if v := scope.GetVariable(transposedName); v != nil {
		weight := v.NodeValue(x.Graph())
		if x.DType() != dtypes.Float32 {
			weight = ConvertDType(weight, x.DType())
		}
		return product(x, weight, bias, compute.DenseLayoutInputOutputs)
	}
	weight := Param(scope, "weight", x, InitNormal, outDim, x.Shape().Dim(-1))
	path := scope.GetVariable("weight").Path()
	scope.Store().SetParam(linearKey(path), true)
	return product(x, weight, bias, compute.DenseLayoutOutputsInput)
}

// product is x times the weight of a layout, plus bias, which may be nil.
func product(x, weight, bias *Node, layout compute.DenseLayout) *Node {
	out := gomlxnn.Dense(x, weight, bias, layout)
	multiplies("inputs of products", out, x, bytesOf(x)+bytesOf(out), weight)
	return out
}

// TransposeWeights turns the weights of every Linear of a loaded model from PyTorch's [out, in] to [in, out],
// for use without training: XLA on a processor transposes a weight [out, in] anew in every product of
// more than one row, which costs four times the product itself where rows are few. The store is no
// checkpoint afterwards.
func TransposeWeights(backend compute.Backend, store *model.Store) error {
	exec, err := NewExec(backend, func(x *Node) *Node { return TransposeAllAxes(x, 1, 0) })
	if err != nil {
		return err
	}
	defer exec.Finalize()
	exec.SetMaxCache(-1) // a graph for every shape
	var weights []*model.Variable
	for v := range store.IterVariables() {
		if _, linear := store.GetParam(linearKey(v.Path())); linear && v.HasValue() {
			weights = append(weights, v)
		}
	}
	for _, v := range weights {
		value, err := v.Value()
		if err != nil {
			return err
		}
		transposed, err := exec.Call1(value)
		if err != nil {
			return fmt.Errorf("variable %s: %w", v.Path(), err)
		}
		path := strings.TrimSuffix(v.Path(), "weight") + transposedName
		if err := store.DeleteVariable(v.Path()); err != nil {
			return err
		}
		if err := value.FinalizeAll(); err != nil { // now: the collector does not see the device's memory
			return err
		}
		if _, err := store.CreateVariable(path, transposed); err != nil {
			return err
		}
	}
	return nil
}
