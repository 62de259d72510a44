package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"goblip/eval"
	"goblip/eval/meteor"
)

func newScoreCaptionCommand() *cobra.Command {
	var c captionScoring
	command := &cobra.Command{
		Use:   "caption --refs ANNOTATIONS.json --hyps RESULTS.json",
		Short: "BLEU, METEOR, ROUGE-L, CIDEr and SPICE of captions in COCO's file layout",
		Long: `Scores captions (a list of {"image_id", "caption"}, or such records one a line) against reference captions
({"images": [{"id"}, ...], "annotations": [{"image_id", "caption"}, ...]}), both in COCO's layout, gzipped or not. The figures are those of
coco-caption (pycocoevalcap), tokens included. Every scored image needs a caption; annotated images without one are left
out, and with them their share of CIDEr's document frequencies. "CIDEr" is CIDEr-D, which papers report, "CIDEr_plain"
the older one without the D.

METEOR takes its lists of words from your meteor-1.5.jar (--meteor; no Java is run) and the paraphrases from
data/paraphrase-en.gz beside it; without that file the figure is called METEOR_exact_stem_synonym, and with --meteor stem,
which needs no lists, METEOR_exact_stem. SPICE is run by your Java and spice-1.0.jar (--spice). Both jars come with the Python
package pycocoevalcap 1.2. Without these flags the two metrics are left out.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return show(command, &c.scoreOptions, func() (*captionReport, []metric, error) {
				return c.score(command.Context(), command.ErrOrStderr())
			})
		},
	}
	c.flags(command, "captions", "an image or, where it has none, of an annotation in --refs, such as the domain of NoCaps")
	command.Flags().StringVar(&c.refs, "refs", "", "file of reference captions (COCO annotations)")
	command.Flags().StringVar(&c.hyps, "hyps", "", "file of captions to score (COCO results)")
	command.Flags().StringVar(&c.meteorPath, "meteor", "", "your meteor-1.5.jar or its folder; stem: exact and stem matches only, without its lists")
	command.Flags().StringVar(&c.spice, "spice", "", "your spice-1.0.jar, run by your Java")
	requireFlags(command, "refs", "hyps")
	return command
}

type captionScoring struct {
	scoreOptions
	refs, hyps, spice string
	meteorPath        string
	meteor            *meteor.Data // nil: no METEOR
}

// captionReport is what "score caption --json" prints. A metric that was not computed is absent.
type captionReport struct {
	Overall eval.CaptionScores      `json:"overall"`
	Images  []imageScores           `json:"images"`
	Slices  map[string]captionSlice `json:"slices,omitempty"` // each scored as a corpus of its own
	statistics
}

type imageScores struct {
	ImageID fileID `json:"image_id"`
	eval.CaptionScores
}

type captionSlice struct {
	Images int `json:"images"`
	eval.CaptionScores
}

func (r *captionReport) print(out io.Writer, metrics []metric) error {
	fmt.Fprintf(out, "%d images\n", len(r.Images))
	if err := r.statistics.print(out, metrics, "%.4f"); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(r.Slices)) {
		s := r.Slices[name]
		if _, err := fmt.Fprintf(out, "%-14s%d images  BLEU-4 %.4f  ROUGE-L %.4f  CIDEr %.4f\n", name, s.Images, s.BLEU4, s.ROUGEL, s.CIDEr); err != nil {
			return err
		}
	}
	return nil
}

type captionEntry struct {
	ImageID *fileID `json:"image_id"`
	Caption *string `json:"caption"`
}

// check says what is missing of an entry.
func (e *captionEntry) check() error {
	if e.ImageID == nil {
		return errors.New("image_id is missing")
	}
	if e.Caption == nil {
		return errors.New("caption is missing")
	}
	return nil
}

// references are the captions of people, by image, in the order of the file.
type references struct {
	path    string
	images  []fileID // in the order in which the reference program reads them
	texts   map[fileID][]string
	sliceOf map[fileID]string
}

func readReferences(path, slice string) (*references, error) {
	var file struct {
		Images []struct {
			ID *fileID `json:"id"`
		} `json:"images"`
		Annotations []captionEntry `json:"annotations"`
	}
	content, err := readContent(path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, placed(err))
	}
	r := &references{path: path, texts: map[fileID][]string{}, sliceOf: map[fileID]string{}}
	listed := map[fileID]bool{}
	for i, image := range file.Images {
		if image.ID == nil {
			return nil, fmt.Errorf("%s: images[%d]: id is missing", path, i)
		}
		if listed[*image.ID] {
			return nil, fmt.Errorf("%s: images[%d]: id %s is there already", path, i, *image.ID)
		}
		listed[*image.ID] = true
		r.images = append(r.images, *image.ID)
	}
	for i, a := range file.Annotations {
		if err := a.check(); err != nil {
			return nil, fmt.Errorf("%s: annotations[%d]: %w", path, i, err)
		}
		if !listed[*a.ImageID] {
			if len(file.Images) > 0 {
				return nil, fmt.Errorf("%s: annotations[%d]: image_id %s is not among the images", path, i, *a.ImageID)
			}
			listed[*a.ImageID] = true
			r.images = append(r.images, *a.ImageID)
		}
		r.texts[*a.ImageID] = append(r.texts[*a.ImageID], *a.Caption)
	}
	if slice == "" {
		return r, nil
	}
	return r, r.readSlices(content, slice)
}

// readSlices finds a field's value for each image, in its record or in its last annotation.
func (r *references) readSlices(content []byte, field string) error {
	var file struct {
		Images, Annotations []map[string]json.RawMessage
	}
	if err := json.Unmarshal(content, &file); err != nil {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	found := false
	for _, a := range file.Annotations {
		if a[field] != nil {
			found = true
			r.sliceOf[fileID(a["image_id"])] = sliceValue(a, field)
		}
	}
	for _, image := range file.Images {
		if image[field] != nil {
			found = true
			r.sliceOf[fileID(image["id"])] = sliceValue(image, field)
		}
	}
	if !found {
		return fmt.Errorf("%s: neither images nor annotations have the field %q", r.path, field)
	}
	return nil
}

// captionsFor reads captions, in the order of the file.
func (r *references) captionsFor(path string) (order []fileID, captions map[fileID]string, err error) {
	results, err := readList[captionEntry](path)
	if err != nil {
		return nil, nil, err
	}
	captions = map[fileID]string{}
	for i, entry := range results {
		if err := entry.check(); err != nil {
			return nil, nil, fmt.Errorf("%s: [%d]: %w", path, i, err)
		}
		id := *entry.ImageID
		if _, seen := captions[id]; seen {
			return nil, nil, fmt.Errorf("%s: [%d]: image_id %s has a caption already", path, i, id)
		}
		if len(r.texts[id]) == 0 {
			return nil, nil, fmt.Errorf("%s: [%d]: image_id %s has no annotation in %s", path, i, id, r.path)
		}
		captions[id] = *entry.Caption
		order = append(order, id)
	}
	if len(order) == 0 {
		return nil, nil, fmt.Errorf("%s: no captions to score", path)
	}
	return order, captions, nil
}

// metrics scores the captions of some images, as a corpus of their own: the metrics of goblip alone, and those that need
// other people's lists or programs, which take long and look at each image by itself.
func (c *captionScoring) metrics(ctx context.Context, images []fileID, texts map[fileID][]string, captions map[fileID]string) (own, slow []eval.CaptionMetric, err error) {
	tokenHyps, tokenRefs := tokensOf(images, texts, captions)
	if own, err = eval.CaptionMetrics(tokenHyps, tokenRefs); err != nil {
		return nil, nil, err
	}
	if c.meteor != nil {
		m, err := eval.MeteorMetric(c.meteor, tokenHyps, tokenRefs)
		if err != nil {
			return nil, nil, err
		}
		slow = append(slow, m)
	}
	if c.spice != "" {
		scores, err := spice(ctx, c.spice, tokenHyps, tokenRefs)
		if err != nil {
			return nil, nil, err
		}
		slow = append(slow, eval.CaptionMetric{Name: "SPICE", Of: eval.MeanOf(scores), Images: scores})
	}
	return own, slow, nil
}

func tokensOf(images []fileID, texts map[fileID][]string, captions map[fileID]string) ([]string, [][]string) {
	hyps, refs := make([]string, len(images)), make([][]string, len(images))
	for i, id := range images {
		hyps[i], refs[i] = captions[id], texts[id]
	}
	return eval.TokenizeCaptions(hyps, refs)
}

// openMeteor opens the lists that --meteor names.
func openMeteor(path string) (*meteor.Data, error) {
	switch path {
	case "":
		return nil, nil
	case "stem":
		return &meteor.Data{}, nil
	}
	return meteor.Open(path)
}

func (c *captionScoring) score(ctx context.Context, notes io.Writer) (*captionReport, []metric, error) {
	refs, err := readReferences(c.refs, c.slice)
	if err != nil {
		return nil, nil, err
	}
	if c.meteor, err = openMeteor(c.meteorPath); err != nil {
		return nil, nil, err
	}
	order, captions, err := refs.captionsFor(c.hyps)
	if err != nil {
		return nil, nil, err
	}
	var images []fileID
	index := map[fileID]int{}
	for _, id := range refs.images {
		if _, there := captions[id]; there {
			index[id] = len(images)
			images = append(images, id)
		}
	}
	if left := len(refs.texts) - len(images); left > 0 {
		fmt.Fprintf(notes, "goblip: warning: %s: %d of %d annotated images have no caption and are left out\n", c.hyps, left, len(refs.texts))
	}
	own, slow, err := c.metrics(ctx, images, refs.texts, captions)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", c.hyps, err)
	}
	scored := slices.Concat(own, slow)
	report := &captionReport{Overall: eval.ScoresOf(scored, nil)}
	for _, id := range order {
		report.Images = append(report.Images, imageScores{id, eval.ImageScores(scored, index[id])})
	}
	metrics, others := named(scored), []metric(nil)
	if c.against != "" {
		_, theirs, err := refs.captionsFor(c.against)
		if err != nil {
			return nil, nil, err
		}
		for _, id := range images {
			if _, there := theirs[id]; !there {
				return nil, nil, fmt.Errorf("%s: image_id %s has no caption, but %s has one: both must caption the same images", c.against, id, c.hyps)
			}
		}
		if len(theirs) != len(images) {
			return nil, nil, fmt.Errorf("%s captions %d images, %s %d: both must caption the same", c.against, len(theirs), c.hyps, len(images))
		}
		own, slow, err := c.metrics(ctx, images, refs.texts, theirs)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.against, err)
		}
		others = named(slices.Concat(own, slow))
	}
	if report.statistics, err = c.statistics(len(images), metrics, others); err != nil {
		return nil, nil, err
	}
	if c.slice != "" {
		report.Slices, err = c.slices(images, refs, captions, slow)
	}
	return report, metrics, err
}

// slices scores the images of each value of a field; slow are metrics of all images, which are not computed again.
func (c *captionScoring) slices(images []fileID, refs *references, captions map[fileID]string, slow []eval.CaptionMetric) (map[string]captionSlice, error) {
	parts := map[string][]int{}
	for i, id := range images {
		name := refs.sliceOf[id]
		parts[name] = append(parts[name], i)
	}
	out := map[string]captionSlice{}
	for name, part := range parts {
		var ids []fileID
		for _, i := range part {
			ids = append(ids, images[i])
		}
		scored, err := eval.CaptionMetrics(tokensOf(ids, refs.texts, captions))
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", c.slice, name, err)
		}
		for _, m := range slow {
			scored = append(scored, eval.CaptionMetric{Name: m.Name, Of: func([]int) float64 { return m.Of(part) }})
		}
		out[name] = captionSlice{len(part), eval.ScoresOf(scored, nil)}
	}
	return out, nil
}

func named(scored []eval.CaptionMetric) []metric {
	var out []metric
	for _, m := range scored {
		out = append(out, metric{m.Name, m.Of})
	}
	return out
}
