// Package checkpoints keeps tensors in files: safetensors files, model folders in Hugging
// Face's layout, and the checkpoints of a training run. It knows tensors and their names,
// not models.
//
// Reading order:
//
//	safetensors.go  Open and File: reading a .safetensors file
//	write.go        Write: writing one
//	file.go         WriteFile: any other file
//	atomic.go       files and folders that appear whole or not at all
//	names.go        tensor names and the variables of a model.Store
//	folder.go       OpenFolder, WriteFolder: config.json and weights
//	load.go         Folder.Load: strict loading into a model.Store; MismatchError
//	run.go          SaveStep, Latest, Prune: checkpoints of a run, safe against kill -9
//
// Values go to disk and back bit for bit. Numbers in these files are little-endian, as are
// all machines that this program runs on.
package checkpoints
