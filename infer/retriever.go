package infer

import (
	"fmt"
	"slices"
	"strings"

	"goblip/checkpoints"
	"goblip/datasets/text"
	"goblip/models/blip2"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// rowsAtOnce is the batch of every graph here; short batches are filled up, so that each graph
// compiles once for a text length.
const rowsAtOnce = 64

// Retriever is a stage-1 model (Blip2ForImageTextRetrieval): it embeds pictures and texts and says
// how well they match.
type Retriever struct {
	Config *blip2.Config
	Words  *text.WordPiece

	backend                       compute.Backend
	store                         *model.Store
	image, text, similarity, pair *model.Exec
}

// OpenRetriever loads a stage-1 folder, strictly.
func OpenRetriever(backend compute.Backend, dir string) (*Retriever, error) {
	folder, cfg, err := openBLIP2(dir, blip2.RetrievalClass)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	r := &Retriever{Config: cfg, backend: backend, store: model.NewStore()}
	if r.Words, err = OpenWordPiece(dir); err != nil {
		return nil, err
	}
	want, err := retrieverTensors(backend, r.store, cfg)
	if err != nil {
		return nil, err
	}
	if _, err := folder.LoadWith(r.store, want, checkpoints.LoadOptions{ConvertFloats: true, IgnoreUnexpected: IsPretraining}); err != nil {
		return nil, err
	}
	return r, r.compile()
}

// retrieverTensors declares the model's variables in the store and lists its tensors.
func retrieverTensors(backend compute.Backend, store *model.Store, cfg *blip2.Config) (map[string]shapes.Shape, error) {
	v := &cfg.Vision
	return Declare(backend, store, func(scope *model.Scope, in []*Node) {
		im := blip2.EncodeImages(scope, cfg, ImageStates(scope, v, in[0]))
		blip2.ProjectImages(scope, cfg, &im)
		blip2.TextFeatures(scope, cfg, in[1], in[1])
		blip2.Match(scope, cfg, im.Queries, im.KV, in[1], in[1])
	}, shapes.Make(dtypes.Uint8, 1, v.ImageSize, v.ImageSize, 3), shapes.Make(dtypes.Int32, 1, 4))
}

func (r *Retriever) compile() (err error) {
	cfg := r.Config
	if r.image, err = model.NewExec(r.backend, r.store, func(root *model.Scope, states *Node) *Node {
		scope := root.At("model")
		im := blip2.EncodeImages(scope, cfg, states)
		blip2.ProjectImages(scope, cfg, &im)
		return im.Features
	}); err != nil {
		return err
	}
	if r.text, err = model.NewExec(r.backend, r.store, func(root *model.Scope, ids, mask *Node) *Node {
		features, _ := blip2.TextFeatures(root.At("model"), cfg, ids, mask)
		return features
	}); err != nil {
		return err
	}
	if r.similarity, err = model.NewExec(r.backend, r.store, func(_ *model.Scope, images, texts *Node) *Node {
		return blip2.Similarity(images, texts)
	}); err != nil {
		return err
	}
	r.pair, err = model.NewExec(r.backend, r.store, func(root *model.Scope, states, ids, mask *Node) []*Node {
		scope := root.At("model")
		im := blip2.EncodeImages(scope, cfg, states)
		logits := blip2.Match(scope, cfg, im.Queries, im.KV, ids, mask)
		match := func(x *Node) *Node { return Squeeze(Slice(x, AxisRange(), AxisElem(1)), 1) }
		return []*Node{match(logits), match(Softmax(logits, -1))}
	})
	return err
}

// Finalize frees the compiled graphs and the weights.
func (r *Retriever) Finalize() {
	for _, e := range []*model.Exec{r.image, r.text, r.similarity, r.pair} {
		e.Finalize()
	}
	r.store.Finalize()
}

// States runs the frozen image encoder.
func (r *Retriever) States(p *Pictures, progress func(done, total int)) (*Features, error) {
	return Encode(r.backend, r.store, &r.Config.Vision, p, progress)
}

// ImageFeatures embeds pictures: normalized, flat [pictures, queries, projection].
func (r *Retriever) ImageFeatures(f *Features) ([]float32, error) {
	var out []float32
	size := r.Config.NumQueryTokens * r.Config.ImageTextHiddenSize
	err := batches(f.Len(), func(rows []int, n int) error {
		return appendRows(&out, n*size)(r.image.Call1(f.Batch(rows)))
	})
	return out, err
}

// TextFeatures embeds texts: normalized, flat [texts, projection].
func (r *Retriever) TextFeatures(texts []string) ([]float32, error) {
	var out []float32
	rows := r.encode(texts)
	length := textLength(rows)
	err := batches(len(texts), func(picked []int, n int) error {
		ids, mask := r.padded(rows, picked, length)
		return appendRows(&out, n*r.Config.ImageTextHiddenSize)(r.text.Call1(ids, mask))
	})
	return out, err
}

// Similarities are the contrastive scores, a cosine each: [pictures][texts].
func (r *Retriever) Similarities(imageFeatures, textFeatures []float32) ([][]float32, error) {
	d, q := r.Config.ImageTextHiddenSize, r.Config.NumQueryTokens
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

func (r *Retriever) match(f *Features, texts []string, pairs []Pair, progress func(done, total int)) (logits, probabilities []float32, err error) {
	rows := r.encode(texts)
	length := textLength(rows)
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

// MatchProbabilities are the probabilities that pairs match, by itm_head's two logits.
func (r *Retriever) MatchProbabilities(f *Features, texts []string, pairs []Pair) ([]float32, error) {
	_, probabilities, err := r.match(f, texts, pairs, nil)
	return probabilities, err
}

func (r *Retriever) encode(texts []string) [][]int32 {
	rows := make([][]int32, len(texts))
	limit := r.Config.QFormer.MaxPositionEmbeddings
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
	flat, seen := text.Pad(rows, length, int32(r.Config.QFormer.PadTokenID), false)
	return tensors.FromFlatDataAndDimensions(flat, len(rows), length), tensors.FromFlatDataAndDimensions(seen, len(rows), length)
}

// textLength rounds the longest row up to a multiple of 8: few lengths, few graphs.
func textLength(rows [][]int32) int {
	longest := 1
	for _, r := range rows {
		longest = max(longest, len(r))
	}
	return (longest + 7) / 8 * 8
}

// batches calls fn for 0..n-1 in groups of rowsAtOnce; a short last group repeats its last row, and
// only the first n of its rows count.
func batches(n int, fn func(rows []int, n int) error) error {
	rows := make([]int, rowsAtOnce)
	for at := 0; at < n; at += rowsAtOnce {
		count := min(rowsAtOnce, n-at)
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
