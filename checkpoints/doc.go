// Package checkpoints keeps tensors in files: safetensors files, those of torch.save, model folders
// in Hugging Face's layout, and the checkpoints of a training run. It knows tensors and their names,
// not models.
//
// Reading order:
//
//	tensors.go      Tensors: what files and folders of tensors have in common; Deferred
//	safetensors.go  Open and File: reading a .safetensors file; mmap.go, release_*.go: through the memory
//	write.go        Write: writing one, and files of torch.save
//	cast.go         Cast: other precisions
//	file.go         WriteFile: any other file
//	atomic.go       files and folders that appear whole or not at all
//	names.go        tensor names and the variables of a model.Store
//	folder.go       OpenFolder: config.json and weights, of old libraries and new
//	folder_write.go WriteFolder: the same, whole or not at all; shards.go: in several files
//	load.go         Folder.Load: strict loading into a model.Store; MismatchError
//	run.go          SaveStep, Latest, Prune: checkpoints of a run, safe against kill -9
//
// Below it: pickle and torch read and write files of torch.save, layout knows which tensors a class'
// folder holds, convert turns checkpoints into one another, hub downloads them.
//
// Values go to disk and back bit for bit. Numbers in these files are little-endian, as are
// all machines that this program runs on.
package checkpoints
