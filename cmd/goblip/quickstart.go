package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/datasets/shapes"
	"goblip/eval/report"
	"goblip/infer"
	"goblip/internal/pjrt"
	"goblip/models/generate"
	"goblip/train"
	"goblip/train/recipes"
	"goblip/train/runlog"
)

// quickstart is the whole story on a small corpus: data, the two frozen towers, stage 1, stage 2,
// questions, evaluation, report.
type quickstart struct {
	Minutes float64 `json:"minutes"`
	Seed    uint64  `json:"seed"`
	Devices int     `json:"devices"`
	Ablate  string  `json:"ablate"`

	out     string
	quiet   bool
	backend compute.Backend
	info    pjrt.Info
	command string
	clock   *phaseClock
	states  *infer.Features // of the test pictures: see seen
	phases  []report.Phase
	results report.Results
}

func newQuickstartCommand() *cobra.Command {
	q := &quickstart{}
	var asJSON bool
	command := &cobra.Command{
		Use:   "quickstart",
		Short: "Train a small BLIP-2 from nothing and show what it sees",
		Long: `Train a small BLIP-2 from nothing and show what it sees: makes a corpus of drawn scenes, trains
an image tower and a language model on it and freezes both, then stage 1, stage 2 and answers to questions, and writes
report.html and results.json. Interrupted, the same command continues.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.Minutes <= 0 {
				return usagef("--minutes %g: must be positive", q.Minutes)
			}
			switch q.Ablate {
			case "", "stage1", "itg":
			default:
				return usagef("--ablate %q: stage1 or itg", q.Ablate)
			}
			var err error
			if q.backend, q.info, err = openBackend(cmd, q.Devices); err != nil {
				return err
			}
			q.quiet, q.command = asJSON, strings.Join(append([]string{"goblip"}, os.Args[1:]...), " ")
			err = q.run(cmd.Context())
			if errors.Is(err, train.ErrStopped) {
				cmd.PrintErrf("goblip: %v; the same command continues\n", err)
				return nil // as asked
			}
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), &q.results)
			}
			q.summarize(cmd)
			return nil
		},
	}
	flags := command.Flags()
	flags.Float64Var(&q.Minutes, "minutes", 12, "time to spend on a machine of two cores; 1 is the smallest that shows anything, 60 shows more")
	flags.Uint64Var(&q.Seed, "seed", 1, "of the corpus, the weights and the order of the data")
	flags.IntVar(&q.Devices, "devices", 1, "data-parallel devices")
	flags.StringVar(&q.Ablate, "ablate", "", "stage1: train stage 2 without stage 1 too; itg: train stage 1 without ITG too")
	flags.StringVar(&q.out, "out", "runs/quickstart", "folder for everything it makes")
	flags.BoolVar(&asJSON, "json", false, "print results.json and no progress")
	return command
}

// scale is the share of the training steps of 12 minutes that fit: two minutes are taken by what
// does not shrink (compiling, evaluation).
func (q *quickstart) scale() float64 { return max((q.Minutes-2)/10, 0.02) }

func (q *quickstart) steps(atTwelve int) int { return max(int(float64(atTwelve)*q.scale()), 10) }

func (q *quickstart) dir(parts ...string) string {
	return filepath.Join(append([]string{q.out}, parts...)...)
}

func (q *quickstart) run(ctx context.Context) error {
	err := q.begin()
	if err != nil {
		return err
	}
	if q.clock, err = openPhaseClock(q.dir("seconds.json")); err != nil {
		return err
	}
	corpus := shapes.Default()
	corpus.Seed = q.Seed
	if q.Minutes < 5 {
		corpus.Train, corpus.Val, corpus.Test = 4000, 100, 200
	}
	if q.Minutes > 20 {
		corpus.Train *= 2
	}
	if err := q.phase("corpus", "scenes drawn with known truth", exists(q.dir("data", "corpus.json")), func() error {
		bar := barFor("drawing scenes", 0, q.quiet)
		defer bar.Done()
		return shapes.Generate(q.dir("data"), corpus, bar.Update)
	}); err != nil {
		return err
	}
	training, err := q.pictures("train")
	if err != nil {
		return err
	}
	options := recipes.Options{Devices: q.Devices, LogEvery: 10, CheckpointEvery: 200, Resume: true, Quiet: q.quiet}

	clip := recipes.DefaultCLIP()
	clip.Seed, clip.Steps = q.Seed, q.steps(clip.Steps)
	lm := recipes.DefaultLM()
	lm.Seed, lm.Steps = q.Seed, min(q.steps(lm.Steps), 2*lm.Steps) // it has learnt its few words by then
	stage1 := recipes.DefaultStage1()
	stage1.Seed, stage1.Steps = q.Seed, q.steps(stage1.Steps)
	stage1.Keys = "exact" // the whole gradient: a small budget profits from it
	stage2 := recipes.DefaultStage2()
	stage2.Seed, stage2.Steps = q.Seed, q.steps(stage2.Steps)
	vqa := recipes.DefaultVQA()
	vqa.Seed, vqa.Steps = q.Seed, q.steps(vqa.Steps)

	// Scenes are simple: a long stage 2 learns from nothing what stage 1 would have brought. So the
	// ablation also compares a short one, and with it what stage 1 is for.
	short := max(min(stage2.Steps, recipes.DefaultStage2().Steps)/4, 10)
	ablated := func(steps int, fromStage1 bool, o recipes.Options) (train.Summary, error) {
		s := *stage2
		s.Steps, s.FromStage1 = steps, fromStage1
		return recipes.Stage2(ctx, q.backend, &s, training, q.dir("stage1", "final"), q.dir("lm", "final"), o)
	}
	runs := []struct {
		name, note string
		train      func(o recipes.Options) (train.Summary, error)
	}{
		{"clip", "the image tower, by contrast with text; frozen afterwards", func(o recipes.Options) (train.Summary, error) {
			return recipes.CLIP(ctx, q.backend, clip, training, o)
		}},
		{"lm", "the language model, on text alone; frozen afterwards", func(o recipes.Options) (train.Summary, error) {
			return recipes.LM(ctx, q.backend, lm, slices.Collect(shapes.Texts(min(lm.Steps*lm.Batch, 30000), q.Seed)), o)
		}},
		{"stage1", "the Q-Former learns to read the frozen image tower: ITC, ITM, ITG", func(o recipes.Options) (train.Summary, error) {
			return recipes.Stage1(ctx, q.backend, stage1, training, q.dir("clip", "final"), o)
		}},
		{"stage1-without-itg", "the ablation: stage 1 on ITC and ITM alone", func(o recipes.Options) (train.Summary, error) {
			plain := *stage1
			plain.ITG = false
			return recipes.Stage1(ctx, q.backend, &plain, training, q.dir("clip", "final"), o)
		}},
		{"stage2", "the Q-Former learns to prompt the frozen language model", func(o recipes.Options) (train.Summary, error) {
			return recipes.Stage2(ctx, q.backend, stage2, training, q.dir("stage1", "final"), q.dir("lm", "final"), o)
		}},
		{"stage2-without-stage1", "the ablation: stage 2 from a random Q-Former", func(o recipes.Options) (train.Summary, error) {
			return ablated(stage2.Steps, false, o)
		}},
		{"stage2-short", "the ablation: a stage 2 too short to replace stage 1", func(o recipes.Options) (train.Summary, error) {
			return ablated(short, true, o)
		}},
		{"stage2-short-without-stage1", "the ablation: the same from a random Q-Former", func(o recipes.Options) (train.Summary, error) {
			return ablated(short, false, o)
		}},
		{"vqa", "the Q-Former learns to read a question beside the picture", func(o recipes.Options) (train.Summary, error) {
			return recipes.VQA(ctx, q.backend, vqa, training, q.dir("stage1", "final"), q.dir("lm", "final"), o)
		}},
	}
	for _, r := range runs {
		if strings.Contains(r.name, "-without-") && !strings.HasSuffix(r.name, "-"+q.Ablate) || r.name == "stage2-short" && q.Ablate != "stage1" {
			continue
		}
		o := options
		o.Dir = q.dir(r.name)
		if err := q.phase(r.name, r.note, exists(q.dir(r.name, "final", checkpoints.ConfigFile)), func() error {
			_, err := r.train(o)
			return err
		}); err != nil {
			return err
		}
	}
	return q.evaluate(training.Set)
}

// begin claims the output folder for these flags.
func (q *quickstart) begin() error {
	if err := os.MkdirAll(q.out, 0o755); err != nil {
		return err
	}
	mine, err := json.Marshal(q)
	if err != nil {
		return err
	}
	path := q.dir("quickstart.json")
	theirs, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkpoints.WriteFile(path, mine)
	case err != nil:
		return err
	}
	var other quickstart
	if err := json.Unmarshal(theirs, &other); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if other.Minutes != q.Minutes || other.Seed != q.Seed || other.Devices != q.Devices {
		return usagef("%s was made with --minutes %g --seed %d --devices %d: continue with these, or choose another --out",
			q.out, other.Minutes, other.Seed, other.Devices)
	}
	return nil
}

// phase runs one part, unless it is done, and keeps its time, memory and curves.
func (q *quickstart) phase(name, note string, done bool, run func() error) error {
	var err error
	if !done {
		err = q.clock.measure(name, run)
	}
	p := report.Phase{Name: name, Note: note, Seconds: q.clock.seconds(name), PeakMemoryBytes: pjrt.PeakMemory()}
	if steps, readErr := runlog.Read(q.dir(name, runlog.MetricsFile)); readErr == nil {
		p.Steps = steps
	}
	q.phases = append(q.phases, p)
	if q.results.Seconds == nil {
		q.results.Seconds = map[string]float64{}
	}
	q.results.Seconds[name] = p.Seconds
	return err
}

func (q *quickstart) pictures(split string) (*infer.Pictures, error) {
	set, err := datasets.Open(q.dir("data", split+".jsonl"))
	if err != nil {
		return nil, err
	}
	bar := barFor("reading pictures", len(set.Records), q.quiet)
	defer bar.Done()
	return infer.LoadPictures(set, recipes.DefaultCLIP().ImageSize, bar.Update)
}

// evaluate fills the results and writes results.json and report.html.
func (q *quickstart) evaluate(training *datasets.Set) error {
	r := &q.results
	page := &report.Report{Created: time.Now(), Summary: "A small BLIP-2, trained from nothing on drawn scenes."}
	var test *infer.Pictures
	if err := q.phase("evaluation", "on scenes that training never showed", false, func() (err error) {
		if test, err = q.pictures("test"); err != nil {
			return err
		}
		if err := q.evaluateRetrieval(test, page); err != nil {
			return err
		}
		return q.evaluateText(test, training, page)
	}); err != nil {
		return err
	}
	r.TestImages, r.PeakMemoryBytes = test.Len(), pjrt.PeakMemory()
	r.Backend, r.Devices, r.Seed = q.info.Kind, q.Devices, int64(q.Seed)
	total := 0.0
	for _, s := range r.Seconds {
		total += s
	}
	r.Seconds["total"] = total
	page.Headlines, page.Phases = r.Headlines(), q.phases
	page.Run = report.Run{Command: q.command, Facts: []report.Fact{
		{Name: "Backend", Value: q.info.Description}, {Name: "Devices", Value: fmt.Sprint(q.Devices)},
		{Name: "Seed", Value: fmt.Sprint(q.Seed)}, {Name: "Go", Value: runtime.Version()},
		{Name: "Training pictures", Value: fmt.Sprint(len(training.Records))},
	}}
	if err := report.WriteResults(q.dir("results.json"), r); err != nil {
		return err
	}
	return report.Write(q.dir("report.html"), page)
}

// seen are the states that the frozen image tower has of the test pictures. All models here have the same tower, so that
// the first to be asked encodes for all.
func (q *quickstart) seen(test *infer.Pictures, encode func(*infer.Pictures, func(done, total int)) (*infer.Features, error)) (*infer.Features, error) {
	var err error
	if q.states == nil {
		q.states, err = encode(test, nil)
	}
	return q.states, err
}

// reRankTop is how many candidates of a row or column ITM looks at again.
const reRankTop = 8

func (q *quickstart) evaluateRetrieval(test *infer.Pictures, page *report.Report) error {
	r := &q.results
	texts, imageOfText := captionsOf(test.Set)
	r.TestTexts = len(texts)
	scores, err := infer.CLIPSimilarities(q.backend, q.dir("clip", "final"), test, texts)
	if err != nil {
		return err
	}
	add := func(name string, byImage, byText [][]float32, i2t, t2i **float64) error {
		row, err := recalls(name, byImage, byText, imageOfText, q.Seed)
		if err != nil {
			return err
		}
		page.Retrieval = append(page.Retrieval, row)
		if i2t != nil {
			*i2t, *t2i = &row.ImageToText[0].Mean, &row.TextToImage[0].Mean
		}
		return nil
	}
	if err := add("the frozen CLIP alone", scores, transpose(scores), &r.ClipImageToTextR1, &r.ClipTextToImageR1); err != nil {
		return err
	}
	search := func(dir string) (*retrieval, error) {
		model, err := infer.OpenRetriever(q.backend, q.dir(dir, "final"))
		if err != nil {
			return nil, err
		}
		defer model.Finalize()
		states, err := q.seen(test, model.States)
		if err != nil {
			return nil, err
		}
		return searchAll(model, states, test.Set, reRankTop, q.quiet)
	}
	found, err := search("stage1")
	if err != nil {
		return err
	}
	if err := add("ITC", found.itc, transpose(found.itc), &r.ImageToTextR1, &r.TextToImageR1); err != nil {
		return err
	}
	if err := add("ITC, the best re-ranked by ITM", found.byImage, found.byText, &r.ImageToTextR1ITM, &r.TextToImageR1ITM); err != nil {
		return err
	}
	if q.Ablate == "itg" {
		plain, err := search("stage1-without-itg")
		if err != nil {
			return err
		}
		if err := add("ITC, trained without ITG", plain.itc, transpose(plain.itc), nil, nil); err != nil {
			return err
		}
		if err := add("ITC + ITM, trained without ITG", plain.byImage, plain.byText, nil, nil); err != nil {
			return err
		}
	}
	chance := chanceRow(test.Len(), imageOfText)
	page.Retrieval = append(page.Retrieval, chance)
	r.ChanceImageToTextR1, r.ChanceTextToImageR1 = &chance.ImageToText[0].Mean, &chance.TextToImage[0].Mean
	page.RetrievalNote = fmt.Sprintf("%d pictures, %d captions", test.Len(), len(texts))
	return showSearch(found, test, page)
}

func (q *quickstart) evaluateText(test *infer.Pictures, training *datasets.Set, page *report.Report) error {
	o := generate.Default()
	o.MaxNewTokens = 24
	// use opens a model and lets it read the test pictures.
	use := func(dir string, write func(*infer.Captioner, *infer.Features) error) error {
		model, err := infer.OpenCaptioner(q.backend, q.dir(dir, "final"))
		if err != nil {
			return err
		}
		defer model.Finalize()
		states, err := q.seen(test, model.States)
		if err != nil {
			return err
		}
		return write(model, states)
	}
	captions := func(dir string) (*written, error) {
		w := &written{}
		return w, use(dir, func(c *infer.Captioner, states *infer.Features) error {
			return w.captionAll(c, states, test.Set, "", o, q.Seed, q.quiet)
		})
	}
	w, err := captions("stage2")
	if err != nil {
		return err
	}
	if err := use("vqa", func(c *infer.Captioner, states *infer.Features) error {
		return w.answerAll(c, states, test.Set, o, learnBlind(training), q.Seed, q.quiet)
	}); err != nil {
		return err
	}
	r := &q.results
	r.CaptionFigures = w.figures(q.Seed)
	if w.answers.Blind != nil {
		r.QuestionBlindAccuracy = w.answers.Blind
	}
	page.Captions = append(page.Captions, w.row("goblip", q.Seed))
	page.Questions = append(append(page.Questions, w.answers), w.kinds...)
	if q.Ablate == "stage1" {
		for _, row := range []struct{ dir, name string }{
			{"stage2-without-stage1", "without stage 1"}, {"stage2-short", "short stage 2"}, {"stage2-short-without-stage1", "short stage 2, without stage 1"},
		} {
			of, err := captions(row.dir)
			if err != nil {
				return err
			}
			page.Captions = append(page.Captions, of.row(row.name, q.Seed))
			figures := of.figures(q.Seed)
			switch row.dir {
			case "stage2-without-stage1":
				r.WithoutStage1 = &figures
			case "stage2-short":
				r.ShortStage2 = &figures
			default:
				r.ShortWithoutStage1 = &figures
			}
		}
	}
	return showCaptions(w, test, page)
}

// summarize prints the figures that matter.
func (q *quickstart) summarize(cmd *cobra.Command) {
	out := cmd.OutOrStdout()
	fmt.Fprintln(out)
	for _, h := range q.results.Headlines() {
		fmt.Fprintf(out, "%-28s %s", h.Label, h.Value)
		if h.Note != "" {
			fmt.Fprintf(out, "   (%s)", h.Note)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "%-28s %s\n\n", "Time", runlog.Elapsed(time.Duration(q.results.Seconds["total"]*float64(time.Second))))
	fmt.Fprintf(out, "See it:   %s\n", q.dir("report.html"))
	fmt.Fprintf(out, "Try it:   goblip caption --checkpoint %s PICTURE...\n", q.dir("stage2", "final"))
	fmt.Fprintf(out, "          goblip ask --checkpoint %s --question \"is there a circle\" PICTURE...\n", q.dir("vqa", "final"))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
