package datasets

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"

	"goblip/datasets/blob"
)

// shards are WebDataset's tar files: members with one name up to the first dot
// are one sample: "0001.jpg", "0001.txt" with a caption a line, "0001.json"
// with the keys of a JSONL line.
type shards struct {
	files   []blob.Blob
	samples []tarSample
	fields  map[string]string
	bad     int // shards left out or cut
}

// tarSample is where a sample begins: 16 bytes in memory each.
type tarSample struct {
	offset  int64 // of its first member's header
	shard   uint32
	members uint16
}

const (
	maxTarMembers = 1 << 12 // of one sample
	maxTextMember = 16 << 20
	atOnce        = 8 // shards opened
)

// openTar indexes shards: their headers are read, their pictures passed over.
func openTar(pattern string, o Options) (Source, error) {
	names, err := expandBraces(pattern)
	if err != nil {
		return nil, err
	}
	return openShards(pattern, names, o)
}

// openShards reads what the named files hold; source is what they were named by.
func openShards(source string, names []string, o Options) (Source, error) {
	files := make([]blob.Blob, len(names))
	samples := make([][]tarSample, len(names))
	failures := make([]error, len(names))
	limit := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, name := range names {
		limit <- struct{}{}
		all.Go(func() {
			files[i], samples[i], failures[i] = openShard(name)
			<-limit
		})
	}
	all.Wait()
	s := &shards{fields: o.Fields}
	for i, name := range names {
		if err := failures[i]; err != nil {
			if !o.SkipBad {
				if len(samples[i]) > 0 {
					err = fmt.Errorf("%w (after %d whole samples)", err, len(samples[i]))
				}
				return nil, err
			}
			s.bad++
			o.note("%v: %d samples of it are used", err, len(samples[i]))
		} else if len(samples[i]) == 0 {
			o.note("%s: no samples", name)
		}
		for _, sample := range samples[i] {
			sample.shard = uint32(len(s.files))
			s.samples = append(s.samples, sample)
		}
		s.files = append(s.files, files[i])
	}
	if len(s.samples) == 0 {
		return nil, fmt.Errorf("%s: no records", source)
	}
	return s, nil
}

// openShard returns the whole samples that a shard has; with an error too, if
// what follows them cannot be read.
func openShard(name string) (blob.Blob, []tarSample, error) {
	file, err := blob.Open(name)
	if err != nil {
		return nil, nil, err
	}
	var unpacking error
	if kind := extension(name); kind != ".tar" {
		if file, unpacking = blob.Gunzip(file); file == nil {
			return nil, nil, unpacking
		}
	}
	samples, err := indexTar(file)
	if unpacking != nil {
		err = unpacking
	}
	return file, samples, err
}

// indexTar finds the samples of a shard.
func indexTar(file blob.Blob) (samples []tarSample, err error) {
	window := blob.NewWindow(file)
	reader := tar.NewReader(window)
	var key string
	next := int64(0) // where the next header begins
	for {
		start := next
		header, err := reader.Next()
		if errors.Is(err, io.EOF) && next+512 <= file.Size() {
			return samples, nil
		}
		// The sample that a cut member belongs to is not whole.
		fail := func(err error) ([]tarSample, error) {
			if n := len(samples); n > 0 {
				samples = samples[:n-1]
			}
			return samples, fmt.Errorf("%s: %w", file.Name(), err)
		}
		if errors.Is(err, io.EOF) {
			return fail(errors.New("cut in the middle: no end mark"))
		}
		if err != nil {
			return fail(tarError(err))
		}
		data, err := window.Seek(0, io.SeekCurrent)
		if err != nil {
			return fail(err)
		}
		next = data + (header.Size+511)/512*512
		if header.Typeflag == tar.TypeReg && data+header.Size > file.Size() {
			return fail(fmt.Errorf("cut in the middle of member %s", header.Name))
		}
		memberKey, _ := splitMember(header.Name)
		if header.Typeflag != tar.TypeReg || memberKey == "" {
			key = "" // ends a sample, so that one's members follow each other
			continue
		}
		if memberKey != key {
			key = memberKey
			if len(samples) >= maxIndexed {
				return fail(fmt.Errorf("more than %d samples", maxIndexed))
			}
			samples = append(samples, tarSample{offset: start})
		}
		last := &samples[len(samples)-1]
		if last.members++; last.members > maxTarMembers {
			return fail(fmt.Errorf("sample %s has more than %d members", key, maxTarMembers))
		}
	}
}

