// Package plan tells what a stage of BLIP-2 needs before anything is bought: memory, arithmetic,
// traffic, time, on how many accelerators of which kind.
//
//	job.go      what is to be trained, and the paper's stages
//	params.go   its parameters
//	count.go    its arithmetic, layer by layer; count_qformer.go, count_llm.go
//	memory.go   the memory of a step of any recipe, and whether it should compute blocks again
//	devices.go  accelerators
//	traffic.go  what chips send each other, and why
//	estimate.go memory and time of a job on some of them
//	program.go  the arithmetic in an exported step, to check the count
package plan
