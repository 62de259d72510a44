package capfilt

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"goblip/checkpoints"
	"goblip/datasets/image"
	"goblip/infer"
	"goblip/models/blip"
	"goblip/models/blip2"

	"github.com/gomlx/compute"
)

// filter scores pairs of a picture and a text. Rows of a batch do not influence each other.
type filter interface {
	label() string
	wants() image.Processor
	length(text string) int // tokens
	// look prepares pictures, then score takes pairs of them, batch after batch.
	look(p *infer.Pictures) (score func(texts []string, pictures []int) (map[string][]float32, error), err error)
	Finalize()
}

// pair is a text and the number of its picture.
type pair struct {
	picture int
	text    string
}

// score gives the scores of pairs, by kind, in the order of the pairs. Texts of like length share a batch,
// which a short one fills up by repeating its last pair.
func score(f filter, p *infer.Pictures, pairs []pair, batch int) (map[string][]float64, error) {
	out := map[string][]float64{}
	if len(pairs) == 0 {
		return out, nil
	}
	scorer, err := f.look(p)
	if err != nil {
		return nil, err
	}
	lengths, order := make([]int, len(pairs)), make([]int, len(pairs))
	for i, x := range pairs {
		lengths[i], order[i] = f.length(x.text), i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lengths[a], lengths[b]) })
	texts, pictures := make([]string, batch), make([]int, batch)
	for rows := range slices.Chunk(order, batch) {
		for i := range batch {
			x := pairs[rows[min(i, len(rows)-1)]]
			texts[i], pictures[i] = x.text, x.picture
		}
		got, err := scorer(texts, pictures)
		if err != nil {
			return nil, err
		}
		for kind, values := range got {
			if out[kind] == nil {
				out[kind] = make([]float64, len(pairs))
			}
			for i, row := range rows {
				v := float64(values[i])
				if math.IsNaN(v) || math.IsInf(v, 0) {
					return nil, fmt.Errorf("filter %s: %s of %q is not a number", f.label(), kind, texts[i])
				}
				out[kind][row] = round(v)
			}
		}
	}
	return out, nil
}

// kindsOf are the scores that a folder's class gives.
func kindsOf(dir string) ([]string, error) {
	var config struct {
		Architectures []string `json:"architectures"`
	}
	if err := checkpoints.ReadConfig(dir, &config); err != nil {
		return nil, err
	}
	for _, class := range config.Architectures {
		switch class {
		case infer.CLIPClass:
			return []string{CLIP}, nil
		case blip.RetrievalClass, blip2.RetrievalClass:
			return []string{ITM, ITC}, nil
		}
	}
	return nil, fmt.Errorf("%s: config.json says %v, a filter is a %s, %s or %s", dir, config.Architectures, blip.RetrievalClass, blip2.RetrievalClass, infer.CLIPClass)
}

// checkRule wants a filter that gives the score by which the rule decides.
func checkRule(r Rule, filters []ModelDir) error {
	var all []string
	for _, f := range filters {
		kinds, err := kindsOf(f.Dir)
		if err != nil {
			return err
		}
		all = append(all, kinds...)
	}
	if r.needsScores() && !slices.Contains(all, r.Score) {
		slices.Sort(all)
		return fmt.Errorf("the rule decides by %s, the filters give %v", r.Score, slices.Compact(all))
	}
	return nil
}

func openFilter(backend compute.Backend, dir ModelDir) (filter, error) {
	kinds, err := kindsOf(dir.Dir)
	if err != nil {
		return nil, err
	}
	p, err := infer.ImageProcessor(dir.Dir)
	if err != nil {
		return nil, err
	}
	if kinds[0] == CLIP {
		model, err := infer.OpenCLIP(backend, dir.Dir)
		return &dual{dir.Name, p, model}, err
	}
	model, err := infer.OpenRetriever(backend, dir.Dir)
	return &matcher{dir.Name, p, model}, err
}

// matcher is a BLIP or BLIP-2 with a match head.
type matcher struct {
	name      string
	processor image.Processor
	model     *infer.Retriever
}

func (m *matcher) label() string          { return m.name }
func (m *matcher) wants() image.Processor { return m.processor }
func (m *matcher) length(text string) int { return len(m.model.Words.Encode(text)) }
func (m *matcher) Finalize()              { m.model.Finalize() }

func (m *matcher) look(p *infer.Pictures) (func([]string, []int) (map[string][]float32, error), error) {
	states, err := m.model.States(p, nil)
	if err != nil {
		return nil, err
	}
	images, err := m.model.ImageFeatures(states)
	if err != nil {
		return nil, err
	}
	return func(texts []string, pictures []int) (map[string][]float32, error) {
		features, err := m.model.TextFeatures(texts)
		if err != nil {
			return nil, err
		}
		pairs := make([]infer.Pair, len(texts))
		for i := range pairs {
			pairs[i] = infer.Pair{Image: pictures[i], Text: i}
		}
		_, itm, err := m.model.MatchScores(states, texts, pairs)
		if err != nil {
			return nil, err
		}
		return map[string][]float32{ITM: itm, ITC: cosines(images, features, pictures, m.model.Dim, m.model.Vectors)}, nil
	}, nil
}

// cosines compares the texts' features [texts, dim] with those of their pictures [pictures, vectors, dim]; of
// a picture's vectors the nearest counts.
func cosines(images, texts []float32, pictures []int, dim, vectors int) []float32 {
	out := make([]float32, len(pictures))
	for i, p := range pictures {
		best := math.Inf(-1)
		for v := range vectors {
			dot := 0.0
			at := images[(p*vectors+v)*dim:][:dim]
			for k, x := range texts[i*dim:][:dim] {
				dot += float64(x) * float64(at[k])
			}
			best = max(best, dot)
		}
		out[i] = float32(best)
	}
	return out
}

// dual is a dual encoder.
type dual struct {
	name      string
	processor image.Processor
	model     *infer.CLIP
}

func (d *dual) label() string          { return d.name }
func (d *dual) wants() image.Processor { return d.processor }
func (d *dual) length(text string) int { return len(d.model.Words.Encode(text)) }
func (d *dual) Finalize()              { d.model.Finalize() }

func (d *dual) look(p *infer.Pictures) (func([]string, []int) (map[string][]float32, error), error) {
	images, err := d.model.ImageFeatures(p)
	if err != nil {
		return nil, err
	}
	return func(texts []string, pictures []int) (map[string][]float32, error) {
		features, err := d.model.TextFeatures(texts)
		if err != nil {
			return nil, err
		}
		return map[string][]float32{CLIP: cosines(images, features, pictures, d.model.Config.ProjectionDim, 1)}, nil
	}, nil
}
