package pjrt

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
)

// The gradient of a product of short floats that adds up in float32 is, as GoMLX writes it, a product
// of the same numbers widened to float32. A GPU would compute it without its matrix units, at a
// fifteenth of their speed, from float32 copies of weights and activations. The product of the short
// numbers, added up in float32, is the same number for number: float32 holds a product of two of
// them exactly.

// ConvertDType remembers which values are short floats that were widened.
func (f *function) ConvertDType(x compute.Value, to dtypes.DType) (compute.Value, error) {
	wide, err := f.Function.ConvertDType(x, to)
	if err == nil && to == dtypes.Float32 && f.short {
		if shape, err := f.Shape(x); err == nil && shape.DType.IsHalfPrecision() {
			f.widened[wide] = x
		}
	}
	return wide, err
}

// DotGeneral multiplies widened numbers as the short ones that they are.
func (f *function) DotGeneral(lhs compute.Value, lhsContracting, lhsBatch []int, rhs compute.Value, rhsContracting, rhsBatch []int,
	config compute.DotGeneralConfig) (compute.Value, error) {
	l, r := f.widened[lhs], f.widened[rhs]
	if l != nil && r != nil && (config.OutputDType == dtypes.InvalidDType || config.OutputDType == dtypes.Float32) {
		left, err := f.Shape(l)
		if err != nil {
			return nil, err
		}
		if right, err := f.Shape(r); err == nil && left.DType == right.DType {
			lhs, rhs = l, r
			config.AccumulatorDType, config.OutputDType = dtypes.Float32, dtypes.Float32
		}
	}
	if shape, err := f.Shape(lhs); err == nil && f.short && shape.DType.IsHalfPrecision() && config.AccumulatorDType == dtypes.Float32 {
		config.AccumulatorDType = dtypes.InvalidDType // GPUs and TPUs do, and a GPU refuses the demand
	}
	return f.Function.DotGeneral(lhs, lhsContracting, lhsBatch, rhs, rhsContracting, rhsBatch, config)
}
