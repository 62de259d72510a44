package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"goblip/eval"
)

// newScoreCommand returns "score": metrics from files alone, without a model.
func newScoreCommand() *cobra.Command {
	score := &cobra.Command{
		Use:   "score",
		Short: "Compute metrics from files, without a model",
		Args:  cobra.NoArgs,
	}
	score.AddCommand(newScoreCaptionCommand(), newScoreRetrievalCommand())
	return score
}

func newScoreCaptionCommand() *cobra.Command {
	var refs, hyps string
	var asJSON bool
	command := &cobra.Command{
		Use:   "caption --refs ANNOTATIONS.json --hyps RESULTS.json",
		Short: "BLEU, ROUGE-L and CIDEr of captions in COCO's file layout",
		Long: `Scores captions (a list of {"image_id", "caption"}) against reference captions ({"annotations": [{"image_id",
"caption"}, ...]}), both in COCO's layout, gzipped or not. Every scored image needs a caption; annotated images without
one are left out, and with them their share of CIDEr's document frequencies.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			scores, err := scoreCaptions(refs, hyps)
			if err != nil {
				return err
			}
			out := command.OutOrStdout()
			if asJSON {
				return writeJSON(out, scores)
			}
			s := scores.Overall
			_, err = fmt.Fprintf(out, "%d images\nBLEU-1   %.4f\nBLEU-2   %.4f\nBLEU-3   %.4f\nBLEU-4   %.4f\nROUGE-L  %.4f\nCIDEr    %.4f\n",
				len(scores.Images), s.BLEU1, s.BLEU2, s.BLEU3, s.BLEU4, s.ROUGEL, s.CIDEr)
			return err
		},
	}
	command.Flags().StringVar(&refs, "refs", "", "file of reference captions (COCO annotations)")
	command.Flags().StringVar(&hyps, "hyps", "", "file of captions to score (COCO results)")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON, with the scores of each image")
	requireFlags(command, "refs", "hyps")
	return command
}

// captionReport is what "score caption --json" prints. A metric that was not computed is absent.
type captionReport struct {
	Overall eval.CaptionScores `json:"overall"`
	Images  []imageScores      `json:"images"`
}

type imageScores struct {
	ImageID imageID `json:"image_id"`
	eval.CaptionScores
}

// imageID is an image's id as its file writes it: a number in COCO's files, a string in others.
type imageID string

func (id *imageID) UnmarshalJSON(b []byte) error {
	var value any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return err
	}
	switch value.(type) {
	case json.Number, string:
		*id = imageID(b)
		return nil
	}
	return fmt.Errorf("image_id %s is neither a number nor a string", b)
}

func (id imageID) MarshalJSON() ([]byte, error) { return []byte(id), nil }

type captionEntry struct {
	ImageID *imageID `json:"image_id"`
	Caption *string  `json:"caption"`
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

func scoreCaptions(refsPath, hypsPath string) (*captionReport, error) {
	var annotations struct {
		Annotations []captionEntry `json:"annotations"`
	}
	if err := readJSON(refsPath, &annotations); err != nil {
		return nil, err
	}
	var results []captionEntry
	if err := readJSON(hypsPath, &results); err != nil {
		return nil, err
	}
	references := map[imageID][]string{}
	for i, a := range annotations.Annotations {
		if err := a.check(); err != nil {
			return nil, fmt.Errorf("%s: annotations[%d]: %w", refsPath, i, err)
		}
		references[*a.ImageID] = append(references[*a.ImageID], *a.Caption)
	}
	report := &captionReport{}
	var captions []string
	var captionRefs [][]string
	seen := map[imageID]bool{}
	for i, r := range results {
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("%s: [%d]: %w", hypsPath, i, err)
		}
		id := *r.ImageID
		if seen[id] {
			return nil, fmt.Errorf("%s: [%d]: image_id %s has a caption already", hypsPath, i, id)
		}
		seen[id] = true
		if len(references[id]) == 0 {
			return nil, fmt.Errorf("%s: [%d]: image_id %s has no annotation in %s", hypsPath, i, id, refsPath)
		}
		captions = append(captions, *r.Caption)
		captionRefs = append(captionRefs, references[id])
		report.Images = append(report.Images, imageScores{ImageID: id})
	}
	overall, images, err := eval.Captions(captions, captionRefs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", hypsPath, err)
	}
	report.Overall = overall
	for i := range images {
		report.Images[i].CaptionScores = images[i]
	}
	return report, nil
}

func newScoreRetrievalCommand() *cobra.Command {
	var path string
	var asJSON bool
	command := &cobra.Command{
		Use:   "retrieval --scores CASE.json",
		Short: "Recall at 1, 5 and 10 of a matrix of image-text scores",
		Long: `Reads {"img2txt": [[text, ...], ...], "txt2img": [image, ...], "scores_i2t": [images][texts], "scores_t2i":
[texts][images]} (scores_t2i is optional: without it, scores_i2t counts in both directions), gzipped or not.

Equal scores are counted in three ways: against the right answer (pessimistic: the one to quote), for it (optimistic),
and as the papers' code orders them when its sort is stable (the higher index first).`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			recalls, err := scoreRetrieval(path)
			if err != nil {
				return err
			}
			out := command.OutOrStdout()
			if asJSON {
				return writeJSON(out, recalls)
			}
			_, err = fmt.Fprintf(out, "                R@1     R@5    R@10\nimage to text %s\ntext to image %s\n",
				recallRow(recalls.I2T.Pessimistic), recallRow(recalls.T2I.Pessimistic))
			return err
		},
	}
	command.Flags().StringVar(&path, "scores", "", "file of scores")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON, under three rules for equal scores")
	requireFlags(command, "scores")
	return command
}

