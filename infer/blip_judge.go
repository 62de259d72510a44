package infer

import (
	"goblip/checkpoints"
	"goblip/datasets/image"
	"goblip/datasets/text"
	"goblip/models/blip"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// BLIPJudge says whether texts are true of pairs of pictures (blip.NLVRClass).
type BLIPJudge struct {
	Config *blip.Config
	Words  *text.WordPiece

	backend compute.Backend
	store   *model.Store
}

// OpenBLIPJudge loads a folder that blip/nlvr wrote, strictly.
func OpenBLIPJudge(backend compute.Backend, dir string) (*BLIPJudge, error) {
	folder, err := checkpoints.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	j := &BLIPJudge{backend: backend, store: model.NewStore()}
	if j.Config, err = LoadBLIP(backend, j.store, folder, blip.NLVRClass); err != nil {
		return nil, err
	}
	if j.Words, err = OpenWordPiece(dir); err != nil {
		return nil, err
	}
	return j, nil
}

// Finalize frees the weights.
func (j *BLIPJudge) Finalize() { j.store.Finalize() }

// exec judges pictures that are normalized as a processor has it.
func (j *BLIPJudge) exec(p image.Processor) (*model.Exec, error) {
	return model.NewExec(j.backend, j.store, func(root *model.Scope, first, second, ids, mask *Node) *Node {
		scope := root.At("model")
		pixels := PixelValues(p, Concatenate([]*Node{first, second}, 0))
		logits := blip.JudgePair(scope, j.Config, blip.ImageStates(scope, j.Config, pixels), ids, mask)
		return Squeeze(Slice(Softmax(logits, -1), AxisRange(), AxisElem(1)), 1)
	})
}

// PairOfPictures are two pictures, by number, and a text about them.
type PairOfPictures struct {
	First, Second int
	Text          string
}

// Probabilities says how probable it is that each text is true of its pictures.
func (j *BLIPJudge) Probabilities(p *Pictures, pairs []PairOfPictures, progress func(done, total int)) ([]float32, error) {
	t := &j.Config.Text
	judge, err := j.exec(p.Processor)
	if err != nil {
		return nil, err
	}
	defer judge.Finalize()
	rows := make([][]int32, len(pairs))
	for i, pair := range pairs {
		rows[i] = text.EncodeMax(j.Words, pair.Text, t.MaxPositionEmbeddings)
		rows[i][0] = int32(t.EncTokenID())
	}
	length := min(textLength(rows), t.MaxPositionEmbeddings)
	var out []float32
	err = batches(len(pairs), func(picked []int, n int) error {
		var first, second []int
		var texts [][]int32
		for _, k := range picked {
			first, second, texts = append(first, pairs[k].First), append(second, pairs[k].Second), append(texts, rows[k])
		}
		ids, seen := text.Pad(texts, length, int32(t.PadTokenID), false)
		if err := appendRows(&out, n)(judge.Call1(p.Batch(first), p.Batch(second), tensors.FromFlatDataAndDimensions(ids, len(texts), length),
			tensors.FromFlatDataAndDimensions(seen, len(texts), length))); err != nil {
			return err
		}
		if progress != nil {
			progress(len(out), len(pairs))
		}
		return nil
	})
	return out, err
}
