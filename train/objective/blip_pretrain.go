package objective

import (
	"math"
	"strings"

	"goblip/models/blip"
	"goblip/models/nn"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// BLIPPretrain is the pre-training of BLIP (paper, section 3.2): ITC against a queue of features
// that a momentum encoder made, with its similarities as soft targets; ITM with hard negatives; LM.
// The fine-tuning for retrieval is the same without LM and with the numbers of the pictures.
type BLIPPretrain struct {
	Config    *blip.Config
	Sharing   blip.Sharing
	Queue     int     // features that each modality's queue holds
	Momentum  float64 // of the copies: 0.995
	Smoothing float64 // of LM: 0.1

	// Groups divides the batch into parts that see only themselves and the queue, in ITC's keys and
	// ITM's negatives, as the reference's devices do; 0 or 1: the batch is one.
	Groups int

	// Retrieval compares the numbers of pictures: equal ones are positives, in the batch and in the
	// queue, and never negatives of each other; negatives are drawn by the online features alone. There
	// is no LM. Without it each pair of the batch has a picture of its own.
	Retrieval bool

	// Negatives replaces the sampling of hard negatives, rows of the batch; for parity.
	Negatives func(weightsTextToImage, weightsImageToText *Node) (imageOfText, textOfImage *Node)
}

// Objective returns the losses of one batch. What carries over from step to step, the queues, their
// pointer and the momentum copies, is changed in training graphs alone. Inputs:
//
//	pixels uint8 [batch, height, width, 3], normalized with mean and std on the device
//	ids    int32 [batch, text], starting with [CLS], [PAD] on the right
//	mask   int32 [batch, text]
//	alpha  float32 [batch]: the weight of the soft targets, 0.4 after its ramp, the same in each row
//	images int32 [batch], for Retrieval: equal numbers are the same picture, none is negative
func (b BLIPPretrain) Objective(batch int, mean, std [3]float64) Objective {
	o := Objective{
		Terms: []Term{{"ita", math.Log(float64(b.Queue + batch/max(b.Groups, 1))), "chance"}, {"itm", ITMChance, "chance"}},
		Build: func(scope *model.Scope, in []*Node) []*Node {
			var images *Node
			if b.Retrieval {
				images = in[4]
			}
			l := b.Losses(scope, nn.PixelValues(in[0], mean, std), in[1], in[2], in[3], images)
			if b.Retrieval {
				return []*Node{l.ITA, l.ITM}
			}
			return []*Node{l.ITA, l.ITM, l.LM}
		},
	}
	if !b.Retrieval {
		o.Terms = append(o.Terms, Term{"lm", nn.SmoothedFloor(b.Config.Text.VocabSize, b.Smoothing), "floor"})
	}
	return o
}

// Carried names what steps hand on beside the weights, copies, queues and their pointer: no gradient changes them.
func (b BLIPPretrain) Carried(name string) bool {
	return strings.HasPrefix(name, "momentum.") || strings.HasSuffix(name, "_queue") || name == "queue_ptr"
}

// BLIPLosses are the scalars, and the intermediate values that parity tests compare. local is the
// batch, or a group of it.
type BLIPLosses struct {
	ITA, ITM, LM                           *Node
	Image, TextStates                      *Node   // [batch, patches, image_hidden], [batch, text, hidden]
	ImageFeatures, TextFeatures            *Node   // [batch, projection]
	MomentumImage, MomentumText            *Node   // the same of the momentum copies
	ImageToText, TextToImage               *Node   // over temperature [batch, local+queue]
	ImageTargets, TextTargets              *Node   // soft targets of both
	WeightsImageToText, WeightsTextToImage *Node   // sampling weights of negatives [batch, local]
	MatchLogits                            *Node   // [3*batch, 2]: rows (positive, image negative, text negative) of each pair in turn
	Words                                  nn.Head // over [batch, text, hidden]

	temperature *Node
	positives   *Node // int32 0/1 [batch, local+queue]: columns of the row's picture
}

// Losses builds one step; see Objective for the inputs, of which pixels are normalized already:
// float32 [batch, 3, height, width]. images may be nil.
func (b BLIPPretrain) Losses(scope *model.Scope, pixels, ids, mask, alpha, images *Node) *BLIPLosses {
	cfg, l := b.Config, &BLIPLosses{}
	l.temperature = blip.Temperature(scope, pixels)
	l.Image = blip.ImageStates(scope, cfg, pixels)
	l.TextStates = blip.TextStates(scope, cfg, ids, mask)
	l.ImageFeatures = blip.ImageFeatures(scope, cfg, l.Image)
	l.TextFeatures = blip.TextFeatures(scope, cfg, l.TextStates)
	memory := blip.GroundedMemory(scope, cfg, l.Image)
	if !b.Retrieval {
		decoder := nn.WithFirst(ids, cfg.Text.BOSTokenID)
		l.Words = b.Sharing.Head(scope, cfg, b.Sharing.Memory(scope, cfg, l.Image, memory), decoder, mask)
		head := l.Words
		head.States = allButLast(head.States)
		l.LM = nextWord(head, decoder, mask, b.Smoothing)
	}
	// The copies follow every weight of their parts, cross-attention included, although they never
	// read text with pictures: it must exist before.
	blip.GroundedStatesOn(scope, cfg, memory, ids, mask)
	follow(scope, pixels.Graph(), b.Momentum)
	slow := blip.Momentum(scope)
	l.MomentumImage = StopGradient(blip.ImageFeatures(slow, cfg, blip.ImageStates(slow, cfg, pixels)))
	l.MomentumText = StopGradient(blip.TextFeatures(slow, cfg, blip.TextStates(slow, cfg, ids, mask)))
	b.contrast(scope, l, alpha, images)
	b.match(scope, l, memory, ids, mask)
	return l
}

// follow moves the momentum copies towards the weights, before they are used: m*copy + (1-m)*weight.
func follow(scope *model.Scope, g *Graph, momentum float64) {
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
		value := StopGradient(Add(MulScalar(copied.NodeValue(g), momentum), MulScalar(v.NodeValue(g), 1-momentum)))
		if nn.Training(g) {
			copied.SetNodeValue(value)
		}
	}
}

