package infer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"goblip/checkpoints"
	"goblip/datasets/text"
	"goblip/models/blip"
	"goblip/models/blip2"
	"goblip/models/nn"
	"goblip/models/vit"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// rowsAtOnce is the largest batch of the graphs here; smaller ones are filled up to a power of two, so
// that few graphs are compiled for a text length.
const rowsAtOnce = 64

// Retriever is a dual encoder with a match head, BLIP-2's stage 1 (Blip2ForImageTextRetrieval) or a
// BLIP (BlipForImageTextRetrieval): it embeds pictures and texts and says how well they match.
type Retriever struct {
	Words *text.WordPiece

	// Dim is the width of an embedding, Vectors how many a picture has: one a query in BLIP-2, else one.
	Dim, Vectors int

	// MatchToken replaces a text's first token where it is read with a picture; below 0 it stays.
	MatchToken int32

	vision     *vit.Config
	limit, pad int // of a text: its longest, what fills it up

	backend                       compute.Backend
	store                         *model.Store
	images                        pixelGraph
	image, text, similarity, pair *model.Exec
	looks                         *model.Exec
	look                          func(scope *model.Scope, states, ids, mask *Node) blip2.Output // nil: it has no queries
}

// retrieval are the graphs of a Retriever. states are the image tower's before its final norm
// [batch, patches, image_hidden], ids and mask int32 [batch, text].
type retrieval interface {
	imageFeatures(scope *model.Scope, states *Node) *Node    // normalized [batch, vectors, projection]
	textFeatures(scope *model.Scope, ids, mask *Node) *Node  // normalized [batch, projection]
	match(scope *model.Scope, states, ids, mask *Node) *Node // logits [batch, 2], index 1 = match
}

// OpenRetriever loads a folder of one of the two classes, strictly.
func OpenRetriever(backend compute.Backend, dir string) (*Retriever, error) {
	folder, err := checkpoints.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	var kind struct {
		Architectures []string `json:"architectures"`
	}
	if err := folder.Config(&kind); err != nil {
		return nil, err
	}
	if err := requireClass(folder, kind.Architectures, blip2.RetrievalClass, blip.RetrievalClass); err != nil {
		return nil, err
	}
	r := &Retriever{backend: backend, store: model.NewStore(), MatchToken: -1}
	if r.Words, err = OpenWordPiece(dir); err != nil {
		return nil, err
	}
	var graphs retrieval
	if slices.Contains(kind.Architectures, blip.RetrievalClass) {
		graphs, err = r.loadBLIP(folder)
	} else {
		graphs, err = r.loadBLIP2(folder)
	}
	if err != nil {
		return nil, err
	}
	if err := nn.TransposeWeights(backend, r.store); err != nil {
		return nil, err
	}
	return r, r.compile(graphs)
}

// stage1 is BLIP-2's.
type stage1 struct{ cfg *blip2.Config }

func (m stage1) imageFeatures(scope *model.Scope, states *Node) *Node {
	im := blip2.EncodeImages(scope, m.cfg, states)
	blip2.ProjectImages(scope, m.cfg, &im)
	return im.Features
}

func (m stage1) textFeatures(scope *model.Scope, ids, mask *Node) *Node {
	features, _ := blip2.TextFeatures(scope, m.cfg, ids, mask)
	return features
}

func (m stage1) match(scope *model.Scope, states, ids, mask *Node) *Node {
	im := blip2.EncodeImages(scope, m.cfg, states)
	return blip2.Match(scope, m.cfg, im.Queries, im.KV, ids, mask)
}

func (r *Retriever) loadBLIP2(folder *checkpoints.Folder) (retrieval, error) {
	cfg := &blip2.Config{}
	if err := folder.Config(cfg); err != nil {
		return nil, err
	}
	if err := validate(folder, cfg); err != nil {
		return nil, err
	}
	r.vision, r.Dim, r.Vectors = &cfg.Vision, cfg.ImageTextHiddenSize, cfg.NumQueryTokens
	r.limit, r.pad = cfg.QFormer.MaxPositionEmbeddings, cfg.QFormer.PadTokenID
	want, err := r.declare(stage1{cfg})
	if err != nil {
		return nil, err
	}
	_, err = folder.LoadWith(r.store, want, checkpoints.LoadOptions{ConvertFloats: true, Backend: r.backend,
		IgnoreUnexpected: func(name string) bool { return blip2.IsPretraining(name) || IsPositionIDs(name) }})
	r.look = func(scope *model.Scope, states, ids, mask *Node) blip2.Output {
		return blip2.Look(scope, cfg, states, ids, mask)
	}
	return stage1{cfg}, err
}

