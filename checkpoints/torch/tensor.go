package torch

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"goblip/checkpoints/pickle"
)

const (
	// maxRank bounds dimensions. Torch itself allows 64.
	maxRank = 16

	// maxExpanded bounds, in elements, a view that repeats the elements of its storage. Nothing in the
	// file backs its size.
	maxExpanded = 1 << 26
)

// storage is a run of bytes in the file that tensors are views of.
type storage struct {
	dtype dtypes.DType
	from  io.ReaderAt // nil until it is known where the bytes are
	begin int64       // of the first byte, in from
	size  int64       // bytes
}

// tensor is a view of a storage: element i, j, ... is number offset + i*strides[0] + j*strides[1] + ...
type tensor struct {
	storage *storage
	shape   shapes.Shape
	offset  int64
	strides []int64
}

// rebuildTensor stands for _rebuild_tensor_v2(storage, offset, size, stride, ...); what follows are
// requires_grad, hooks and metadata.
func rebuildTensor(args pickle.Tuple) (any, error) {
	if len(args) < 4 {
		return nil, errors.New("_rebuild_tensor_v2: too few arguments")
	}
	s, ok := args[0].(*storage)
	if !ok {
		return nil, errors.New("_rebuild_tensor_v2: the first argument is no storage")
	}
	return newTensor(s, s.dtype, args)
}

// rebuildTyped stands for _rebuild_tensor_v3, whose seventh argument is the element type.
func rebuildTyped(args pickle.Tuple) (any, error) {
	if len(args) < 7 {
		return nil, errors.New("_rebuild_tensor_v3: too few arguments")
	}
	s, ok := args[0].(*storage)
	dtype, ok2 := args[6].(elementClass)
	if !ok || !ok2 {
		return nil, errors.New("_rebuild_tensor_v3: no storage or no dtype among the arguments")
	}
	return newTensor(s, dtypes.DType(dtype), args)
}

// rebuildParameter stands for _rebuild_parameter(data, requires_grad, hooks): the data.
func rebuildParameter(args pickle.Tuple) (any, error) {
	if len(args) > 0 {
		if t, ok := args[0].(*tensor); ok {
			return t, nil
		}
	}
	return nil, errors.New("_rebuild_parameter: the first argument is no tensor")
}

// rebuildFromType stands for _rebuild_from_type_v2(function, type, arguments, attributes), of a
// tensor that was given attributes.
func rebuildFromType(args pickle.Tuple) (any, error) {
	if len(args) < 3 {
		return nil, errors.New("_rebuild_from_type_v2: too few arguments")
	}
	function, ok := args[0].(pickle.Callable)
	inner, ok2 := args[2].(pickle.Tuple)
	if !ok || !ok2 {
		return nil, errors.New("_rebuild_from_type_v2: no function or no arguments")
	}
	return function(inner)
}

// newTensor checks a view against the size that its storage says it has.
func newTensor(s *storage, dtype dtypes.DType, args pickle.Tuple) (*tensor, error) {
	offset, ok := args[1].(int64)
	size, ok2 := args[2].(pickle.Tuple)
	stride, ok3 := args[3].(pickle.Tuple)
	switch {
	case !ok || !ok2 || !ok3 || offset < 0 || len(size) != len(stride):
		return nil, errors.New("a tensor's offset, size and stride make no sense")
	case len(size) > maxRank:
		return nil, fmt.Errorf("%d dimensions are more than %d", len(size), maxRank)
	}
	t := &tensor{storage: s, offset: offset, shape: shapes.Shape{DType: dtype, Dimensions: make([]int, len(size))}, strides: make([]int64, len(size))}
	elements, last := int64(1), offset // their number, and the place of the last one
	for i := range size {
		n, ok := size[i].(int64)
		step, ok2 := stride[i].(int64)
		if !ok || !ok2 || n < 0 || n > math.MaxInt32 || step < 0 || step > math.MaxInt64/math.MaxInt32 {
			return nil, fmt.Errorf("dimension %d of size %v with stride %v is out of range", i, size, stride)
		}
		if n > 0 && elements > math.MaxInt64/16/n {
			return nil, fmt.Errorf("size %v is too large", size)
		}
		elements *= n
		if n > 0 {
			if last > math.MaxInt64-(n-1)*step {
				return nil, fmt.Errorf("size %v with stride %v is too large", size, stride)
			}
			last += (n - 1) * step
		}
		t.shape.Dimensions[i], t.strides[i] = int(n), step
	}
	if elements == 0 {
		return t, nil
	}
	held := s.size / int64(dtype.Size())
	switch {
	case last >= held:
		return nil, fmt.Errorf("a tensor of size %v, offset %d and stride %v reaches element %d of a storage of %d", size, offset, stride, last, held)
	case elements > held && elements > maxExpanded:
		return nil, fmt.Errorf("a tensor of size %v repeats the %d elements of its storage too often", size, held)
	}
	return t, nil
}

// dense tells whether the elements follow one another in the storage.
func (t *tensor) dense() bool {
	next := int64(1)
	for i := len(t.strides) - 1; i >= 0; i-- {
		n := int64(t.shape.Dimensions[i])
		if n != 1 && t.strides[i] != next {
			return false
		}
		next *= n
	}
	return true
}

// read gathers the elements.
func (t *tensor) read() (*tensors.Tensor, error) {
	out := tensors.FromShape(t.shape)
	if t.shape.Size() == 0 {
		return out, nil
	}
	if t.storage.from == nil {
		return nil, errors.New("its storage is not in the file")
	}
	var inner error
	err := out.MutableBytes(func(to []byte) {
		if t.dense() {
			inner = t.readAt(to, t.offset)
		} else {
			inner = t.gather(to)
		}
		if inner == nil && t.shape.DType == dtypes.Bool {
			inner = checkBools(to)
		}
	})
	return out, errors.Join(err, inner)
}

// readAt fills to with the elements from number first on.
func (t *tensor) readAt(to []byte, first int64) error {
	_, err := t.storage.from.ReadAt(to, t.storage.begin+first*int64(t.shape.DType.Size()))
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// gather copies the elements of a view one by one, out of the part of the storage that it spans.
func (t *tensor) gather(to []byte) error {
	width := int64(t.shape.DType.Size())
	span := int64(1)
	for i, n := range t.shape.Dimensions {
		span += int64(n-1) * t.strides[i]
	}
	from := make([]byte, span*width)
	if err := t.readAt(from, t.offset); err != nil {
		return err
	}
	index := make([]int, len(t.strides))
	at := int64(0) // element of from
	for i := 0; i < len(to); i += int(width) {
		copy(to[i:i+int(width)], from[at*width:])
		for axis := len(index) - 1; axis >= 0; axis-- {
			index[axis]++
			at += t.strides[axis]
			if index[axis] < t.shape.Dimensions[axis] {
				break
			}
			at -= int64(index[axis]) * t.strides[axis]
			index[axis] = 0
		}
	}
	return nil
}

// checkBools refuses what Go would not take for a bool.
func checkBools(data []byte) error {
	for _, b := range data {
		if b > 1 {
			return fmt.Errorf("a bool is %d, neither 0 nor 1", b)
		}
	}
	return nil
}
