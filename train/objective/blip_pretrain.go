package objective

import (
	"math"
	"strings"

	"goblip/models/bert"
	"goblip/models/blip"
	"goblip/models/nn"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// BLIPPretrain is the pre-training of BLIP (paper, section 3.2): ITC against a queue of features
// that a momentum encoder made, with its similarities as soft targets; ITM with hard negatives; LM.
type BLIPPretrain struct {
	Config    *blip.Config
	Queue     int     // features that each modality's queue holds, a multiple of the batch
	Momentum  float64 // of the copies: 0.995
	Smoothing float64 // of LM: 0.1

	// Negatives replaces the sampling of hard negatives; for parity.
	Negatives func(weightsTextToImage, weightsImageToText *Node) (imageOfText, textOfImage *Node)
}

// Objective returns the three losses of one batch. What carries over from step to step, the queues,
// their pointer and the momentum copies, is changed in training graphs alone. Inputs:
//
//	pixels uint8 [batch, height, width, 3], normalized with mean and std on the device
//	ids    int32 [batch, text], starting with [CLS], [PAD] on the right
//	mask   int32 [batch, text]
//	alpha  float32 [batch]: the weight of the soft targets, 0.4 after its ramp, the same in each row
func (b BLIPPretrain) Objective(batch int, mean, std [3]float64) Objective {
	return Objective{
		Terms: []Term{
			{"ita", math.Log(float64(b.Queue + batch)), "chance"},
			{"itm", ITMChance, "chance"},
			{"lm", nn.SmoothedFloor(b.Config.Text.VocabSize, b.Smoothing), "floor"},
		},
		Build: func(scope *model.Scope, in []*Node) []*Node {
			l := b.Losses(scope, nn.PixelValues(in[0], mean, std), in[1], in[2], in[3])
			return []*Node{l.ITA, l.ITM, l.LM}
		},
	}
}

// Trained says what the optimizer updates: all but the copies and the queues.
func (b BLIPPretrain) Trained(name string) bool {
	return !strings.HasPrefix(name, "momentum.") && !strings.HasSuffix(name, "_queue") && name != "queue_ptr"
}

// BLIPLosses are the scalars, and the intermediate values that parity tests compare.
type BLIPLosses struct {
	ITA, ITM, LM                               *Node
	Image, TextStates                          *Node // [batch, patches, image_hidden], [batch, text, hidden]
	ImageFeatures, TextFeatures                *Node // [batch, projection]
	MomentumImage, MomentumText                *Node // the same of the momentum copies
	ImageToText, TextToImage                   *Node // over temperature [batch, batch+queue]
	ImageTargets, TextTargets                  *Node // soft targets of both
	WeightsImageToText, WeightsTextToImage     *Node // sampling weights of negatives [batch, batch]
	MatchLogits                                *Node // [3*batch, 2]: rows (positive, image negative, text negative) of each pair in turn
	WordLogits                                 *Node // [batch, text, vocab]
	ImageQueue, TextQueue, Pointer             *model.Variable
	nextImageQueue, nextTextQueue, nextPointer *Node
}

// Losses builds one step; see Objective for the inputs, of which pixels are normalized already:
// float32 [batch, 3, height, width].
func (b BLIPPretrain) Losses(scope *model.Scope, pixels, ids, mask, alpha *Node) *BLIPLosses {
	cfg, l := b.Config, &BLIPLosses{}
	temperature := blip.Temperature(scope, pixels)
	l.Image = blip.ImageStates(scope, cfg, pixels)
	l.TextStates = blip.TextStates(scope, cfg, ids, mask)
	l.ImageFeatures = blip.ImageFeatures(scope, cfg, l.Image)
	l.TextFeatures = blip.TextFeatures(scope, cfg, l.TextStates)
	memory := blip.SharedMemory(scope, cfg, l.Image)
	decoder := nn.WithFirst(ids, cfg.Text.BOSTokenID)
	l.WordLogits = blip.SharedWordLogits(scope, cfg, blip.SharedDecoderStates(scope, cfg, memory, decoder, mask))
	l.LM = nextWord(Slice(l.WordLogits, AxisRange(), AxisRange(0, -1)), decoder, mask, b.Smoothing)

	b.follow(scope, pixels.Graph())
	slow := blip.Momentum(scope)
	l.MomentumImage = StopGradient(blip.ImageFeatures(slow, cfg, blip.ImageStates(slow, cfg, pixels)))
	l.MomentumText = StopGradient(blip.TextFeatures(slow, cfg, blip.TextStates(slow, cfg, ids, mask)))
	b.contrast(scope, l, temperature, alpha)
	b.enqueue(scope, l)

	l.ITM = b.match(scope, l, memory, ids, mask)
	return l
}

// follow moves the momentum copies towards the weights, before they are used: m*copy + (1-m)*weight.
// Every weight of the copied parts must have been used before, cross-attention included: the copies
// have it too, although they never read text with pictures.
func (b BLIPPretrain) follow(scope *model.Scope, g *Graph) {
	store, slow := scope.Store(), blip.Momentum(scope)
	var followed []*model.Variable
	for _, part := range blip.MomentumParts {
		prefix := scope.Scope() + "/" + part + "/"
		for v := range store.IterVariables() {
			if strings.HasPrefix(v.Path(), prefix) {
				followed = append(followed, v)
			}
		}
	}
	for _, v := range followed { // not while iterating: copies are variables too
		at, name := slow, strings.Split(strings.TrimPrefix(v.Path(), scope.Scope()+"/"), "/")
		for _, part := range name[:len(name)-1] {
			at = at.At("%s", part)
		}
		copied := nn.CopyOf(at, name[len(name)-1], v)
		value := StopGradient(Add(MulScalar(copied.NodeValue(g), b.Momentum), MulScalar(v.NodeValue(g), 1-b.Momentum)))
		if nn.Training(g) {
			copied.SetNodeValue(value)
		}
	}
}

// contrast is ITC: each picture against the momentum features of the batch's texts and the queue, and
// each text likewise. Targets are the momentum encoder's own similarities, mixed with the pairs.
func (b BLIPPretrain) contrast(scope *model.Scope, l *BLIPLosses, temperature, alpha *Node) {
	batch := l.ImageFeatures.Shape().Dim(0)
	dims := l.ImageFeatures.Shape().Dim(-1)
	imageQueue := nn.Param32(scope, "image_queue", l.Image, nn.InitQueue, dims, b.Queue)
	textQueue := nn.Param32(scope, "text_queue", l.Image, nn.InitQueue, dims, b.Queue)
	keys := func(momentum, queue *Node) *Node { // [projection, batch+queue]
		return StopGradient(Concatenate([]*Node{Transpose(momentum, 0, 1), queue}, 1))
	}
	images, texts := keys(l.MomentumImage, imageQueue), keys(l.MomentumText, textQueue)
	similar := func(features, keys *Node) *Node { return Div(Einsum("bd,dk->bk", features, keys), temperature) }
	pairs := GrowRight(ConvertDType(Diagonal(alpha.Graph(), batch), dtypes.Float32), 1, b.Queue, 0)
	alpha = InsertAxes(alpha, -1)
	targets := func(momentum, keys *Node) *Node {
		return StopGradient(Add(Mul(alpha, Softmax(similar(momentum, keys), -1)), Mul(OneMinus(alpha), pairs)))
	}
	l.ImageTargets, l.TextTargets = targets(l.MomentumImage, texts), targets(l.MomentumText, images)
	l.ImageToText, l.TextToImage = similar(l.ImageFeatures, texts), similar(l.TextFeatures, images)
	soft := func(scores, targets *Node) *Node {
		return Neg(ReduceAllMean(ReduceSum(Mul(targets, LogSoftmax(scores, -1)), -1)))
	}
	l.ITA = DivScalar(Add(soft(l.ImageToText, l.ImageTargets), soft(l.TextToImage, l.TextTargets)), 2)
}

// enqueue puts the batch's momentum features into the queues, at the pointer, which moves on.
func (b BLIPPretrain) enqueue(scope *model.Scope, l *BLIPLosses) {
	g, batch := l.Image.Graph(), l.Image.Shape().Dim(0)
	variable := scope.GetVariable
	l.ImageQueue, l.TextQueue, l.Pointer = variable("image_queue"), variable("text_queue"), nn.Counter(scope, "queue_ptr")
	at := l.Pointer.NodeValue(g)
	put := func(queue, features *Node) *Node { // [projection, queue]; features [batch, projection]
		column := Sub(Iota(g, shapes.Make(dtypes.Int32, b.Queue), 0), BroadcastToDims(at, b.Queue)) // of the batch
		here := LogicalAnd(GreaterOrEqual(column, ZerosLike(column)), LessThan(column, ConstAs(column, batch)))
		rows := nn.Rows(features, ClipScalar(column, 0, float64(batch-1))) // [queue, projection]
		return Where(BroadcastToDims(InsertAxes(here, 0), queue.Shape().Dimensions...), Transpose(rows, 0, 1), queue)
	}
	l.nextImageQueue = put(l.ImageQueue.NodeValue(g), l.MomentumImage)
	l.nextTextQueue = put(l.TextQueue.NodeValue(g), l.MomentumText)
	l.nextPointer = Mod(AddScalar(at, batch), ConstAs(at, b.Queue))
	if nn.Training(g) {
		l.ImageQueue.SetNodeValue(l.nextImageQueue)
		l.TextQueue.SetNodeValue(l.nextTextQueue)
		l.Pointer.SetNodeValue(l.nextPointer)
	}
}

// match is ITM over (picture, text), (negative picture, text) and (picture, negative text), the text
// beginning with [ENC]. The three are stacked beside the pair, so that data-parallel devices keep
// their own rows.
func (b BLIPPretrain) match(scope *model.Scope, l *BLIPLosses, memory []bert.KV, ids, mask *Node) *Node {
	batch := ids.Shape().Dim(0)
	own := Iota(ids.Graph(), shapes.Make(dtypes.Int32, batch), 0)
	weights := func(scores *Node) *Node {
		scores = StopGradient(Slice(scores, AxisRange(), AxisRange(0, batch)))
		w := AddScalar(Softmax(scores, -1), 1e-4)
		return Where(Diagonal(w.Graph(), batch), ZerosLike(w), w)
	}
	l.WeightsImageToText, l.WeightsTextToImage = weights(l.ImageToText), weights(l.TextToImage)
	var imageOfText, textOfImage *Node
	if b.Negatives != nil {
		imageOfText, textOfImage = b.Negatives(l.WeightsTextToImage, l.WeightsImageToText)
	} else {
		imageOfText, textOfImage = drawNegatives(l.WeightsTextToImage), drawNegatives(l.WeightsImageToText)
	}
	three := func(a, b, c *Node) *Node { return Reshape(Stack([]*Node{a, b, c}, 1), 3*batch) }
	images, texts := three(own, imageOfText, own), three(own, own, textOfImage)
	encoder := nn.WithFirst(ids, b.Config.Text.EncTokenID())
	states := blip.GroundedStatesOn(scope, b.Config, blip.TakeMemory(memory, images), nn.Lookup(encoder, texts), nn.Lookup(mask, texts))
	l.MatchLogits = blip.Match(scope, states)
	labels := Reshape(BroadcastToDims(Const(ids.Graph(), [][]int32{{1, 0, 0}}), batch, 3), 3*batch)
	return ReduceAllMean(nn.CrossEntropy(l.MatchLogits, labels, 0))
}

// drawNegatives draws one column of each row in proportion to its weight (Gumbel-max).
func drawNegatives(weights *Node) *Node {
	d := weights.Shape().Dimensions
	uniform := MaxScalar(nn.Uniform(weights.Graph(), d...), 1e-20)
	gumbel := Neg(Log(MaxScalar(Neg(Log(uniform)), 1e-20)))
	never := LessOrEqual(weights, ZerosLike(weights))
	scores := Where(never, ConstAs(weights, -1e9), Log(MaxScalar(weights, 1e-30)))
	return ArgMax(Add(scores, gumbel), -1)
}
