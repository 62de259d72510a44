// Package infer uses model folders: it loads them, encodes pictures once, and answers with
// features, match scores and text. Training starts from the same functions.
//
//	infer.go      constants of the pixel input, prompts
//	load.go       tensors of folders as parts of a model
//	pictures.go   pictures in memory
//	preprocess.go how a model wants its pictures prepared
//	features.go   the frozen image encoder's states, in memory
//	feature_cache.go  the same in files (cache/), and what they depend on
//	retriever.go  BLIP-2's stage 1, or a BLIP: embeddings, similarity, match
//	looks.go      where the queries of stage 1 look in pictures
//	captioner.go  a stage-2 model: captions and answers
//	blip.go       a BLIP's tensors, and its graphs for retrieval
//	blip_writer.go  a BLIP that captions or answers; what all writers have in common
//	blip_rank.go  choosing among given answers; blip_judge.go  texts about two pictures
//	blip_start.go what the training of a BLIP starts from
//	t5.go         where a T5's tensors lie in a folder
//	instruct.go   prompts of T5 and InstructBLIP, instructions for the Q-Former
//	bert.go       a BERT's tensors
//	copies.go     second copies of tied weights
//	clip.go       a dual encoder: embeddings, similarity
package infer

import "goblip/datasets/image"

// Mean and Std of pixel values are those of OpenAI's CLIP.
func Mean() [3]float64 { return wide(image.Mean) }

// Std: see Mean.
func Std() [3]float64 { return wide(image.Std) }

func wide[F float32 | float64](v [3]F) [3]float64 {
	return [3]float64{float64(v[0]), float64(v[1]), float64(v[2])}
}

// QuestionPrompt is how BLIP-2 asks an OPT (paper, section 4.1): "Question: ...? Answer:".
func QuestionPrompt(question string) string { return questionPrompt(question, "Answer:") }

// T5QuestionPrompt is how BLIP-2 asks a T5: "Question: ...? Short answer:".
func T5QuestionPrompt(question string) string { return questionPrompt(question, "Short answer:") }

func questionPrompt(question, answer string) string {
	if n := len(question); n > 0 && question[n-1] != '?' {
		question += "?"
	}
	return "Question: " + question + " " + answer
}

// ImageToken stands for a soft token in prompts as text, as in transformers.
const ImageToken = "<image>"