// contrast is ITC: each picture against the momentum features of the texts of its group and the
// queue, and each text likewise. Targets are the momentum encoder's own similarities, mixed with the
// pairs. The batch's momentum features then enter the queues.
func (b BLIPPretrain) contrast(scope *model.Scope, l *BLIPLosses, alpha, images *Node) {
	dims := l.ImageFeatures.Shape().Dim(-1)
	imageQueue := nn.Param32(scope, "image_queue", l.Image, nn.InitQueue, dims, b.Queue)
	textQueue := nn.Param32(scope, "text_queue", l.Image, nn.InitQueue, dims, b.Queue)
	similar := func(features, momentum, queue *Node) *Node { // [batch, local+queue]
		old := Einsum("bd,dk->bk", features, StopGradient(queue))
		return Div(Concatenate([]*Node{b.within(features, momentum), old}, 1), l.temperature)
	}
	pairs := b.pairs(scope, l, images)
	alpha = InsertAxes(alpha, -1)
	targets := func(scores *Node) *Node {
		return StopGradient(Add(Mul(alpha, Softmax(scores, -1)), Mul(OneMinus(alpha), pairs)))
	}
	l.ImageTargets = targets(similar(l.MomentumImage, l.MomentumText, textQueue))
	l.TextTargets = targets(similar(l.MomentumText, l.MomentumImage, imageQueue))
	l.ImageToText = similar(l.ImageFeatures, l.MomentumText, textQueue)
	l.TextToImage = similar(l.TextFeatures, l.MomentumImage, imageQueue)
	soft := func(scores, targets *Node) *Node {
		return Neg(ReduceAllMean(ReduceSum(Mul(targets, LogSoftmax(scores, -1)), -1)))
	}
	l.ITA = DivScalar(Add(soft(l.ImageToText, l.ImageTargets), soft(l.TextToImage, l.TextTargets)), 2)
	b.enqueue(scope, l, images)
}

// groups is how the batch divides: into n parts of the given number of rows.
func (b BLIPPretrain) groups(batch int) (n, local int) {
	n = max(b.Groups, 1)
	return n, batch / n
}

// within compares each row with the rows of its group: [batch, dim] twice -> [batch, local].
func (b BLIPPretrain) within(x, y *Node) *Node {
	batch, dim := x.Shape().Dim(0), x.Shape().Dim(1)
	n, local := b.groups(batch)
	return Reshape(Einsum("gid,gjd->gij", Reshape(x, n, local, dim), Reshape(y, n, local, dim)), batch, local)
}

// own marks the column that is the row itself: bool [batch, local].
func (b BLIPPretrain) own(g *Graph, batch int) *Node {
	n, local := b.groups(batch)
	return Reshape(BroadcastToDims(InsertAxes(Diagonal(g, local), 0), n, local, local), batch, local)
}

// pairs are the targets of which the pairs are sure, [batch, local+queue]: a row's own column, or
// equally all columns of its picture. l keeps those columns.
func (b BLIPPretrain) pairs(scope *model.Scope, l *BLIPLosses, images *Node) *Node {
	g, batch := l.Image.Graph(), l.Image.Shape().Dim(0)
	own := b.own(g, batch)
	if images == nil {
		l.positives = GrowRight(ConvertDType(own, dtypes.Int32), 1, b.Queue, 0)
		return ConvertDType(l.positives, dtypes.Float32)
	}
	n, local := b.groups(batch)
	queue := nn.Numbers(scope, "idx_queue", b.Queue).NodeValue(g) // picture+1, so that 0 is none
	here := BroadcastToDims(Reshape(images, n, 1, local), n, local, local)
	columns := Concatenate([]*Node{Reshape(here, batch, local), BroadcastToDims(InsertAxes(SubScalar(queue, 1), 0), batch, b.Queue)}, 1)
	same := Equal(columns, BroadcastToDims(InsertAxes(images, 1), batch, local+b.Queue))
	l.positives = ConvertDType(same, dtypes.Int32)
	weights := ConvertDType(same, dtypes.Float32)
	return Div(weights, ReduceAndKeep(weights, ReduceSum, -1))
}

