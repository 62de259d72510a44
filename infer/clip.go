package infer

import (
	"goblip/checkpoints"
	"goblip/datasets/image"
	"goblip/datasets/text"
	"goblip/models/clip"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// CLIPClass is a dual encoder's class in config.json.
const CLIPClass = "CLIPModel"

// CLIP is a dual encoder: it embeds pictures and texts.
type CLIP struct {
	Config *clip.Config
	Words  text.Tokenizer

	backend compute.Backend
	store   *model.Store
	image   pixelGraph
	text    *model.Exec
}

// OpenCLIP loads a dual encoder's folder, strictly.
func OpenCLIP(backend compute.Backend, dir string) (*CLIP, error) {
	folder, err := checkpoints.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	cfg := &clip.Config{}
	if err := folder.Config(cfg); err != nil {
		return nil, err
	}
	if err := requireClass(folder, cfg.Architectures, CLIPClass); err != nil {
		return nil, err
	}
	if err := validate(folder, cfg); err != nil {
		return nil, err
	}
	c := &CLIP{Config: cfg, backend: backend, store: model.NewStore()}
	if c.Words, err = text.Open(dir); err != nil {
		return nil, err
	}
	side := cfg.Vision.ImageSize
	want, err := Declare(backend, c.store, func(scope *model.Scope, in []*Node) {
		clip.LogitScale(scope, clip.ImageFeatures(scope, cfg, PixelValues(image.Processor{}, in[0])))
		clip.TextFeatures(scope, cfg, in[1])
	}, shapes.Make(dtypes.Uint8, 1, side, side, 3), shapes.Make(dtypes.Int32, 1, 4))
	if err != nil {
		return nil, err
	}
	if _, err := folder.LoadWith(c.store, want, checkpoints.LoadOptions{ConvertFloats: true, IgnoreUnexpected: clip.IsCaptionDecoder}); err != nil {
		return nil, err
	}
	c.text, err = model.NewExec(backend, c.store, func(root *model.Scope, ids *Node) *Node {
		return clip.TextFeatures(root.At("model"), cfg, ids)
	})
	return c, err
}

// Finalize frees the compiled graphs and the weights.
func (c *CLIP) Finalize() {
	c.image.finalize()
	c.text.Finalize()
	c.store.Finalize()
}

// ImageFeatures embeds pictures: normalized, flat [pictures, projection].
func (c *CLIP) ImageFeatures(p *Pictures) ([]float32, error) {
	exec, err := c.image.of(c.backend, c.store, p.Processor, func(scope *model.Scope, values *Node) *Node {
		return clip.ImageFeatures(scope, c.Config, values)
	})
	if err != nil {
		return nil, err
	}
	var out []float32
	err = batches(p.Len(), func(rows []int, n int) error {
		return appendRows(&out, n*c.Config.ProjectionDim)(exec.Call1(p.Batch(rows)))
	})
	return out, err
}

// TextFeatures embeds texts: normalized, flat [texts, projection].
func (c *CLIP) TextFeatures(texts []string) ([]float32, error) {
	t := &c.Config.Text
	rows := make([][]int32, len(texts))
	for i, s := range texts {
		rows[i] = text.EncodeMax(c.Words, s, t.MaxPositionEmbeddings)
	}
	length := min(textLength(rows), t.MaxPositionEmbeddings)
	var out []float32
	err := batches(len(texts), func(picked []int, n int) error {
		of := make([][]int32, len(picked))
		for i, k := range picked {
			of[i] = rows[k]
		}
		flat, _ := text.Pad(of, length, int32(t.PadTokenID), false)
		return appendRows(&out, n*c.Config.ProjectionDim)(c.text.Call1(tensors.FromFlatDataAndDimensions(flat, len(of), length)))
	})
	return out, err
}

// CLIPSimilarities loads a dual encoder and compares every picture with every text by cosine:
// [pictures][texts]. It is the yardstick for what stage 1 adds.
func CLIPSimilarities(backend compute.Backend, dir string, p *Pictures, texts []string) ([][]float32, error) {
	c, err := OpenCLIP(backend, dir)
	if err != nil {
		return nil, err
	}
	defer c.Finalize()
	images, err := c.ImageFeatures(p)
	if err != nil {
		return nil, err
	}
	features, err := c.TextFeatures(texts)
	if err != nil {
		return nil, err
	}
	dot, err := model.NewExec(backend, c.store, func(_ *model.Scope, a, b *Node) *Node { return Einsum("id,td->it", a, b) })
	if err != nil {
		return nil, err
	}
	defer dot.Finalize()
	scores, err := dot.Call1(tensors.FromFlatDataAndDimensions(images, p.Len(), c.Config.ProjectionDim),
		tensors.FromFlatDataAndDimensions(features, len(texts), c.Config.ProjectionDim))
	if err != nil {
		return nil, err
	}
	flat, err := tensors.CopyFlatData[float32](scores)
	if err != nil {
		return nil, err
	}
	out := make([][]float32, p.Len())
	for i := range out {
		out[i] = flat[i*len(texts) : (i+1)*len(texts)]
	}
	return out, nil
}
