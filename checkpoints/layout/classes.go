package layout

import (
	"encoding/json"
	"fmt"

	"goblip/models/bert"
	"goblip/models/blip"
	"goblip/models/blip2"
	"goblip/models/clip"
	"goblip/models/opt"
	"goblip/models/t5"
)

// classes build the layout of a class of transformers from its config.json.
var classes = map[string]func(b *builder, raw []byte) error{
	blip.CaptionClass:            (*builder).blipCaption,
	blip.RetrievalClass:          (*builder).blipRetrieval,
	blip.VQAClass:                (*builder).blipVQA,
	blip.NLVRClass:               (*builder).blipNLVR,
	blip2.RetrievalClass:         (*builder).blip2Retrieval,
	blip2.GenerationClass:        (*builder).blip2Generation,
	blip2.InstructClass:          (*builder).blip2Generation,
	"OPTForCausalLM":             (*builder).optClass,
	"OPTModel":                   (*builder).optClass,
	"T5ForConditionalGeneration": (*builder).t5Class,
	"BertModel":                  (*builder).bertClass,
	"CLIPModel":                  (*builder).clipClass,
}

// defaultClass is the class of a config.json that names none, by its model_type.
var defaultClass = map[string]string{
	"opt": "OPTForCausalLM", "t5": "T5ForConditionalGeneration", "bert": "BertModel", "clip": "CLIPModel",
}

func (b *builder) readBLIP(raw []byte) (*blip.Config, error) {
	c := &blip.Config{}
	err := config(raw, c, func() []int { return []int{c.Vision.NumHiddenLayers, c.Text.NumHiddenLayers} })
	if err == nil {
		b.vision("vision_model", &c.Vision)
	}
	return c, err
}

func (b *builder) blipDecoder(c *blip.Config, cross int) {
	b.words("text_decoder.bert.embeddings", &c.Text.Layers)
	b.encoder("text_decoder.bert.encoder", &c.Text.Layers, cross)
	b.languageHead("text_decoder.cls", &c.Text.Layers)
}

func (b *builder) blipEncoder(c *blip.Config) {
	b.words("text_encoder.embeddings", &c.Text.Layers)
	b.encoder("text_encoder.encoder", &c.Text.Layers, c.Text.EncoderHiddenSize)
}

func (b *builder) blipCaption(raw []byte) error {
	c, err := b.readBLIP(raw)
	if err == nil {
		b.blipDecoder(c, c.Text.EncoderHiddenSize)
	}
	return err
}

func (b *builder) blipRetrieval(raw []byte) error {
	c, err := b.readBLIP(raw)
	if err != nil {
		return err
	}
	b.blipEncoder(c)
	b.linear("vision_proj", c.Vision.HiddenSize, c.ImageTextHiddenSize)
	b.linear("text_proj", c.Text.HiddenSize, c.ImageTextHiddenSize)
	b.linear("itm_head", c.Text.HiddenSize, 2)
	return nil
}

func (b *builder) blipVQA(raw []byte) error {
	c, err := b.readBLIP(raw)
	if err != nil {
		return err
	}
	b.blipEncoder(c)
	b.blipDecoder(c, c.Text.HiddenSize) // it looks at the states of a question
	return nil
}

func (b *builder) blipNLVR(raw []byte) error {
	c, err := b.readBLIP(raw)
	if err != nil {
		return err
	}
	hidden := c.Text.HiddenSize
	b.words("text_encoder.embeddings", &c.Text.Layers)
	b.encoder("text_encoder.encoder", &c.Text.Layers, 0)
	for i := range c.Text.NumHiddenLayers {
		cross := fmt.Sprintf("text_encoder.encoder.layer.%d.crossattention", i)
		for _, n := range []string{"0", "1"} {
			b.linear(cross+".self"+n+".query", hidden, hidden)
			b.linear(cross+".self"+n+".key", c.Text.EncoderHiddenSize, hidden)
			b.linear(cross+".self"+n+".value", c.Text.EncoderHiddenSize, hidden)
			b.linear(cross+".output.dense"+n, hidden, hidden)
		}
		if i >= c.Text.NumHiddenLayers/2 {
			b.linear(cross+".output.merge_layer", 2*hidden, hidden)
		}
		b.norm(cross+".output.LayerNorm", hidden)
	}
	b.linear("cls_head.0", hidden, hidden)
	b.linear("cls_head.2", hidden, 2)
	return nil
}

