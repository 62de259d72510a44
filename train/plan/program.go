package plan

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var (
	statement   = regexp.MustCompile(`^    (%[\w, %]+) = "\w+\.(\w+)"\(([^)]*)\)`)
	types       = regexp.MustCompile(`tensor<([0-9x]*)[a-z]\w*>`)
	contracting = regexp.MustCompile(`lhs_contracting_dimensions = \[([0-9, ]*)\]`)
)

// Products adds up the floating-point operations of the matrix products in a StableHLO program, over
// all devices, as XLA will see them: products that nothing needs are left out, and the same product
// of the same values is counted once.
func Products(program []byte) (float64, error) {
	type value struct {
		operands []int
		flops    float64
	}
	var values []value
	names := map[string]int{} // of the value that a name stands for
	seen := map[string]int{}
	of := func(list string) (out []int) {
		for name := range strings.SplitSeq(list, ",") {
			name = strings.TrimSpace(name)
			if _, known := names[name]; !known && name != "" { // an argument
				names[name] = len(values)
				values = append(values, value{})
			}
			out = append(out, names[name])
		}
		return out
	}
	_, body, found := bytes.Cut(program, []byte("func.func @main("))
	if !found {
		return 0, fmt.Errorf("the program has no main function")
	}
	lines := strings.Split(string(body), "\n")
	var returned []int
	for i := 0; i < len(lines); i++ {
		if list, ok := strings.CutPrefix(lines[i], `    "stablehlo.return"(`); ok {
			list, _, _ = strings.Cut(list, ")")
			returned = of(list)
			continue
		}
		m := statement.FindStringSubmatch(lines[i])
		if m == nil {
			continue
		}
		text := lines[i][len(m[0]):]
		for last := !strings.HasSuffix(text, "{"); !last; { // attributes, or a function, on lines of their own
			if i++; i == len(lines) {
				return 0, fmt.Errorf("the program ends inside of %s", m[1])
			}
			text += "\n" + lines[i]
			last = strings.HasPrefix(lines[i], "    }") && strings.Contains(lines[i], " -> ")
		}
		v := value{operands: of(m[3])}
		if m[2] == "dot_general" {
			flops, err := productFlops(text)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", m[1], err)
			}
			v.flops = flops
		}
		key := m[2] + fmt.Sprint(v.operands) + text
		number, again := seen[key]
		if !again || m[2] == "optimization_barrier" {
			number = len(values)
			seen[key] = number
			values = append(values, v)
		}
		for name := range strings.SplitSeq(m[1], ",") {
			names[strings.TrimSpace(name)] = number
		}
	}
	needed := make([]bool, len(values))
	for _, n := range returned {
		needed[n] = true
	}
	total := 0.0
	for n := len(values) - 1; n >= 0; n-- {
		if needed[n] {
			total += values[n].flops
			for _, o := range values[n].operands {
				needed[o] = true
			}
		}
	}
	return total, nil
}

// productFlops reads the attributes and types of a dot_general.
func productFlops(text string) (float64, error) {
	shapes := types.FindAllStringSubmatch(text, -1)
	axes := contracting.FindStringSubmatch(text)
	if len(shapes) != 3 || axes == nil {
		return 0, fmt.Errorf("a product without its types")
	}
	dims := func(s string) (out []float64) {
		for d := range strings.SplitSeq(strings.TrimSuffix(s, "x"), "x") {
			n, err := strconv.Atoi(d)
			if err == nil {
				out = append(out, float64(n))
			}
		}
		return out
	}
	flops := 2.0
	for _, d := range dims(shapes[2][1]) {
		flops *= d
	}
	lhs := dims(shapes[0][1])
	for axis := range strings.SplitSeq(axes[1], ",") {
		n, err := strconv.Atoi(strings.TrimSpace(axis))
		if err != nil || n >= len(lhs) {
			return 0, fmt.Errorf("a product over axis %q of %d", axis, len(lhs))
		}
		flops *= lhs[n]
	}
	return flops, nil
}
