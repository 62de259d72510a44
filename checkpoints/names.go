package checkpoints

import (
	"fmt"
	"strings"

	"github.com/gomlx/gomlx/ml/model"
)

// modelScope is where the variables of a model live in a store. Others there, an optimizer's or
// a metric's, are not part of the model.
const modelScope = "/model/"

// VariablePath returns the path of the variable that holds a tensor of a model folder:
// "vision_model.post_layernorm.bias" is "/model/vision_model/post_layernorm/bias".
func VariablePath(tensor string) string { return modelScope + strings.ReplaceAll(tensor, ".", "/") }

// TensorName is the reverse of VariablePath; false for a variable that is not under /model.
func TensorName(path string) (string, bool) {
	name, ok := strings.CutPrefix(path, modelScope)
	return strings.ReplaceAll(name, "/", "."), ok
}

// StoreTensors returns the values of a store's model variables, named as in a model folder.
// rename, if not nil, gives each its name in the file, "" to leave it out.
func StoreTensors(store *model.Store, rename func(name string) string) ([]Named, error) {
	var named []Named
	for v := range store.IterVariables() {
		name, ok := TensorName(v.Path())
		if ok && rename != nil {
			name = rename(name)
		}
		if !ok || name == "" {
			continue
		}
		value, err := v.Value()
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", v.Path(), err)
		}
		named = append(named, Named{name, value})
	}
	return named, nil
}