func (b *builder) readBLIP2(raw []byte) (*blip2.Config, error) {
	c := &blip2.Config{}
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, err
	}
	layers := []int{c.Vision.NumHiddenLayers, c.QFormer.NumHiddenLayers}
	if c.T5 != nil {
		layers = append(layers, c.T5.NumLayers, c.T5.NumDecoderLayers)
	} else if layers = append(layers, c.Text.NumHiddenLayers); c.Text.ModelType != "opt" {
		return nil, fmt.Errorf("%w: its language model is of model_type %q", ErrUnknown, c.Text.ModelType)
	}
	err := check(c, layers)
	if err == nil {
		b.tensor("query_tokens", 1, c.NumQueryTokens, c.QFormer.HiddenSize)
		b.vision("vision_model", &c.Vision)
	}
	return c, err
}

func (b *builder) blip2Retrieval(raw []byte) error {
	c, err := b.readBLIP2(raw)
	if err != nil {
		return err
	}
	q := &c.QFormer
	b.qformer(q, true)
	b.norm("qformer.layernorm", q.HiddenSize)
	b.table("embeddings.word_embeddings", q.VocabSize, q.HiddenSize)
	b.table("embeddings.position_embeddings", q.MaxPositionEmbeddings, q.HiddenSize)
	b.optional("embeddings.position_ids", 1, q.MaxPositionEmbeddings)
	b.linear("vision_projection", q.HiddenSize, c.ImageTextHiddenSize)
	b.linear("text_projection", q.HiddenSize, c.ImageTextHiddenSize)
	b.linear("itm_head", q.HiddenSize, 2)
	return nil
}

func (b *builder) blip2Generation(raw []byte) error {
	c, err := b.readBLIP2(raw)
	if err != nil {
		return err
	}
	q := &c.QFormer
	b.qformer(q, c.Instructed())
	if c.Instructed() {
		b.table("qformer.embeddings.word_embeddings", q.VocabSize, q.HiddenSize)
		b.table("qformer.embeddings.position_embeddings", q.MaxPositionEmbeddings, q.HiddenSize)
		b.norm("qformer.embeddings.layernorm", q.HiddenSize)
		b.optional("qformer.embeddings.position_ids", 1, q.MaxPositionEmbeddings)
	} else {
		b.norm("qformer.layernorm", q.HiddenSize)
	}
	width := c.Text.HiddenSize
	if c.T5 != nil {
		width = c.T5.DModel
		b.t5("language_model.", c.T5)
	} else {
		b.opt("language_model.", &c.Text)
	}
	b.linear("language_projection", q.HiddenSize, width)
	return nil
}

func (b *builder) optClass(raw []byte) error {
	c := &opt.Config{}
	err := config(raw, c, func() []int { return []int{c.NumHiddenLayers} })
	if err == nil {
		b.opt("", c)
	}
	return err
}

func (b *builder) t5Class(raw []byte) error {
	c := &t5.Config{}
	err := config(raw, c, func() []int { return []int{c.NumLayers, c.NumDecoderLayers} })
	if err == nil {
		b.t5("", c)
	}
	return err
}

func (b *builder) bertClass(raw []byte) error {
	c := &bert.Config{}
	err := config(raw, c, func() []int { return []int{c.NumHiddenLayers} })
	if err != nil {
		return err
	}
	b.words("embeddings", &c.Layers)
	b.table("embeddings.token_type_embeddings", c.TypeVocabSize, c.HiddenSize)
	b.encoder("encoder", &c.Layers, 0)
	b.optional("pooler.dense.weight", c.HiddenSize, c.HiddenSize) // not every folder has one
	b.optional("pooler.dense.bias", c.HiddenSize)
	return nil
}

func (b *builder) clipClass(raw []byte) error {
	c := &clip.Config{}
	err := config(raw, c, func() []int { return []int{c.Text.NumHiddenLayers, c.Vision.NumHiddenLayers} })
	if err != nil {
		return err
	}
	b.vision("vision_model", &c.Vision)
	b.clipText("text_model", &c.Text)
	b.tensor("logit_scale")
	b.tensor("visual_projection.weight", c.ProjectionDim, c.Vision.HiddenSize)
	b.tensor("text_projection.weight", c.ProjectionDim, c.Text.HiddenSize)
	return nil
}
