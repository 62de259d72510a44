package forward

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"goblip/checkpoints"
	"goblip/models/nn"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// run is one execution of a case: the model's variables, and the tensors computed so far.
type run struct {
	*Case
	backend compute.Backend
	store   *model.Store
	got     map[string]*tensors.Tensor
}

func (r *run) finalize() { r.store.Finalize() }

// put keeps a value if the case wants it.
func (r *run) put(name string, value *tensors.Tensor) {
	if r.wants(name) {
		r.got[name] = value
	}
}

// needs says whether a wanted name that fits the pattern has no value yet.
func (r *run) needs(pattern string) bool {
	for _, name := range r.missing() {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

// missing lists the wanted names without a value, sorted.
func (r *run) missing() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(r.about.Expected)) {
		if _, done := r.got[name]; !done && r.wants(name) {
			names = append(names, name)
		}
	}
	return names
}

// outputs collects the nodes of a graph that the case wants.
type outputs struct {
	run   *run
	names []string
	nodes []*Node
}

// put names a node; what the case does not want is left out of the graph.
func (o *outputs) put(name string, node *Node) {
	if o.run.wants(name) {
		o.names, o.nodes = append(o.names, name), append(o.nodes, node)
	}
}

// all names several nodes PREFIX0, PREFIX1, ...
func (o *outputs) all(prefix string, nodes []*Node) {
	for i, n := range nodes {
		o.put(fmt.Sprintf("%s%d", prefix, i), n)
	}
}

// graph runs build over inputs of the case and keeps what it names. A case that lacks one of the
// inputs does not run it.
func (r *run) graph(inputs []string, build func(scope *model.Scope, in []*Node, out *outputs)) error {
	var args []*tensors.Tensor
	for _, name := range inputs {
		if !r.hasInput(name) {
			return nil
		}
		value, err := r.input(name)
		if err != nil {
			return err
		}
		args = append(args, value)
	}
	return r.graphOn(args, build)
}

// graphOn is graph over tensors that are no inputs of the case.
func (r *run) graphOn(inputs []*tensors.Tensor, build func(scope *model.Scope, in []*Node, out *outputs)) error {
	variables := r.store.NumVariables()
	var dry outputs // building costs milliseconds, compiling a graph that nobody wants seconds
	var of []shapes.Shape
	for _, in := range inputs {
		of = append(of, in.Shape())
	}
	if err := nn.Declare(r.backend, r.store, func(scope *model.Scope, in []*Node) {
		dry = outputs{run: r}
		build(scope.At("model"), in, &dry)
	}, of...); err != nil || len(dry.names) == 0 {
		return err
	}
	if made := r.store.NumVariables() - variables; made != 0 {
		return fmt.Errorf("the graph made %d variables that the checkpoint does not have", made)
	}
	out := &outputs{run: r}
	exec, err := model.NewExec(r.backend, r.store, func(scope *model.Scope, in []*Node) []*Node {
		*out = outputs{run: r}
		build(scope.At("model"), in, out)
		last := make([]*Node, len(out.nodes))
		for i, n := range out.nodes { // behind all others: the pure-Go backend miscounts nodes that nobody uses
			last[i] = Identity(n)
		}
		return last
	})
	if err != nil {
		return err
	}
	defer exec.Finalize()
	args := make([]any, len(inputs))
	for i, in := range inputs {
		args[i] = in
	}
	values, err := exec.Call(args...)
	if err != nil {
		return err
	}
	for i, name := range out.names {
		if err := values[i].ToLocal(); err != nil {
			return err
		}
		r.put(name, values[i])
	}
	return nil
}

// value runs a graph of one output, which other steps go on with.
func (r *run) value(inputs []*tensors.Tensor, build func(scope *model.Scope, in []*Node) *Node) (*tensors.Tensor, error) {
	exec, err := model.NewExec(r.backend, r.store, func(scope *model.Scope, in []*Node) *Node { return build(scope.At("model"), in) })
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	args := make([]any, len(inputs))
	for i, in := range inputs {
		args[i] = in
	}
	return exec.Call1(args...)
}

// gradients names the derivatives of a loss: PREFIX.NAME is that of the variable of tensor rename(NAME).
func (r *run) gradients(prefix string, loss *Node, rename func(string) string, out *outputs) {
	var names []string
	var of []*Node
	for _, name := range r.missing() {
		tensor, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		if v := r.store.GetVariable(checkpoints.VariablePath(rename(tensor))); v != nil && v.InUseByGraph(loss.Graph()) {
			names, of = append(names, name), append(of, v.NodeValue(loss.Graph()))
		}
	}
	if len(of) == 0 {
		return
	}
	for i, g := range Gradient(loss, of...) {
		out.put(names[i], g)
	}
}