// enqueue puts the batch's momentum features into the queues, from the pointer on and around their
// end; the pointer moves on. Of a batch larger than the queue the last rows stay. A graph that is not
// for training leaves them alone.
func (b BLIPPretrain) enqueue(scope *model.Scope, l *BLIPLosses, images *Node) {
	g, batch := l.Image.Graph(), l.Image.Shape().Dim(0)
	pointer := nn.Numbers(scope, "queue_ptr", 1)
	at := pointer.NodeValue(g)
	behind := AddScalar(Sub(Iota(g, shapes.Make(dtypes.Int32, b.Queue), 0), BroadcastToDims(at, b.Queue)), b.Queue)
	behind = Mod(behind, ConstAs(behind, b.Queue)) // how far behind the pointer a column is: the row that it gets first
	here := LessThan(behind, ConstAs(behind, batch))
	row := behind
	for first := b.Queue; first < batch; first += b.Queue { // rows that come around again
		next := AddScalar(behind, first)
		row = Where(LessThan(next, ConstAs(next, batch)), next, row)
	}
	row = ClipScalar(row, 0, float64(batch-1))
	if !nn.Training(g) {
		return
	}
	put := func(name string, features *Node) { // [projection, queue]; features [batch, projection]
		queue := scope.GetVariable(name)
		dims := queue.Shape().Dimensions
		queue.SetNodeValue(Where(BroadcastToDims(InsertAxes(here, 0), dims...), Transpose(nn.Rows(features, row), 0, 1), queue.NodeValue(g)))
	}
	put("image_queue", l.MomentumImage)
	put("text_queue", l.MomentumText)
	if images != nil {
		queue := scope.GetVariable("idx_queue")
		queue.SetNodeValue(Where(here, AddScalar(nn.Rows(images, row), 1), queue.NodeValue(g)))
	}
	pointer.SetNodeValue(Mod(AddScalar(at, batch), ConstAs(at, b.Queue)))
}

// weigh sets the weights by which negatives are drawn: in pre-training the softmax of ITC's scores
// of the group, against momentum features, plus 1e-4; for retrieval that of the online features. A
// row's own picture has none.
func (b BLIPPretrain) weigh(l *BLIPLosses) {
	batch := l.Image.Shape().Dim(0)
	_, local := b.groups(batch)
	first := func(x *Node) *Node { return Slice(x, AxisRange(), AxisRange(0, local)) }
	positive := GreaterThan(first(l.positives), ScalarZero(l.Image.Graph(), dtypes.Int32))
	weights := func(scores *Node) *Node {
		w := Softmax(StopGradient(scores), -1)
		if !b.Retrieval {
			w = AddScalar(w, 1e-4)
		}
		return Where(positive, ZerosLike(w), w)
	}
	if b.Retrieval {
		scores := func(x, y *Node) *Node { return Div(b.within(x, y), l.temperature) }
		l.WeightsImageToText, l.WeightsTextToImage = weights(scores(l.ImageFeatures, l.TextFeatures)), weights(scores(l.TextFeatures, l.ImageFeatures))
		return
	}
	l.WeightsImageToText, l.WeightsTextToImage = weights(first(l.ImageToText)), weights(first(l.TextToImage))
}

// match is ITM over (picture, text), (negative picture, text) and (picture, negative text), the text
// beginning with [ENC].
func (b BLIPPretrain) match(scope *model.Scope, l *BLIPLosses, memory blip.Memories, ids, mask *Node) {
	b.weigh(l)
	var imageOfText, textOfImage *Node
	if b.Negatives != nil {
		imageOfText, textOfImage = b.Negatives(l.WeightsTextToImage, l.WeightsImageToText)
	} else {
		imageOfText, textOfImage = b.draw(l.WeightsTextToImage), b.draw(l.WeightsImageToText)
	}
	l.MatchLogits = MatchPairs(scope, b.Config, memory, ids, mask, imageOfText, textOfImage)
	l.ITM = pairLoss(l.MatchLogits)
}

// draw draws one row of the batch for each row of weights [batch, local].
func (b BLIPPretrain) draw(weights *Node) *Node {
	batch := weights.Shape().Dim(0)
	_, local := b.groups(batch)
	start := DivScalar(Iota(weights.Graph(), shapes.Make(dtypes.Int32, batch), 0), local) // the group
	return Add(drawNegatives(weights), MulScalar(start, local))
}
