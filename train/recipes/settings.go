package recipes

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Setting is one named value of a recipe.
type Setting struct {
	Name, Value, Help, Source string
}

// Settings lists the fields of a settings struct, embedded ones included. sources overrides where a
// value comes from, by name.
func Settings(settings any, sources map[string]string) []Setting {
	var out []Setting
	eachField(reflect.ValueOf(settings).Elem(), func(name string, tag reflect.StructTag, v reflect.Value) {
		source := tag.Get("source")
		if s, ok := sources[name]; ok {
			source = s
		}
		out = append(out, Setting{name, fmt.Sprint(v.Interface()), tag.Get("help"), source})
	})
	return out
}

// Set changes one field by "name=value".
func Set(settings any, assignment string) error {
	name, text, ok := strings.Cut(assignment, "=")
	if !ok {
		return fmt.Errorf("%q is not name=value", assignment)
	}
	var names []string
	var err error
	found := false
	eachField(reflect.ValueOf(settings).Elem(), func(n string, _ reflect.StructTag, v reflect.Value) {
		names = append(names, n)
		if n != name {
			return
		}
		found = true
		if v.Kind() == reflect.String {
			v.SetString(text)
			return
		}
		if json.Unmarshal([]byte(text), v.Addr().Interface()) != nil {
			err = fmt.Errorf("%s: %q is not a %s", name, text, v.Kind())
		}
	})
	if !found {
		slices.Sort(names)
		return fmt.Errorf("unknown setting %q; there are: %s", name, strings.Join(names, ", "))
	}
	return err
}

func eachField(v reflect.Value, visit func(name string, tag reflect.StructTag, v reflect.Value)) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			eachField(v.Field(i), visit)
			continue
		}
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && name != "-" {
			visit(name, field.Tag, v.Field(i))
		}
	}
}