// declare makes the model's variables in the store and lists its tensors.
func (r *Retriever) declare(graphs retrieval) (map[string]shapes.Shape, error) {
	side := r.vision.ImageSize
	return Declare(r.backend, r.store, func(scope *model.Scope, in []*Node) {
		states := ImageStates(scope, r.vision, in[0])
		graphs.imageFeatures(scope, states)
		graphs.textFeatures(scope, in[1], in[1])
		graphs.match(scope, states, in[1], in[1])
	}, shapes.Make(dtypes.Uint8, 1, side, side, 3), shapes.Make(dtypes.Int32, 1, 4))
}

func (r *Retriever) compile(graphs retrieval) (err error) {
	if r.look != nil {
		if err := r.compileLooks(); err != nil {
			return err
		}
	}
	if r.image, err = model.NewExec(r.backend, r.store, func(root *model.Scope, states *Node) *Node {
		return graphs.imageFeatures(root.At("model"), states)
	}); err != nil {
		return err
	}
	if r.text, err = model.NewExec(r.backend, r.store, func(root *model.Scope, ids, mask *Node) *Node {
		return graphs.textFeatures(root.At("model"), ids, mask)
	}); err != nil {
		return err
	}
	if r.similarity, err = model.NewExec(r.backend, r.store, func(_ *model.Scope, images, texts *Node) *Node {
		return blip2.Similarity(images, texts)
	}); err != nil {
		return err
	}
	r.pair, err = model.NewExec(r.backend, r.store, func(root *model.Scope, states, ids, mask *Node) []*Node {
		logits := graphs.match(root.At("model"), states, ids, mask)
		match := func(x *Node) *Node { return Squeeze(Slice(x, AxisRange(), AxisElem(1)), 1) }
		return []*Node{match(logits), match(Softmax(logits, -1))}
	})
	return err
}

// Finalize frees the compiled graphs and the weights.
func (r *Retriever) Finalize() {
	r.images.finalize()
	for _, e := range []*model.Exec{r.image, r.text, r.similarity, r.pair, r.looks} {
		if e != nil { // only models with queries have looks
			e.Finalize()
		}
	}
	r.store.Finalize()
}

// States runs the frozen image encoder.
func (r *Retriever) States(p *Pictures, progress func(done, total int)) (*Features, error) {
	return r.images.encode(context.Background(), r.backend, r.store, r.vision, p, progress)
}

// ImageFeatures embeds pictures: normalized, flat [pictures, queries, projection].
func (r *Retriever) ImageFeatures(f *Features) ([]float32, error) {
	var out []float32
	size := r.Vectors * r.Dim
	err := batches(f.Len(), func(rows []int, n int) error {
		return appendRows(&out, n*size)(r.image.Call1(f.Batch(rows)))
	})
	return out, err
}

// TextFeatures embeds texts: normalized, flat [texts, projection].
func (r *Retriever) TextFeatures(texts []string) ([]float32, error) {
	var out []float32
	rows := r.encode(texts)
	length := r.textLength(rows)
	err := batches(len(texts), func(picked []int, n int) error {
		ids, mask := r.padded(rows, picked, length)
		return appendRows(&out, n*r.Dim)(r.text.Call1(ids, mask))
	})
	return out, err
}

// Similarities are the contrastive scores, a cosine each: [pictures][texts].
func (r *Retriever) Similarities(imageFeatures, textFeatures []float32) ([][]float32, error) {
	d, q := r.Dim, r.Vectors
	texts := tensors.FromFlatDataAndDimensions(textFeatures, len(textFeatures)/d, d)
	count := len(imageFeatures) / (d * q)
	var out [][]float32
	err := batches(count, func(rows []int, n int) error {
		picked := make([]float32, 0, len(rows)*d*q)
		for _, i := range rows {
			picked = append(picked, imageFeatures[i*d*q:(i+1)*d*q]...)
		}
		scores, err := r.similarity.Call1(tensors.FromFlatDataAndDimensions(picked, len(rows), q, d), texts)
		if err != nil {
			return err
		}
		flat, err := tensors.CopyFlatData[float32](scores)
		if err != nil {
			return err
		}
		width := len(flat) / len(rows)
		for i := range n {
			out = append(out, flat[i*width:(i+1)*width])
		}
		return nil
	})
	return out, err
}

