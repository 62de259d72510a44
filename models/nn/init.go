package nn

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Init names the distribution a variable starts from.
type Init int

const (
	InitZeros       Init = iota // biases, LayerNorm's bias
	InitOnes                    // LayerNorm's weight
	InitNormal                  // N(0, initializer_range): BERT, ViT, OPT, query tokens
	InitGrid                    // ViT positions: zero for the class token, then 2-D sines and cosines
	InitTemperature             // the contrastive temperature of BLIP, 0.07
	InitLogitScale              // CLIP's logit_scale, ln(1/0.07)
	InitQueue                   // normal, then columns of unit length: BLIP's queues of features [dim, queue]
)

// InitializerRange is BERT's standard deviation of Normal, config.json's "initializer_range".
const InitializerRange = 0.02

func initKey(path string) string {
	return "/init" + strings.ReplaceAll(path, "/", "_")
}

// declared stops a graph function after it built its nodes: see Declare.
type declared struct{}

func (declared) Error() string { return "declared" }

// Declare runs a graph function for its variables alone: they exist in the store afterwards, with
// shapes but without values, and nothing was compiled. inputs are the shapes of its arguments.
func Declare(backend compute.Backend, store *model.Store, fn func(scope *model.Scope, inputs []*Node), inputs ...shapes.Shape) (err error) {
	done := false
	exec, err := model.NewExec(backend, store, func(scope *model.Scope, inputs []*Node) []*Node {
		fn(scope, inputs)
		done = true
		panic(declared{})
	})
	if err != nil {
		return err
	}
	defer exec.Finalize()
	defer func() { // a backend may let the panic through
		if r := recover(); r != nil && !done {
			err = fmt.Errorf("%v", r)
		}
	}()
	if _, err = exec.Compile(inputs...); done {
		return nil
	}
	return err
}

// Initialize gives every variable under the root path that has no value yet its initial one.
// Values depend on seed and the variable's path alone: not on the backend, the number of devices
// or the order of creation. initializerRange is the standard deviation of Normal; 0: InitializerRange.
func Initialize(store *model.Store, seed uint64, initializerRange float64) error {
	if initializerRange == 0 {
		initializerRange = InitializerRange
	}
	var copies []*model.Variable
	for v := range store.IterVariables() {
		if v.HasValue() {
			continue
		}
		kind, found := store.GetParam(initKey(v.Path()))
		if !found {
			return fmt.Errorf("variable %s has no initial distribution", v.Path())
		}
		if _, isCopy := kind.(copyOf); isCopy {
			copies = append(copies, v)
			continue
		}
		if v.Shape().DType != dtypes.Float32 { // Numbers
			if err := v.SetValue(tensors.FromShape(v.Shape())); err != nil {
				return err
			}
			continue
		}
		values := make([]float32, v.Shape().Size())
		switch kind.(Init) {
		case InitOnes:
			for i := range values {
				values[i] = 1
			}
		case InitNormal:
			normal(values, v.Path(), seed, initializerRange)
		case InitGrid:
			fillGrid(values, v.Shape().Dim(-1))
		case InitQueue:
			normal(values, v.Path(), seed, 1)
			unitColumns(values, v.Shape().Dim(-1))
		case InitTemperature:
			values[0] = 0.07
		case InitLogitScale:
			values[0] = 2.6592
		}
		if err := v.SetValue(tensors.FromFlatDataAndDimensions(values, v.Shape().Dimensions...)); err != nil {
			return err
		}
	}
	for _, v := range copies {
		kind, _ := store.GetParam(initKey(v.Path()))
		value, err := store.GetVariable(string(kind.(copyOf))).Value()
		if err == nil {
			value, err = value.LocalClone()
		}
		if err == nil {
			err = v.SetValue(value)
		}
		if err != nil {
			return fmt.Errorf("variable %s: %w", v.Path(), err)
		}
	}
	return nil
}

// copyOf is the initial "distribution" of a variable that starts as another one, by path.
type copyOf string

// CopyOf is a variable of the shape of another one that starts with its value: the momentum copy of a
// weight.
func CopyOf(scope *model.Scope, name string, of *model.Variable) *model.Variable {
	v := scope.VariableWithShape(name, of.Shape())
	scope.Store().SetParam(initKey(v.Path()), copyOf(of.Path()))
	return v
}

// Numbers are n whole numbers that steps carry on, from 0: a variable int32 [n].
func Numbers(scope *model.Scope, name string, n int) *model.Variable {
	v := scope.VariableWithShape(name, shapes.Make(dtypes.Int32, n))
	scope.Store().SetParam(initKey(v.Path()), InitZeros)
	return v
}

// normal draws values that depend on seed and path alone.
func normal(values []float32, path string, seed uint64, deviation float64) {
	h := fnv.New64a()
	h.Write([]byte(path))
	rng := rand.New(rand.NewPCG(seed, h.Sum64()))
	for i := range values {
		values[i] = float32(rng.NormFloat64() * deviation)
	}
}

// unitColumns gives the columns of a matrix unit length.
func unitColumns(values []float32, columns int) {
	for c := range columns {
		norm := 0.0
		for i := c; i < len(values); i += columns {
			norm += float64(values[i]) * float64(values[i])
		}
		for i := c; i < len(values); i += columns {
			values[i] /= float32(math.Sqrt(norm) + 1e-12)
		}
	}
}

// StepRNG is the random stream of one training step: a function of seed and step alone.
func StepRNG(seed uint64, step int) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15^uint64(step)))
	state := make([]uint64, RNGStateShape.Size())
	for i := range state {
		state[i] = rng.Uint64()
	}
	return tensors.FromFlatDataAndDimensions(state, RNGStateShape.Dimensions...)
}

// fillGrid starts a ViT's learned positions as sines and cosines of row and column (Beyer et al.,
// https://arxiv.org/abs/2205.01580): with N(0, 0.02) a briefly trained tower hardly knows where
// things are. values are [1+side*side, hidden], the class token's first.
func fillGrid(values []float32, hidden int) {
	side := int(math.Round(math.Sqrt(float64(len(values)/hidden - 1))))
	frequencies := hidden / 4
	for row := range side {
		for col := range side {
			at := values[(1+row*side+col)*hidden:]
			for k := range frequencies {
				rate := math.Pow(10000, -float64(k)/float64(max(frequencies-1, 1)))
				for part, x := range []float64{float64(row), float64(col)} {
					sin, cos := math.Sincos(x * rate)
					at[(2*part)*frequencies+k], at[(2*part+1)*frequencies+k] = float32(sin), float32(cos)
				}
			}
		}
	}
}