// tarError words what archive/tar says.
func tarError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("cut in the middle")
	}
	if errors.Is(err, tar.ErrHeader) {
		return errors.New("not a tar file, or damaged")
	}
	return err
}

// splitMember is WebDataset's way to take a name apart: the key ends at the
// first dot of the last part, the rest is the field. Hidden files have no key.
func splitMember(name string) (key, field string) {
	name = strings.TrimPrefix(name, "./")
	dir, base := path.Split(name)
	stem, field, ok := strings.Cut(base, ".")
	if !ok || stem == "" {
		return "", ""
	}
	return dir + stem, strings.ToLower(field)
}

func (s *shards) Len() int     { return len(s.samples) }
func (s *shards) leftOut() int { return s.bad }

func (s *shards) Record(i int) (Record, error) {
	sample := s.samples[i]
	file := s.files[sample.shard]
	window := blob.NewShortWindow(file, sample.offset)
	reader := tar.NewReader(window)
	var record Record
	var captions []string
	where := ""
	problem := func(format string, args ...any) (Record, error) {
		return Record{}, Problem{where, fmt.Sprintf(format, args...)}
	}
	for range sample.members {
		header, err := reader.Next()
		if err != nil {
			return Record{}, fmt.Errorf("%s: %w", file.Name(), noEOF(err))
		}
		key, field := splitMember(header.Name)
		where = file.Name() + ": " + key
		switch {
		case pictureExtensions[path.Ext("."+field)] && record.picture == nil:
			at, err := window.Seek(0, io.SeekCurrent)
			if err != nil {
				return Record{}, err
			}
			record.picture, record.Image = member{file, at, header.Size}, file.Name()+"/"+header.Name
		case field == "txt" || field == "caption":
			text, err := readMember(reader, header)
			if err != nil {
				return problem("%s: %v", header.Name, err)
			}
			if captions, err = captionLines(bytes.NewReader(text)); err != nil {
				return problem("%s: %v", header.Name, err)
			}
		case field == "json":
			text, err := readMember(reader, header)
			if err != nil {
				return problem("%s: %v", header.Name, err)
			}
			told, err := parsePartial(text, s.fields)
			if err == nil {
				err = told.validateTexts()
			}
			if err != nil {
				return problem("%s: %v", header.Name, err)
			}
			record.ID, record.Questions, record.Scene = told.ID, told.Questions, told.Scene
			record.Captions = told.Captions
		}
		record.Origin = where
	}
	if record.picture == nil {
		return problem("no picture")
	}
	if record.ID == "" {
		record.ID = strings.TrimPrefix(where, file.Name()+": ")
	}
	// Tools that write both put the same caption into both.
	for _, caption := range captions {
		if !contains(record.Captions, caption) {
			record.Captions = append(record.Captions, caption)
		}
	}
	return record, nil
}

func contains(list []string, text string) bool {
	for _, other := range list {
		if strings.TrimSpace(other) == text {
			return true
		}
	}
	return false
}

func readMember(r io.Reader, header *tar.Header) ([]byte, error) {
	if header.Size > maxTextMember {
		return nil, fmt.Errorf("text of %d bytes is over the limit of %d", header.Size, maxTextMember)
	}
	return io.ReadAll(r)
}

// member is a picture in a shard.
type member struct {
	file   blob.Blob
	offset int64
	size   int64
}

func (m member) read() ([]byte, error) { return readStored(m.file, m.offset, m.size) }

func (m member) stamp() (string, bool) {
	return storedStamp(m.file, fmt.Sprint(m.offset, m.size))
}

// openPacked opens the shards of a manifest beside it.
func openPacked(manifest string, o Options) (Source, error) {
	m, err := readManifest(manifest)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, shard := range m.Shards {
		names = append(names, beside(manifest, shard.Name))
	}
	source, err := openShards(manifest, names, o)
	if err == nil && source.Len() != m.Records && !o.SkipBad {
		err = fmt.Errorf("%s: its shards have %d records, not %d", manifest, source.Len(), m.Records)
	}
	return source, err
}
