package objective

import (
	"goblip/models/blip2"
	"goblip/models/nn"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Stage1 chooses what the representation stage of BLIP-2 computes.
type Stage1 struct {
	Config    *blip2.Config
	DecoderID int     // [DEC], which replaces [CLS] in front of generated text
	Smoothing float64 // of ITC and ITG, 0.1

	// ExactKeys lets ITC's gradient flow through both sides of a similarity. Without it the other
	// side's features are constants, as LAVIS' all-gather makes them ("compat").
	ExactKeys bool

	// WithoutITG leaves the generation loss out (the paper's table 6).
	WithoutITG bool

	// SendStates gathers the states of hard negative pictures instead of their keys and values, and
	// projects them again. Several devices then send each other one tensor of a picture instead of two
	// for each cross-attention, and no gradient comes back. The losses are the same.
	SendStates bool

	// Negatives replaces the sampling of hard negatives; for tests.
	Negatives func(imageToText, textToImage *Node) (imageOfText, textOfImage *Node)
}

// Objective returns the three losses of one batch. Inputs:
//
//	states  float32 [batch, patches, image_hidden]: frozen encoder's output before its final norm
//	ids     int32 [batch, text], starting with [CLS], [PAD] = 0 on the right
//	mask    int32 [batch, text]
//	images  int32 [batch]: equal numbers are the same picture
func (s Stage1) Objective(batch int) Objective {
	terms := []Term{
		{"itc", ITCFloor(batch, s.Smoothing), "floor"},
		{"itm", ITMChance, "chance"},
	}
	if !s.WithoutITG {
		terms = append(terms, Term{"itg", nn.SmoothedFloor(s.Config.QFormer.VocabSize, s.Smoothing), "floor"})
	}
	return Objective{Terms: terms, Chunked: s.chunked(), Build: func(scope *model.Scope, in []*Node) []*Node {
		l := s.Losses(scope, in[0], in[1], in[2], in[3])
		losses := []*Node{l.ITC, l.ITM}
		if !s.WithoutITG {
			losses = append(losses, l.ITG)
		}
		return losses
	}}
}

// Stage1Losses are the scalars, and the intermediate values that parity tests compare.
type Stage1Losses struct {
	ITC, ITM, ITG            *Node
	Images                   blip2.Images
	TextFeatures, TextStates *Node
	ImageToText, TextToImage *Node // similarities over temperature [batch, batch]
	MatchLogits              *Node // [3*batch, 2]: rows (positive, image negative, text negative) of each pair in turn
}

// Losses builds the four passes of stage 1; see Objective for the inputs.
func (s Stage1) Losses(scope *model.Scope, states, ids, mask, images *Node) Stage1Losses {
	l := s.encode(scope, states, ids, mask)
	same := sameImage(images)
	l.contrast(scope, s, same)
	imageOfText, textOfImage := s.negatives(l.ImageToText, l.TextToImage, same)
	var others []blip2.KV
	if s.SendStates {
		taken := blip2.Take(states, imageOfText)
		nn.Collects(taken, states)
		others = blip2.OtherImages(scope, s.Config, taken)
	} else {
		others = blip2.TakeKV(l.Images.KV, imageOfText)
	}
	l.match(scope, s, ids, mask, others, blip2.Take(ids, textOfImage), blip2.Take(mask, textOfImage))
	if !s.WithoutITG {
		l.generate(scope, s, ids, mask)
	}
	return l
}

// encode runs the two passes of pictures and texts alone.
func (s Stage1) encode(scope *model.Scope, states, ids, mask *Node) (l Stage1Losses) {
	l.Images = blip2.EncodeImages(scope, s.Config, states)
	blip2.ProjectImages(scope, s.Config, &l.Images)
	l.TextFeatures, l.TextStates = blip2.TextFeatures(scope, s.Config, ids, mask)
	return l
}

// contrast is ITC: each picture against all texts of the batch and each text against all pictures,
// the score of a pair being that of its best query. Pairs of the same picture share the target.
func (l *Stage1Losses) contrast(scope *model.Scope, s Stage1, same *Node) {
	imageKeys, textKeys := l.Images.Features, l.TextFeatures
	if !s.ExactKeys {
		imageKeys, textKeys = StopGradient(imageKeys), StopGradient(textKeys)
	}
	temperature := blip2.Temperature(scope, l.TextFeatures)
	l.ImageToText = Div(blip2.Similarity(l.Images.Features, textKeys), temperature)
	l.TextToImage = Div(Transpose(blip2.Similarity(imageKeys, l.TextFeatures), 0, 1), temperature)
	weights := ConvertDType(same, dtypes.Float32)
	targets := Div(weights, ReduceAndKeep(weights, ReduceSum, -1))
	batch := targets.Shape().Dim(0)
	targets = AddScalar(MulScalar(targets, 1-s.Smoothing), s.Smoothing/float64(batch))
	soft := func(scores *Node) *Node {
		return Neg(ReduceAllMean(ReduceSum(Mul(targets, LogSoftmax(scores, -1)), -1)))
	}
	l.ITC = DivScalar(Add(soft(l.ImageToText), soft(l.TextToImage)), 2)
}

// negatives draws, on the device, a wrong picture for each text and a wrong text for each picture,
// with the softmax of their similarity as probability (Gumbel-max); same pictures are excluded.
func (s Stage1) negatives(imageToText, textToImage, same *Node) (imageOfText, textOfImage *Node) {
	imageToText, textToImage = StopGradient(imageToText), StopGradient(textToImage)
	if s.Negatives != nil {
		return s.Negatives(imageToText, textToImage)
	}
	g := same.Graph()
	batch := same.Shape().Dim(0)
	draw := func(scores *Node) *Node {
		uniform := MaxScalar(nn.Uniform(g, batch, batch), 1e-20)
		gumbel := Neg(Log(MaxScalar(Neg(Log(uniform)), 1e-20)))
		scores = Where(same, ConstAs(scores, -10000), scores)
		return ArgMax(Add(scores, gumbel), -1)
	}
	return draw(textToImage), draw(imageToText)
}

// match is ITM: the joint pass over (text, image), (text, other image) and (other text, image) of each
// pair. The three are stacked beside the pair, [batch, 3, ...], so that data-parallel devices keep
// their own rows.
func (l *Stage1Losses) match(scope *model.Scope, s Stage1, ids, mask *Node, otherImages []blip2.KV, otherIDs, otherMask *Node) {
	batch := ids.Shape().Dim(0)
	l.MatchLogits = blip2.Match(scope, s.Config, blip2.EmbedQueries(scope, s.Config, l.Images.Queries, 3*batch),
		blip2.BesideImages(l.Images.KV, otherImages), blip2.Triple(ids, ids, otherIDs), blip2.Triple(mask, mask, otherMask))
	l.ITM = pairLoss(l.MatchLogits)
}

// generate is ITG: the text after [DEC], from the pictures' queries.
func (l *Stage1Losses) generate(scope *model.Scope, s Stage1, ids, mask *Node) {
	decoder := nn.WithFirst(ids, s.DecoderID)
	head := blip2.GenerationHead(scope, s.Config, l.Images.Past, allButLast(decoder), allButLast(mask))
	l.ITG = nextWord(head, ids, mask, s.Smoothing)
}

// sameImage compares picture numbers: int32 [batch] -> bool [batch, batch].
func sameImage(images *Node) *Node {
	batch := images.Shape().Dim(0)
	return Equal(BroadcastToDims(InsertAxes(images, 1), batch, batch), BroadcastToDims(InsertAxes(images, 0), batch, batch))
}

// ITMChance is the loss of a head that learned only that one pair of three matches.
const ITMChance = 0.6365

// ITCFloor is the least ITC loss with label smoothing over a batch of distinct pictures.
func ITCFloor(batch int, smoothing float64) float64 { return nn.SmoothedFloor(batch, smoothing) }
