package runlog

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestEventFile reads the file back through the format's own rules: lengths, checksums, field numbers.
func TestEventFile(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{Quiet: true})
	if err := l.Step(step(7)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, dir, Options{Quiet: true, ResumeStep: 7})
	l.Close()
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v, want 2", files, err)
	}
	got := readEvents(t, files[0])
	want := []string{
		"step 0 version brain.Event:2", "step 1 session", "step 7 train/itc 1.23", "step 7 train/itm 0.41",
		"step 7 train/lm 1.9", "step 7 train/lr 0.00091", "step 7 train/grad_norm 2.5",
		"step 7 train/step_seconds 0.5", "step 7 train/data_wait_seconds 0.01", "step 7 train/data_wait_share 0.02",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := readEvents(t, files[1]); !slices.Equal(got, []string{"step 0 version brain.Event:2", "step 8 session"}) {
		t.Errorf("after a resume: %q", got)
	}
}

func readEvents(t *testing.T, path string) (events []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		n := binary.LittleEndian.Uint64(b)
		data := b[12 : 12+n]
		if binary.LittleEndian.Uint32(b[8:]) != maskedCRC(b[:8]) || binary.LittleEndian.Uint32(b[12+n:]) != maskedCRC(data) {
			t.Fatalf("%s: wrong checksum", path)
		}
		events = append(events, describeEvent(t, data)...)
		b = b[16+n:]
	}
	return events
}

func describeEvent(t *testing.T, data []byte) (events []string) {
	t.Helper()
	step := 0
	eachField(t, data, func(n protowire.Number, v uint64, content []byte) {
		switch n {
		case eventWallTime:
			if math.Float64frombits(v) < 1e9 {
				t.Error("no wall time")
			}
		case eventStep:
			step = int(v)
		case eventFileVersion:
			events = append(events, fmt.Sprintf("step %d version %s", step, content))
		case eventSessionLog:
			events = append(events, fmt.Sprintf("step %d session", step))
		case eventSummary:
			eachField(t, content, func(_ protowire.Number, _ uint64, value []byte) {
				tag, number := "", float32(0)
				eachField(t, value, func(n protowire.Number, v uint64, content []byte) {
					if n == summaryTag {
						tag = string(content)
					} else {
						number = math.Float32frombits(uint32(v))
					}
				})
				events = append(events, fmt.Sprintf("step %d %s %v", step, tag, number))
			})
		}
	})
	return events
}

func eachField(t *testing.T, b []byte, visit func(n protowire.Number, v uint64, content []byte)) {
	t.Helper()
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		b = b[size:]
		var v uint64
		var content []byte
		switch kind {
		case protowire.VarintType:
			v, size = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			v, size = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var v32 uint32
			v32, size = protowire.ConsumeFixed32(b)
			v = uint64(v32)
		default:
			content, size = protowire.ConsumeBytes(b)
		}
		if size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		visit(n, v, content)
		b = b[size:]
	}
}

// TestMaskedCRC is a known value of the format: the checksum of the length 24 that starts every TensorBoard file.
func TestMaskedCRC(t *testing.T) {
	if got := maskedCRC([]byte{24, 0, 0, 0, 0, 0, 0, 0}); got != 0x224b7fa3 {
		t.Errorf("got %#x, want 0x224b7fa3", got)
	}
}
