package pjrt

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/stablehlo"
)

// Exporter is a backend that compiles nothing: it hands out the programs that would be compiled, as
// they have to be for a GPU or a TPU. Those differ from what go-xla writes for its CPU plugin:
//
//   - products of short floats stay such (products.go); for the CPU go-xla demands an algorithm with
//     float32 operands, which a GPU refuses.
//   - barriers, which keep XLA from undoing the recomputation of activations, are left out for the CPU
//     where they have one operand.
type Exporter struct {
	*backend
	devices int
	program []byte
}

// NewExporter exports for a number of devices, which need not be here. b is what Open returned.
func NewExporter(b compute.Backend, devices int) (*Exporter, error) {
	x, ok := b.(*backend)
	if !ok {
		return nil, fmt.Errorf("exporting a program needs the XLA plugin, the %s backend has none; run: goblip setup cpu", b.Name())
	}
	if devices < 1 {
		return nil, fmt.Errorf("%d devices: must be at least 1", devices)
	}
	return &Exporter{backend: x, devices: devices}, nil
}

// Export returns the StableHLO text of the program that build compiles on this backend.
func (e *Exporter) Export(build func() error) ([]byte, error) {
	e.program = nil
	if err := build(); e.program == nil {
		return nil, errors.Join(errors.New("no program was compiled"), err)
	}
	return e.program, nil
}

// NumDevices is how many devices programs are exported for.
func (e *Exporter) NumDevices() int { return e.devices }

// Builder builds a program to be exported.
func (e *Exporter) Builder(name string) compute.Builder {
	inner, _ := e.backend.Builder(name).(*builder)
	return &exporting{builder: inner, exporter: e}
}

type exporting struct {
	*builder
	exporter *Exporter
	main     *exported
	stand    int // devices of the mesh that go-xla was given instead
}

// DistributedAutoSharding builds for a mesh that the devices here can make up; Compile puts the right
// number into the text, which is the same otherwise.
func (b *exporting) DistributedAutoSharding(meshes ...compute.Mesh) error {
	if len(meshes) != 1 || len(meshes[0].AxesSizes) != 1 {
		return fmt.Errorf("only meshes of one axis can be exported")
	}
	stand := meshes[0]
	b.stand = stand.AxesSizes[0]
	if have := b.exporter.backend.NumDevices(); b.stand > have {
		b.stand = min(2, have)
		if b.stand < 2 || stand.AxesSizes[0]%2 != 0 {
			return fmt.Errorf("%d devices can be exported only where there are two, and in even numbers", stand.AxesSizes[0])
		}
	}
	stand.AxesSizes = []int{b.stand}
	stand.LogicalDeviceAssignment = nil
	return b.builder.DistributedAutoSharding(stand)
}

func (b *exporting) DeviceAssignment(...compute.DeviceNum) error { return nil }

func (b *exporting) Main() compute.Function {
	if b.main == nil {
		inner, _ := b.builder.Main().(*function)
		inner.short = true
		b.main = &exported{inner}
	}
	return b.main
}

// errExported ends a compilation.
var errExported = errors.New("exported")

func (b *exporting) Compile() (compute.Executable, error) {
	b.mark()
	text := hidden[stablehlo.Builder](b.builder.Builder, "builder")
	if text == nil {
		return nil, errors.New("this version of go-xla keeps its programs elsewhere")
	}
	program, err := text.Build()
	if err != nil {
		return nil, err
	}
	if n := b.exporter.devices; b.stand > 0 && b.stand != n {
		replace := func(before, after string) {
			from, to := before+strconv.Itoa(b.stand)+after, before+strconv.Itoa(n)+after
			program = bytes.Replace(program, []byte(from), []byte(to), 1)
		}
		replace("stablehlo.num_partitions = ", "")
		replace("=", "]>") // sdy.mesh @mesh = <["data"=2]>
	}
	b.exporter.program = program
	return nil, errExported
}

// exported is the main function of an exported program.
type exported struct{ *function }

// OptimizationBarrier gives a lone operand company.
func (f *exported) OptimizationBarrier(operands ...compute.Value) ([]compute.Value, error) {
	if len(operands) != 1 {
		return f.function.OptimizationBarrier(operands...)
	}
	one, err := f.Constant([]int32{1})
	if err != nil {
		return nil, err
	}
	both, err := f.function.OptimizationBarrier(operands[0], one)
	if err != nil {
		return nil, err
	}
	return both[:1], nil
}

// SchedulingBarrier holds operand back until the dependencies are there.
func (f *exported) SchedulingBarrier(operand compute.Value, dependencies ...compute.Value) (compute.Value, error) {
	all, err := f.OptimizationBarrier(append([]compute.Value{operand}, dependencies...)...)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}
