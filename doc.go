// Package goblip is the map of a program that trains, evaluates and runs BLIP-2
// vision-language models in Go, with graphs built by GoMLX and compiled by XLA.
// It holds no code: the program is cmd/goblip, and these folders are its parts.
//
//	models/       graphs and their configurations: no files, flags or goroutines
//	  nn/           layers with PyTorch's names and layout
//	  vit/ clip/ bert/ opt/ t5/   one tower each
//	  blip/         MED: image tower, text encoder and decoder
//	  blip2/        the Q-Former, stage 1 and stage 2 put together
//	  generate/     greedy, beam and nucleus search
//	datasets/     records of pictures and texts, and where they come from
//	  image/        pictures -> pixel values; jpeg/ decodes as libjpeg-turbo does,
//	                augment/ crops, flips and changes as BLIP does
//	  blob/         bytes of files and servers; parquet/ columns of tables
//	  text/         strings -> token ids
//	  shapes/       the generated corpus, whose truth is known
//	checkpoints/  safetensors, model folders, checkpoints of a run
//	  pickle/ torch/   files of torch.save, read as data
//	  layout/ convert/ what folders hold; checkpoints into one another
//	  hub/             the Hugging Face hub and its cache
//	infer/        a model folder on pictures: features, scores, captions, answers
//	  forward/      a checkpoint on given tensors: the parity door
//	  cache/        states of frozen towers in files
//	train/        the loop, the optimizer, the schedules
//	  objective/    batch -> loss terms
//	  recipes/      one function a run
//	  plan/         what a run needs, before anything is bought
//	  runlog/       metrics.jsonl, TensorBoard events, progress bar
//	capfilt/      cleans noisy image-text sets: captioners, filters, a rule
//	  beam/         the same on many machines; a module of its own
//	eval/         metrics, from strings and numbers alone
//	  ptb/ meteor/  tokens of captions; METEOR, whose lists of words a user brings
//	  report/       report.html
//	notebooks/    tours of all this, in cells; small/ trains what they look at, show/ draws it
//	internal/     pjrt finds and opens the backend; bounded reads files of others;
//	              golden reads reference data
//	cmd/goblip/   the only main: wires all of the above
//
// Who may import whom is a table in arch_test.go, which keeps to it.
package goblip