func recallRow(r eval.Recall) string { return fmt.Sprintf("%6.2f  %6.2f  %6.2f", r.R1, r.R5, r.R10) }

// retrievalReport is what "score retrieval --json" prints.
type retrievalReport struct {
	I2T tieRecalls `json:"i2t"`
	T2I tieRecalls `json:"t2i"`
}

type tieRecalls struct {
	Optimistic  eval.Recall `json:"optimistic"`
	Pessimistic eval.Recall `json:"pessimistic"`
	Stable      eval.Recall `json:"stable"`
}

func scoreRetrieval(path string) (*retrievalReport, error) {
	var c struct {
		TextsOfImage [][]int     `json:"img2txt"`
		ImageOfText  []int       `json:"txt2img"`
		ScoresI2T    [][]float64 `json:"scores_i2t"`
		ScoresT2I    [][]float64 `json:"scores_t2i"`
	}
	if err := readJSON(path, &c); err != nil {
		return nil, err
	}
	if c.ScoresI2T == nil {
		return nil, fmt.Errorf("%s: scores_i2t is missing", path)
	}
	if c.ImageOfText == nil {
		return nil, fmt.Errorf("%s: txt2img is missing", path)
	}
	for image, texts := range c.TextsOfImage {
		for _, text := range texts {
			if text < 0 || text >= len(c.ImageOfText) || c.ImageOfText[text] != image {
				return nil, fmt.Errorf("%s: img2txt gives text %d to image %d, but txt2img does not", path, text, image)
			}
		}
	}
	var report retrievalReport
	i2t := func(rule eval.TieRule) ([]int, error) {
		return eval.ImageToTextRanks(c.ScoresI2T, c.ImageOfText, rule)
	}
	if err := report.I2T.fill(i2t); err != nil {
		return nil, fmt.Errorf("%s: scores_i2t: %w", path, err)
	}
	name := "scores_t2i"
	if c.ScoresT2I == nil {
		name, c.ScoresT2I = "scores_i2t", eval.Transpose(c.ScoresI2T)
	}
	t2i := func(rule eval.TieRule) ([]int, error) {
		return eval.TextToImageRanks(c.ScoresT2I, c.ImageOfText, rule)
	}
	if err := report.T2I.fill(t2i); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", path, name, err)
	}
	return &report, nil
}

func (r *tieRecalls) fill(ranks func(eval.TieRule) ([]int, error)) error {
	for rule, recall := range map[eval.TieRule]*eval.Recall{
		eval.Optimistic: &r.Optimistic, eval.Pessimistic: &r.Pessimistic, eval.Stable: &r.Stable,
	} {
		of, err := ranks(rule)
		if err != nil {
			return err
		}
		*recall = eval.RecallOf(of)
	}
	return nil
}

// maxInput bounds what a file of captions or scores may hold once unpacked.
const maxInput = 1 << 30

// readJSON decodes a JSON file, gzipped or not, that holds one value and nothing else.
func readJSON(path string, value any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	buffered := bufio.NewReader(f)
	var in io.Reader = buffered
	if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		in = z
	}
	limited := &io.LimitedReader{R: in, N: maxInput + 1}
	content, err := io.ReadAll(limited)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(content) > maxInput {
		return fmt.Errorf("%s: more than %d bytes", path, maxInput)
	}
	if err := json.Unmarshal(content, value); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeJSON prints a result as indented JSON.
func writeJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// requireFlags makes flags required. It panics on a name that is not a flag, which only a programming error can be.
func requireFlags(command *cobra.Command, names ...string) {
	for _, name := range names {
		if err := command.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
}
