package plan

import (
	"goblip/models/opt"
	"goblip/models/t5"
	"goblip/models/vit"
)

// Parameters counts the numbers that a job trains and those that it reads frozen.
func (j *Job) Parameters() (trained, frozen int) {
	c := &j.Config
	frozen = visionParameters(&c.Vision)
	trained = j.qformerParameters() + 2*c.Vision.HiddenSize // the tower's last norm is trained
	if j.Stage == 2 {
		width, _, _, _ := c.LLM()
		trained += c.QFormer.HiddenSize*width + width
		if c.T5 != nil {
			return trained, frozen + t5Parameters(c.T5)
		}
		return trained, frozen + optParameters(&c.Text)
	}
	return trained, frozen
}

// dense is a layer with a bias.
func dense(in, out int) int { return in*out + out }

func (j *Job) qformerParameters() int {
	c, q := &j.Config, &j.Config.QFormer
	h := q.HiddenSize
	norm, forward := 2*h, dense(h, q.IntermediateSize)+dense(q.IntermediateSize, h)+2*h
	n := c.NumQueryTokens*h + norm
	for i := range q.NumHiddenLayers {
		n += 4*dense(h, h) + norm + forward
		if i%q.CrossAttentionFrequency == 0 {
			n += 2*dense(h, h) + 2*dense(q.EncoderHiddenSize, h) + norm
		}
		if j.Stage == 1 { // text has a feed-forward of its own
			n += forward
		}
	}
	if j.Stage == 1 {
		n += (q.VocabSize + q.MaxPositionEmbeddings) * h
		n += dense(h, h) + norm + q.VocabSize                    // the word head, over the embeddings
		n += 2*dense(h, c.ImageTextHiddenSize) + dense(h, 2) + 1 /*temp*/ // the contrastive space, matching
	}
	return n
}

func (j *Job) towerParameters() float64 { return float64(visionParameters(&j.Config.Vision)) }

func visionParameters(v *vit.Config) int {
	h := v.HiddenSize
	n := 3*v.PatchSize*v.PatchSize*h + h + v.Tokens()*h
	n += v.NumHiddenLayers * (4*dense(h, h) + dense(h, v.IntermediateSize) + dense(v.IntermediateSize, h) + 4*h)
	if v.ModelType == vit.CLIP {
		return n + 2*h // a norm in front instead of a bias of the patches
	}
	return n + h
}

func optParameters(t *opt.Config) int {
	h := t.HiddenSize
	n := t.VocabSize*t.WordEmbedProjDim + (t.MaxPositionEmbeddings+2)*h
	n += t.NumHiddenLayers * (4*dense(h, h) + dense(h, t.FFNDim) + dense(t.FFNDim, h) + 4*h)
	if t.WordEmbedProjDim != h {
		n += 2 * h * t.WordEmbedProjDim
	}
	if t.DoLayerNormBefore && !t.RemoveFinalLayerNorm {
		n += 2 * h
	}
	return n
}

func t5Parameters(t *t5.Config) int {
	attention := 4 * t.DModel * t.DKV * t.NumHeads
	forward := 2 * t.DModel * t.DFF
	if t.IsGatedAct {
		forward += t.DModel * t.DFF
	}
	n := t.NumLayers*(attention+forward+2*t.DModel) + t.NumDecoderLayers*(2*attention+forward+3*t.DModel)
	n += 2*t.DModel + 2*t.RelativeAttentionNumBuckets*t.NumHeads + t.VocabSize*t.DModel
	if t.UntiedHead {
		n += t.VocabSize * t.DModel
	}
	return n
}