// Pair is one picture with one text, by number.
type Pair struct{ Image, Text int }

// Match gives the matching logit (index 1 of itm_head, the mean over queries) of each pair, which
// re-ranking adds to the contrastive score.
func (r *Retriever) Match(f *Features, texts []string, pairs []Pair, progress func(done, total int)) ([]float32, error) {
	logits, _, err := r.match(f, texts, pairs, progress)
	return logits, err
}

// MatchScores gives the matching logit and the probability that it matches, by both logits of
// itm_head, of each pair.
func (r *Retriever) MatchScores(f *Features, texts []string, pairs []Pair) (logits, probabilities []float32, err error) {
	return r.match(f, texts, pairs, nil)
}

func (r *Retriever) match(f *Features, texts []string, pairs []Pair, progress func(done, total int)) (logits, probabilities []float32, err error) {
	rows := r.encode(texts)
	if r.MatchToken >= 0 {
		for _, row := range rows {
			row[0] = r.MatchToken
		}
	}
	length := r.textLength(rows)
	err = batches(len(pairs), func(picked []int, n int) error {
		images, of := make([]int, len(picked)), make([]int, len(picked))
		for i, k := range picked {
			images[i], of[i] = pairs[k].Image, pairs[k].Text
		}
		ids, mask := r.padded(rows, of, length)
		out, err := r.pair.Call(f.Batch(images), ids, mask)
		if err != nil {
			return err
		}
		if err := appendRows(&logits, n)(out[0], nil); err != nil {
			return err
		}
		if progress != nil {
			progress(len(logits), len(pairs))
		}
		return appendRows(&probabilities, n)(out[1], nil)
	})
	return logits, probabilities, err
}

func (r *Retriever) encode(texts []string) [][]int32 {
	rows := make([][]int32, len(texts))
	limit := r.limit
	for i, t := range texts {
		rows[i] = text.EncodeMax(r.Words, t, limit)
	}
	return rows
}

func (r *Retriever) padded(all [][]int32, picked []int, length int) (ids, mask *tensors.Tensor) {
	rows := make([][]int32, len(picked))
	for i, k := range picked {
		rows[i] = all[k]
	}
	flat, seen := text.Pad(rows, length, int32(r.pad), false)
	return tensors.FromFlatDataAndDimensions(flat, len(rows), length), tensors.FromFlatDataAndDimensions(seen, len(rows), length)
}

// textLength is that of the longest row, see textLength, within what the model takes.
func (r *Retriever) textLength(rows [][]int32) int { return min(textLength(rows), r.limit) }

// textLength rounds the longest row up to a multiple of 8: few lengths, few graphs.
func textLength(rows [][]int32) int {
	longest := 1
	for _, r := range rows {
		longest = max(longest, len(r))
	}
	return (longest + 7) / 8 * 8
}

// batches calls fn for 0..n-1 in groups of rowsAtOnce, or of the power of two that holds all; a short
// last group repeats its last row, and only the first n of its rows count.
func batches(n int, fn func(rows []int, n int) error) error {
	size := 1
	for size < min(n, rowsAtOnce) {
		size *= 2
	}
	rows := make([]int, size)
	for at := 0; at < n; at += size {
		count := min(size, n-at)
		for i := range rows {
			rows[i] = at + min(i, count-1)
		}
		if err := fn(rows, count); err != nil {
			return err
		}
	}
	return nil
}

// appendRows appends the first n values of a result.
func appendRows(out *[]float32, n int) func(*tensors.Tensor, error) error {
	return func(t *tensors.Tensor, err error) error {
		if err != nil {
			return err
		}
		if err := tensors.ConstFlatData(t, func(flat []float32) { *out = append(*out, flat[:n]...) }); err != nil {
			return err
		}
		return t.FinalizeAll()
	}
}

// requireClass refuses a folder of another class, naming it and those wanted.
func requireClass(folder *checkpoints.Folder, architectures []string, want ...string) error {
	for _, a := range architectures {
		if slices.Contains(want, a) {
			return nil
		}
	}
	return fmt.Errorf("%s: config.json says %v, this needs a %s", folder.Dir(), architectures, strings.Join(want, " or "))
}
