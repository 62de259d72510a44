package infer

import (
	"goblip/checkpoints"
	"goblip/datasets/text"
	"goblip/models/clip"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// CLIPSimilarities loads a dual encoder and compares every picture with every text by cosine:
// [pictures][texts]. It is the yardstick for what stage 1 adds.
func CLIPSimilarities(backend compute.Backend, dir string, p *Pictures, texts []string) ([][]float32, error) {
	folder, err := checkpoints.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	var cfg clip.Config
	if err := folder.Config(&cfg); err != nil {
		return nil, err
	}
	if err := requireClass(folder, cfg.Architectures, "CLIPModel"); err != nil {
		return nil, err
	}
	if err := validate(folder, &cfg); err != nil {
		return nil, err
	}
	words, err := text.Open(dir)
	if err != nil {
		return nil, err
	}
	store, side := model.NewStore(), cfg.Vision.ImageSize
	image := func(scope *model.Scope, u8 *Node) *Node {
		return clip.ImageFeatures(scope, &cfg, PixelValues(p.Processor, u8))
	}
	want, err := Declare(backend, store, func(scope *model.Scope, in []*Node) {
		clip.LogitScale(scope, image(scope, in[0]))
		clip.TextFeatures(scope, &cfg, in[1])
	}, shapes.Make(dtypes.Uint8, 1, side, side, 3), shapes.Make(dtypes.Int32, 1, 4))
	if err != nil {
		return nil, err
	}
	if _, err := folder.LoadWith(store, want, checkpoints.LoadOptions{ConvertFloats: true, IgnoreUnexpected: clip.IsCaptionDecoder}); err != nil {
		return nil, err
	}
	defer store.Finalize()
	imageExec, err := model.NewExec(backend, store, func(root *model.Scope, u8 *Node) *Node { return image(root.At("model"), u8) })
	if err != nil {
		return nil, err
	}
	defer imageExec.Finalize()
	textExec, err := model.NewExec(backend, store, func(root *model.Scope, ids *Node) *Node {
		return clip.TextFeatures(root.At("model"), &cfg, ids)
	})
	if err != nil {
		return nil, err
	}
	defer textExec.Finalize()
	var imageFeatures, textFeatures []float32
	if err := batches(p.Len(), func(rows []int, n int) error {
		return appendRows(&imageFeatures, n*cfg.ProjectionDim)(imageExec.Call1(p.Batch(rows)))
	}); err != nil {
		return nil, err
	}
	rows := make([][]int32, len(texts))
	for i, t := range texts {
		rows[i] = text.EncodeMax(words, t, cfg.Text.MaxPositionEmbeddings)
	}
	length := min(textLength(rows), cfg.Text.MaxPositionEmbeddings)
	if err := batches(len(texts), func(picked []int, n int) error {
		of := make([][]int32, len(picked))
		for i, k := range picked {
			of[i] = rows[k]
		}
		flat, _ := text.Pad(of, length, int32(cfg.Text.PadTokenID), false)
		return appendRows(&textFeatures, n*cfg.ProjectionDim)(textExec.Call1(tensors.FromFlatDataAndDimensions(flat, len(of), length)))
	}); err != nil {
		return nil, err
	}
	dot, err := model.NewExec(backend, store, func(_ *model.Scope, a, b *Node) *Node { return Einsum("id,td->it", a, b) })
	if err != nil {
		return nil, err
	}
	defer dot.Finalize()
	scores, err := dot.Call1(tensors.FromFlatDataAndDimensions(imageFeatures, p.Len(), cfg.ProjectionDim),
		tensors.FromFlatDataAndDimensions(textFeatures, len(texts), cfg.ProjectionDim))
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
