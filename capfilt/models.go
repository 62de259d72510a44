package capfilt

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"goblip/datasets"
	"goblip/datasets/image"
	"goblip/infer"
	"goblip/models/generate"

	"github.com/gomlx/compute"
)

// ModelDir is a model folder and the name under which its texts or scores appear.
type ModelDir struct{ Name, Dir string }

// ParseModels reads "NAME=DIR" or "DIR", whose name is the folder's (its parent's for OUT/final); equal names
// get numbers.
func ParseModels(flags []string) ([]ModelDir, error) {
	var out []ModelDir
	used := map[string]int{Web: 1, Human: 1}
	for _, flag := range flags {
		name, dir, named := strings.Cut(flag, "=")
		if !named {
			dir = flag
			clean := filepath.Clean(dir)
			if name = filepath.Base(clean); name == "final" {
				name = filepath.Base(filepath.Dir(clean))
			}
		}
		if name == "" || dir == "" {
			return nil, fmt.Errorf("%q is not DIR or NAME=DIR", flag)
		}
		if named && used[name] > 0 {
			return nil, fmt.Errorf("the name %q is taken", name)
		}
		if used[name]++; used[name] > 1 {
			name = fmt.Sprintf("%s-%d", name, used[name])
		}
		out = append(out, ModelDir{name, dir})
	}
	return out, nil
}

// Writing says how captioners write.
type Writing struct {
	// Prompt is continued by the texts; nil: each model's own.
	Prompt  *string          `json:"prompt"`
	Options generate.Options `json:"options"`
}

// DefaultWriting is BLIP's for CapFilt: nucleus sampling with 0.9, its repetition penalty and the lengths of its demo.
func DefaultWriting() Writing {
	o := generate.Default()
	o.DoSample, o.TopP, o.RepetitionPenalty, o.MinNewTokens, o.MaxNewTokens = true, 0.9, 1.1, 5, 20
	return Writing{Options: o}
}

// Validate says what makes no sense for a number of captions a picture.
func (w *Writing) Validate(captions int) error {
	if err := w.Options.Validate(); err != nil {
		return err
	}
	if captions > 1 && !w.Options.DoSample {
		return fmt.Errorf("%d captions a picture need sampling: beam and greedy search find one", captions)
	}
	return nil
}

// captioner writes texts for pictures.
type captioner struct {
	name      string
	processor image.Processor
	model     infer.Writer
	prompt    string
}

// Models are the captioners and filters of a run.
type Models struct {
	captioners []captioner
	filters    []filter
	captions   int
	writing    Writing
	batch      int
}

// OpenModels loads the models of a run: a captioner is any folder that writes captions (BLIP, BLIP-2,
// InstructBLIP), a filter any that scores (BLIP for retrieval, BLIP-2's stage 1, CLIP).
func OpenModels(backend compute.Backend, c Config) (_ *Models, err error) {
	m := &Models{captions: c.Captions, writing: c.Writing}
	defer func() {
		if err != nil {
			m.Finalize()
		}
	}()
	if c.Captions > 0 {
		for _, dir := range c.Captioners {
			if err := m.addCaptioner(backend, dir); err != nil {
				return nil, fmt.Errorf("captioner %s: %w", dir.Name, err)
			}
		}
	}
	for _, dir := range c.Filters {
		f, err := openFilter(backend, dir)
		if err != nil {
			return nil, fmt.Errorf("filter %s: %w", dir.Name, err)
		}
		m.filters = append(m.filters, f)
	}
	return m, nil
}

func (m *Models) addCaptioner(backend compute.Backend, dir ModelDir) error {
	p, err := infer.ImageProcessor(dir.Dir)
	if err != nil {
		return err
	}
	w, err := infer.OpenWriter(backend, dir.Dir)
	if err != nil {
		return err
	}
	c := captioner{dir.Name, p, w, w.CaptionPrompt()}
	if m.writing.Prompt != nil {
		c.prompt = *m.writing.Prompt
	}
	m.captioners = append(m.captioners, c)
	if !w.Captions() {
		return fmt.Errorf("%s: this model answers questions and does not caption", dir.Dir)
	}
	return nil
}

// Finalize frees the models.
func (m *Models) Finalize() {
	for _, c := range m.captioners {
		c.model.Finalize()
	}
	for _, f := range m.filters {
		f.Finalize()
	}
}

// processors are the ways in which the models want pictures, each once.
func (m *Models) processors() []image.Processor {
	var out []image.Processor
	add := func(p image.Processor) {
		if indexOf(out, p) < 0 {
			out = append(out, p)
		}
	}
	for _, c := range m.captioners {
		add(c.processor)
	}
	for _, f := range m.filters {
		add(f.wants())
	}
	return out
}

// indexOf finds a way to prepare pictures. How their bytes become numbers is the model's own matter, but it
// travels with the pictures.
func indexOf(list []image.Processor, p image.Processor) int {
	return slices.IndexFunc(list, func(q image.Processor) bool {
		return p.Size == q.Size && p.Crop == q.Crop && p.Fit == q.Fit && p.Filter.Number() == q.Filter.Number() &&
			p.Alpha == q.Alpha && p.Upright == q.Upright && p.Mean == q.Mean && p.Std == q.Std
	})
}

// write gives captions of pictures, whose number is a multiple of the batch: [pictures][captions].
func (c *captioner) write(p *infer.Pictures, captions, batch int, o generate.Options) ([][]string, error) {
	states, err := c.model.States(p, nil)
	if err != nil {
		return nil, err
	}
	out := make([][]string, p.Len())
	seed := o.Seed
	for n := range captions {
		o.Seed = datasets.Rand(seed, uint64(n)).Uint64()
		for at := 0; at < p.Len(); at += batch {
			requests := make([]infer.Request, batch)
			for i := range requests {
				requests[i] = infer.Request{Image: at + i, Prompt: c.prompt}
			}
			texts, err := c.model.Write(states, requests, o, nil)
			if err != nil {
				return nil, err
			}
			for i, t := range texts {
				out[at+i] = append(out[at+i], t.Text)
			}
		}
	}
	return out, nil
}
