package recipes

// Where the values of the settings come from, by setting; --explain prints them. "ours" are choices
// for small models on a small machine, measured in docs/LOG.md.
var (
	optimizer = map[string]string{
		"steps": "ours", "batch": "ours", "accumulate": "ours", "seed": "ours",
		"learning_rate": "ours; BLIP-2 section 3.4: 1e-4 at batch 1680 to 2320", "min_learning_rate": "ours; LAVIS: 1e-5",
		"warmup_learning_rate": "LAVIS: 1e-6", "warmup_steps": "ours; BLIP-2 section 3.4: 2000",
		"schedule": "BLIP-2 section 3.4: cosine; LAVIS moves it per epoch", "weight_decay": "BLIP-2 section 3.4: 0.05",
		"beta1": "BLIP-2 section 3.4: 0.9", "beta2": "BLIP-2 section 3.4: 0.98; LAVIS: 0.999", "clip_norm": "ours; LAVIS does not clip",
		"initializer_range": "ours, for narrow models; BERT: 0.02 at width 768", "max_text_length": "LAVIS max_txt_len: 32",
	}
	small = map[string]string{
		"image_size": "ours", "patch_size": "ours", "hidden_size": "ours", "num_hidden_layers": "ours", "num_attention_heads": "ours",
		"intermediate_size": "ours", "text_hidden_size": "ours", "text_num_hidden_layers": "ours", "text_num_attention_heads": "ours",
		"projection_dim": "ours", "vocab_size": "ours", "ffn_dim": "ours", "texts_per_document": "ours", "max_position_embeddings": "ours",
	}
	CLIPSources   = merged(optimizer, small)
	LMSources     = merged(optimizer, small)
	Stage1Sources = merged(optimizer, map[string]string{
		"num_query_tokens": "ours; BLIP-2 section 3.1: 32", "hidden_size": "ours; BERT-base: 768", "num_hidden_layers": "ours; BERT-base: 12",
		"num_attention_heads": "ours; BERT-base: 12", "intermediate_size": "ours; BERT-base: 3072", "dropout": "ours, few epochs; BERT: 0.1",
		"image_text_hidden_size": "ours; LAVIS: 256", "vocab_size": "ours",
	})
	Stage2Sources = optimizer
	VQASources    = optimizer
	BLIPSources   = merged(optimizer, map[string]string{
		"learning_rate": "ours; BLIP: 3e-4 at batch 2880 (ViT-B), fine-tuning 1e-5 to 3e-5", "min_learning_rate": "BLIP: 1e-6, fine-tuning 0",
		"warmup_learning_rate": "BLIP: 1e-6", "warmup_steps": "ours; BLIP: 3000, fine-tuning none",
		"schedule":     "ours; BLIP: decay:0.9 (paper 0.85), fine-tuning epoch",
		"weight_decay": "BLIP: 0.05, on every tensor", "beta1": "BLIP: 0.9", "beta2": "ours; BLIP: 0.999", "clip_norm": "ours; BLIP does not clip",
		"max_text_length": "BLIP: 30, captions 40, retrieval and questions 35", "alpha": "transformers 5: white; BLIP: drop",
	})
)

func merged(maps ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range maps {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}
