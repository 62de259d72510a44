package pickle

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func load(t testing.TB, data []byte, options Options) (any, error) {
	t.Helper()
	return Load(bufio.NewReader(bytes.NewReader(data)), options)
}

// TestValues reads what Python pickled, in every protocol.
func TestValues(t *testing.T) {
	lines, err := os.ReadFile(filepath.Join("testdata", "values.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(lines)), "\n") {
		var c struct {
			Protocol int
			Pickle   []byte
			Value    json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		got, err := load(t, c.Pickle, Options{})
		if err != nil {
			t.Errorf("line %d, protocol %d: %v", i+1, c.Protocol, err)
			continue
		}
		decoder := json.NewDecoder(bytes.NewReader(c.Value))
		decoder.UseNumber()
		var want any
		if err := decoder.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if err := same(got, want); err != nil {
			t.Errorf("line %d, protocol %d: %v", i+1, c.Protocol, err)
		}
	}
}

// same compares a value with what JSON has.
func same(got, want any) error {
	switch want := want.(type) {
	case json.Number:
		if f, ok := got.(float64); ok {
			if w, _ := want.Float64(); w == f {
				return nil
			}
		}
		if fmt.Sprint(got) == want.String() {
			return nil
		}
	case []any:
		list, ok := got.(*List)
		if !ok || len(list.Items) != len(want) {
			break
		}
		for i := range want {
			if err := same(list.Items[i], want[i]); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		d, ok := got.(*Dict)
		if !ok || len(d.Entries) != len(want) {
			break
		}
		for key, value := range want {
			g, ok := d.Get(key)
			if !ok {
				return fmt.Errorf("no key %q", key)
			}
			if err := same(g, value); err != nil {
				return err
			}
		}
		return nil
	default:
		if got == want {
			return nil
		}
	}
	return fmt.Errorf("got %T %v, want %T %v", got, got, want, want)
}

func TestNumbers(t *testing.T) {
	for pickled, want := range map[string]any{
		"I12\n.": int64(12), "I01\n.": true, "I00\n.": false, "I-3\n.": int64(-3), "L5L\n.": int64(5), "F1.5\n.": 1.5, "Finf\n.": math.Inf(1),
		"J\xff\xff\xff\xff.": int64(-1), "M\xff\xff.": int64(65535), "\x8a\x00.": int64(0), "\x8a\x01\xff.": int64(-1), "\x8a\x02\xff\x00.": int64(255),
	} {
		if got, err := load(t, []byte(pickled), Options{}); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", pickled, got, err, want)
		}
	}
	huge := new(big.Int).Lsh(big.NewInt(-1), 70)
	if got, err := load(t, []byte("L-1180591620717411303424L\n."), Options{}); err != nil || got.(*big.Int).Cmp(huge) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestClasses follows the ways in which a pickle can make an instance.
func TestClasses(t *testing.T) {
	options := Options{
		Global: func(g *Global) (any, error) {
			switch g.Name {
			case "Data":
				return g, nil
			case "add":
				return Callable(func(args Tuple) (any, error) { return args[0].(int64) + args[1].(int64), nil }), nil
			}
			return nil, fmt.Errorf("refused %s", g)
		},
		Persistent: func(id any) (any, error) { return []any{"outside", id}[1], nil },
	}
	for name, pickled := range map[string]string{
		"reduce":       "cm\nData\n(K\x01tR.",
		"newobj":       "cm\nData\n(K\x01t\x81.",
		"newobj_ex":    "cm\nData\n(K\x01t}\x92.",
		"stack global": "\x8c\x01m\x8c\x04Data\x93(K\x01tR.",
		"inst":         "(K\x01im\nData\n.",
		"obj":          "(cm\nData\nK\x01o.",
	} {
		got, err := load(t, []byte(pickled), options)
		object, ok := got.(*Object)
		if err != nil || !ok || object.Class.String() != "m.Data" || len(object.Args) != 1 || object.Args[0] != int64(1) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	got, err := load(t, []byte("cm\nData\n)R}X\x01\x00\x00\x00aK\x02sbX\x01\x00\x00\x00kK\x03sK\x04a."), options)
	if object, ok := got.(*Object); err != nil || !ok || len(object.Dict.Entries) != 1 || len(object.List.Items) != 1 || object.State.(*Dict).Entries[0].Value != int64(2) {
		t.Errorf("a filled object: got %+v, %v", got, err)
	}
	if got, err := load(t, []byte("cm\nadd\n(K\x01K\x02tR."), options); err != nil || got != int64(3) {
		t.Errorf("a function: got %v, %v", got, err)
	}
	if got, err := load(t, []byte("K\x07Q."), options); err != nil || got != int64(7) {
		t.Errorf("persistent: got %v, %v", got, err)
	}
	for name, pickled := range map[string]string{
		"refused m.system": "cm\nsystem\n(tR.", "neither a class": "K\x01)R.", "no tuple": "cm\nData\nK\x01R.",
	} {
		if _, err := load(t, []byte(pickled), options); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: got %v", pickled, err)
		}
	}
	for _, pickled := range []string{"cm\nData\n.", "K\x07Q."} {
		if _, err := load(t, []byte(pickled), Options{}); err == nil || !strings.Contains(err.Error(), "not allowed") {
			t.Errorf("%q without options: got %v", pickled, err)
		}
	}
}

// TestLimits wants the bounds to hold.
func TestLimits(t *testing.T) {
	if _, err := load(t, bytes.Repeat([]byte{opEmptyList}, 1001), Options{MaxValues: 1000}); err == nil || !strings.Contains(err.Error(), "more than 1000 values") {
		t.Errorf("values: got %v", err)
	}
	if _, err := load(t, bytes.Repeat([]byte("N0"), 1000), Options{MaxBytes: 1000}); !errors.Is(err, errLong) {
		t.Errorf("bytes: got %v", err)
	}
	if _, err := load(t, []byte("NN."), Options{}); err == nil || !strings.Contains(err.Error(), "left over") {
		t.Errorf("two values: got %v", err)
	}
	in := bufio.NewReader(strings.NewReader("K\x01.K\x02."))
	for want := range int64(2) {
		if got, err := Load(in, Options{}); err != nil || got != want+1 {
			t.Errorf("one behind the other: got %v, %v", got, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	lines, err := os.ReadFile(filepath.Join("testdata", "values.jsonl"))
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(lines)), "\n") {
		var c struct{ Pickle string }
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			f.Fatal(err)
		}
		if data, err := base64.StdEncoding.DecodeString(c.Pickle); err == nil && len(data) < 500 {
			f.Add(data)
		}
	}
	f.Add([]byte("ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagetQK\x00(K\x02t(K\x01tNtR."))
	options := Options{
		Global: func(g *Global) (any, error) {
			if len(g.Name)%2 == 0 {
				return g, nil
			}
			return Callable(func(args Tuple) (any, error) { return args, nil }), nil
		},
		Persistent: func(id any) (any, error) { return id, nil },
		MaxValues:  1 << 16,
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		value, err := load(t, data, options)
		if err != nil && value != nil {
			t.Errorf("both a value and the error %v", err)
		}
	})
}
