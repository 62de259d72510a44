package torch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"goblip/checkpoints/pickle"
)

// storageTypes are the element types of storages, by their class' name.
var storageTypes = map[string]dtypes.DType{
	"DoubleStorage": dtypes.Float64, "FloatStorage": dtypes.Float32, "HalfStorage": dtypes.Float16, "BFloat16Storage": dtypes.BFloat16,
	"LongStorage": dtypes.Int64, "IntStorage": dtypes.Int32, "ShortStorage": dtypes.Int16, "CharStorage": dtypes.Int8,
	"ByteStorage": dtypes.Uint8, "BoolStorage": dtypes.Bool,
	"UntypedStorage": dtypes.Uint8, // bytes; the tensor says what they are
}

// elementTypes are the torch.dtypes that a tensor of an untyped storage can have.
var elementTypes = map[string]dtypes.DType{
	"float64": dtypes.Float64, "float32": dtypes.Float32, "float16": dtypes.Float16, "bfloat16": dtypes.BFloat16,
	"int64": dtypes.Int64, "int32": dtypes.Int32, "int16": dtypes.Int16, "int8": dtypes.Int8,
	"uint64": dtypes.Uint64, "uint32": dtypes.Uint32, "uint16": dtypes.Uint16, "uint8": dtypes.Uint8, "bool": dtypes.Bool,
}

// functions are the functions and classes that we have our own of.
var functions = map[string]pickle.Callable{
	"torch._utils._rebuild_tensor":               rebuildTensor,
	"torch._utils._rebuild_tensor_v2":            rebuildTensor,
	"torch._utils._rebuild_tensor_v3":            rebuildTyped,
	"torch._utils._rebuild_parameter":            rebuildParameter,
	"torch._utils._rebuild_parameter_with_state": rebuildParameter,
	"torch._tensor._rebuild_from_type_v2":        rebuildFromType,
	"collections.OrderedDict":                    orderedDict,
}

// inert are classes of settings and counters that training programs save beside the weights:
// argparse's and omegaconf's configurations, numpy's numbers. They become records, and are passed
// over. The list is of names that hold data; what can have effects in Python is not on it, although
// a record of it would have none here, because such a file is not what it says it is.
var inert = map[string][]string{
	"argparse":                            {"Namespace"},
	"easydict":                            {"EasyDict"},
	"collections":                         {"defaultdict", "Counter", "deque"},
	"copyreg":                             {"_reconstructor"},
	"copy_reg":                            {"_reconstructor"},
	"datetime":                            {"datetime", "date", "time", "timedelta"},
	"decimal":                             {"Decimal"},
	"pathlib":                             {"Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"},
	"pathlib._local":                      {"PosixPath", "WindowsPath"},
	"typing":                              {"Any", "Optional", "Union", "List", "Dict", "Tuple"},
	"uuid":                                {"UUID"},
	"_codecs":                             {"encode"},
	"builtins":                            builtins,
	"__builtin__":                         append([]string{"unicode", "long"}, builtins...),
	"numpy":                               {"dtype", "ndarray"},
	"numpy.core.multiarray":               {"scalar", "_reconstruct"},
	"numpy._core.multiarray":              {"scalar", "_reconstruct"},
	"omegaconf.base":                      {"ContainerMetadata", "Metadata", "Node", "Container"},
	"omegaconf.dictconfig":                {"DictConfig"},
	"omegaconf.listconfig":                {"ListConfig"},
	"omegaconf.nodes":                     {"AnyNode", "StringNode", "IntegerNode", "FloatNode", "BooleanNode", "EnumNode", "BytesNode", "PathNode", "ValueNode"},
	"ruamel.yaml.comments":                {"CommentedMap", "CommentedSeq", "Comment", "Format", "LineCol"},
	"lightning_fabric.utilities.data":     {"AttributeDict"},
	"pytorch_lightning.utilities.parsing": {"AttributeDict"},
	"torch":                               {"Size", "device", "Tensor", "memory_format"},
	"torch.nn.parameter":                  {"Parameter", "Buffer"},
	"torch.serialization":                 {"_get_layout"},
}

var builtins = []string{"set", "frozenset", "dict", "list", "tuple", "int", "float", "str", "bool", "bytes", "bytearray", "complex", "range", "slice", "object"}

// storageClass and elementClass stand for the classes of storages and for torch.dtypes.
type (
	storageClass struct {
		name  string
		dtype dtypes.DType
	}
	elementClass dtypes.DType
)

// global decides what a name in a pickle stands for.
func global(g *pickle.Global) (any, error) {
	name := g.String()
	if function := functions[name]; function != nil {
		return function, nil
	}
	if slices.Contains(inert[g.Module], g.Name) {
		return g, nil
	}
	if g.Module == "torch" || g.Module == "torch.storage" || g.Module == "torch.cuda" {
		if dtype, ok := storageTypes[g.Name]; ok {
			return storageClass{g.Name, dtype}, nil
		}
		if dtype, ok := elementTypes[g.Name]; ok && g.Module == "torch" {
			return elementClass(dtype), nil
		}
		if strings.HasSuffix(g.Name, "Storage") {
			return nil, fmt.Errorf("%s: elements of this type are not supported", name)
		}
	}
	return nil, fmt.Errorf("refused: the file names %.200q, which no weights need; nothing of it was run", name)
}

// orderedDict stands for collections.OrderedDict(), or OrderedDict([(key, value), ...]) as Python 2 has it.
func orderedDict(args pickle.Tuple) (any, error) {
	d := &pickle.Dict{}
	if len(args) == 0 {
		return d, nil
	}
	list, ok := args[0].(*pickle.List)
	if !ok {
		return nil, fmt.Errorf("collections.OrderedDict: its entries are no list")
	}
	for _, item := range list.Items {
		var pair []any
		switch item := item.(type) {
		case pickle.Tuple:
			pair = item
		case *pickle.List:
			pair = item.Items
		}
		if len(pair) != 2 {
			return nil, fmt.Errorf("collections.OrderedDict: an entry is no pair")
		}
		d.Entries = append(d.Entries, pickle.Entry{Key: pair[0], Value: pair[1]})
	}
	return d, nil
}
