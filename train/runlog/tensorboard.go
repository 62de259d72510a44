package runlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// eventFile writes TensorBoard's event format: TFRecords (length, masked CRC, bytes, masked CRC) of Event messages,
// of which a scalar and the start of a session need only a few fields.
type eventFile struct {
	file *os.File
	now  func() time.Time
}

// Field numbers of event.proto and summary.proto.
const (
	eventWallTime    = 1
	eventStep        = 2
	eventFileVersion = 3
	eventSummary     = 5
	eventSessionLog  = 7

	sessionLogStatus = 1
	sessionStart     = 1 // the value START

	summaryValue       = 1
	summaryTag         = 1
	summarySimpleValue = 2
)

// createEventFile starts a new event file in dir. firstStep is the first step that will be written: TensorBoard then
// drops later steps that an earlier, killed run left in other files of the folder.
func createEventFile(dir string, firstStep int, now func() time.Time) (*eventFile, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	// TensorBoard reads the files of a folder in the order of their names, and two runs may start within a second.
	for n := 0; ; n++ {
		name := fmt.Sprintf("events.out.tfevents.%010d.%s.%d", now().Unix(), host, n)
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if os.IsExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		e := &eventFile{file: f, now: now}
		version := protowire.AppendString(protowire.AppendTag(nil, eventFileVersion, protowire.BytesType), "brain.Event:2")
		start := protowire.AppendTag(nil, sessionLogStatus, protowire.VarintType)
		start = protowire.AppendVarint(start, sessionStart)
		session := protowire.AppendTag(nil, eventSessionLog, protowire.BytesType)
		session = protowire.AppendBytes(session, start)
		if err := e.event(0, version); err != nil {
			f.Close()
			return nil, err
		}
		if err := e.event(firstStep, session); err != nil {
			f.Close()
			return nil, err
		}
		return e, nil
	}
}

// scalars writes values under their tags as one event.
func (e *eventFile) scalars(step int, tags []string, values []float64) error {
	var summary []byte
	for i, tag := range tags {
		v := protowire.AppendString(protowire.AppendTag(nil, summaryTag, protowire.BytesType), tag)
		v = protowire.AppendTag(v, summarySimpleValue, protowire.Fixed32Type)
		v = protowire.AppendFixed32(v, math.Float32bits(float32(values[i])))
		summary = protowire.AppendBytes(protowire.AppendTag(summary, summaryValue, protowire.BytesType), v)
	}
	return e.event(step, protowire.AppendBytes(protowire.AppendTag(nil, eventSummary, protowire.BytesType), summary))
}

// event writes an Event with the given content, which is a field with its tag.
func (e *eventFile) event(step int, content []byte) error {
	b := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(e.now().UnixNano())/1e9))
	b = protowire.AppendTag(b, eventStep, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(step))
	b = append(b, content...)
	_, err := e.file.Write(record(b))
	return err
}

func (e *eventFile) close() error { return e.file.Close() }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is the checksum of the TFRecord format, rotated and shifted so that it can itself be checksummed.
func maskedCRC(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

func record(data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, len(data)+16), uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(b))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, maskedCRC(data))
}
