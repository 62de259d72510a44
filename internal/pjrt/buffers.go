package pjrt

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/go-xla/compute/xla"
)

// buffer is go-xla's buffer with the backend that GoMLX knows: it asks a tensor's buffer whose it is.
type buffer struct {
	*xla.Buffer
	backend *backend
	shared  bool // with the host, which owns the memory: no program may keep it
}

func (b *buffer) Backend() compute.Backend { return b.backend }

func (b *buffer) CopyToDevice(device compute.DeviceNum) (compute.Buffer, error) {
	c, err := b.Buffer.CopyToDevice(device)
	return b.backend.wrap(c, false), err
}

// wrap is nil for nil.
func (b *backend) wrap(c compute.Buffer, shared bool) compute.Buffer {
	if x, ok := c.(*xla.Buffer); ok && x != nil {
		return &buffer{x, b, shared}
	}
	return nil
}

// BufferFromFlatData is go-xla's.
func (b *backend) BufferFromFlatData(device compute.DeviceNum, flat any, shape shapes.Shape) (compute.Buffer, error) {
	c, err := b.Backend.BufferFromFlatData(device, flat, shape)
	return b.wrap(c, false), err
}

// NewSharedBuffer is go-xla's.
func (b *backend) NewSharedBuffer(device compute.DeviceNum, shape shapes.Shape) (compute.Buffer, any, error) {
	c, flat, err := b.Backend.NewSharedBuffer(device, shape)
	return b.wrap(c, true), flat, err
}

// executable unwraps what goes in and wraps what comes out.
type executable struct {
	compute.Executable
	backend *backend
}

func (e *executable) Execute(inputs []compute.Buffer, donate []bool, device compute.DeviceNum) ([]compute.Buffer, error) {
	inner := make([]compute.Buffer, len(inputs))
	given := make([]bool, len(donate))
	for i, in := range inputs {
		b, ok := in.(*buffer)
		if !ok {
			return nil, fmt.Errorf("input %d is a %T of another backend", i, in)
		}
		inner[i] = b.Buffer
		// What shares memory with the host is copied instead of written over.
		if i < len(donate) {
			given[i] = donate[i] && !b.shared
		}
	}
	outputs, err := e.Executable.Execute(inner, given, device)
	for i := range outputs {
		outputs[i] = e.backend.wrap(outputs[i], false)
	}
	return outputs, err
}
