package convert

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"goblip/checkpoints"
)

// Proof is what Compare found.
type Proof struct {
	Tensors    int      `json:"tensors"`
	Bytes      int64    `json:"bytes"`
	Largest    float64  `json:"largest_difference"` // between numbers of floating-point tensors
	LargestIn  string   `json:"largest_in,omitempty"`
	Different  []string `json:"different,omitempty"`  // tensors that are not equal byte for byte
	Missing    []string `json:"missing,omitempty"`    // tensors that only the first has
	Unexpected []string `json:"unexpected,omitempty"` // tensors that only the second has
}

// Equal says that both have the same tensors, byte for byte.
func (p *Proof) Equal() bool { return len(p.Different)+len(p.Missing)+len(p.Unexpected) == 0 }

// Compare reads all tensors of two models, those for training too. done, if not nil, hears of progress.
func Compare(a, b *Model, done func(done, total int)) (*Proof, error) {
	p := &Proof{}
	total := len(a.Tensors) + len(a.Pretraining)
	for _, pair := range [][2]map[string]checkpoints.Deferred{{a.Tensors, b.Tensors}, {a.Pretraining, b.Pretraining}} {
		for _, x := range sorted(pair[0]) {
			y, ok := pair[1][x.Name]
			if !ok {
				p.Missing = append(p.Missing, x.Name)
				continue
			}
			if err := p.compare(x, y); err != nil {
				return nil, err
			}
			if done != nil {
				done(p.Tensors, total)
			}
		}
		for _, y := range sorted(pair[1]) {
			if _, ok := pair[0][y.Name]; !ok {
				p.Unexpected = append(p.Unexpected, y.Name)
			}
		}
	}
	return p, nil
}

func (p *Proof) compare(x, y checkpoints.Deferred) error {
	p.Tensors++
	p.Bytes += y.Shape.ByteSize()
	if !x.Shape.Equal(y.Shape) {
		p.Different = append(p.Different, fmt.Sprintf("%s (%s, %s)", x.Name, x.Shape, y.Shape))
		if !x.Shape.EqualDimensions(y.Shape) || !x.Shape.DType.IsFloat() || !y.Shape.DType.IsFloat() {
			p.Largest, p.LargestIn = math.Inf(1), x.Name
			return nil
		}
	}
	if x.Shape.Size() == 0 {
		return nil
	}
	a, err := x.Read()
	if err != nil {
		return err
	}
	b, err := y.Read()
	if err != nil {
		return err
	}
	same, err := sameBytes(a, b)
	if err != nil || same {
		return err
	}
	if x.Shape.Equal(y.Shape) {
		p.Different = append(p.Different, x.Name)
	}
	if !x.Shape.DType.IsFloat() {
		p.Largest, p.LargestIn = math.Inf(1), x.Name
		return nil
	}
	largest, err := checkpoints.MaxDifference(a, b)
	if largest > p.Largest {
		p.Largest, p.LargestIn = largest, x.Name
	}
	return err
}

// sameBytes compares tensors of one shape and type.
func sameBytes(a, b *tensors.Tensor) (same bool, err error) {
	if a == b { // which cannot be locked twice
		return true, nil
	}
	if !a.Shape().Equal(b.Shape()) {
		return false, nil
	}
	var inner error
	err = a.ConstBytes(func(x []byte) {
		inner = b.ConstBytes(func(y []byte) { same = bytes.Equal(x, y) })
	})
	return same, errors.Join(err, inner)
}
