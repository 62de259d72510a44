package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Chip is a kind of accelerator, by its maker's data sheet: dense products, one chip.
type Chip struct {
	Name      string
	BF16, F32 float64 // floating-point operations a second; F32: as XLA computes float32 products by default
	Memory    float64 // bytes
	Bandwidth float64 // bytes a second, to memory
	Link      float64 // bytes a second that a chip sends to its neighbours, all links together, one way
	MFU       float64 // share of BF16 or F32 that transformer training usually reaches

	Compiler Compiler
}

// Compiler is what of XLA's compiler for a kind of chip matters to memory.
type Compiler struct {
	Derives, Short bool // see train.Machine
	Lanes          int
}

var (
	forGPU = Compiler{}
	forTPU = Compiler{Derives: true, Short: true, Lanes: 128}
)

// Chips are those that plans are made for. float32 products run as TF32 on GPUs and as one bfloat16
// pass on TPUs unless told otherwise.
var Chips = []Chip{
	{"h100", 989e12, 494e12, 80e9, 3.35e12, 450e9, 0.5, forGPU}, // SXM5, NVLink 4
	{"a100", 312e12, 156e12, 80e9, 2.04e12, 300e9, 0.5, forGPU}, // SXM4 80 GB, NVLink 3
	{"a100-40", 312e12, 156e12, 40e9, 1.555e12, 300e9, 0.5, forGPU},
	{"v5e", 197e12, 197e12, 16 << 30, 819e9, 100e9, 0.55, forTPU},
	{"v5p", 459e12, 459e12, 95 << 30, 2765e9, 300e9, 0.55, forTPU},
	{"v6e", 918e12, 918e12, 32 << 30, 1640e9, 224e9, 0.5, forTPU},
}

// ChipOf finds the kind of chip in what a device says of itself: "NVIDIA H100 80GB HBM3", "TPU v5 lite".
func ChipOf(description string) (Chip, bool) {
	said := strings.ToLower(description)
	for _, c := range []struct{ words, name string }{
		{"h100", "h100"}, {"a100-sxm4-40", "a100-40"}, {"a100-pcie-40", "a100-40"}, {"a100", "a100"},
		{"v5 lite", "v5e"}, {"v5litepod", "v5e"}, {"v5e", "v5e"}, {"v5p", "v5p"}, {"tpu v5", "v5p"}, {"v6 lite", "v6e"}, {"v6e", "v6e"},
	} {
		if strings.Contains(said, c.words) {
			i := slices.IndexFunc(Chips, func(chip Chip) bool { return chip.Name == c.name })
			return Chips[i], true
		}
	}
	return Chip{}, false
}

// Devices is a number of chips of one kind that share their batches.
type Devices struct {
	Chip  Chip
	Count int
}

var sliceName = regexp.MustCompile(`^(.+?)[-x](\d+)$`)

// ParseDevices reads "v5e-8" or "h100x8"; a kind alone is one chip.
func ParseDevices(s string) (Devices, error) {
	kind, count := s, 1
	for _, c := range Chips { // "a100-40" is a kind
		if c.Name == s {
			return Devices{c, 1}, nil
		}
	}
	if m := sliceName.FindStringSubmatch(s); m != nil {
		kind = m[1]
		n, err := strconv.Atoi(m[2])
		if err != nil || n < 1 || n > 1<<16 {
			return Devices{}, fmt.Errorf("device %q: %s is not a number of chips", s, m[2])
		}
		count = n
	}
	var names []string
	for _, c := range Chips {
		if c.Name == kind {
			return Devices{c, count}, nil
		}
		names = append(names, c.Name)
	}
	return Devices{}, fmt.Errorf("device %q: want KIND-COUNT, such as v5e-8 or h100x8, of %v", s, names)
}

// String is the slice's name.
func (s Devices) String() string { return fmt.Sprintf("%s x %d", s.Chip.Name, s.Count) }

// Peak is what a chip computes at most in a precision.
func (c Chip) Peak(precision string) float64 {
	if precision == "bf16" {
		return c.BF16
	}
	return c.F32
}
