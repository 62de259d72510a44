// Package runlog records how a run goes, for programs and for the person who waits.
//
// In reading order:
//
//	log.go          Log: one call a log step writes metrics.jsonl, TensorBoard events and the terminal
//	metrics.go      the lines of metrics.jsonl: writing, reading, cutting after a step
//	tensorboard.go  TensorBoard event files
//	progress.go     Bar: progress with ETA, redrawn on a terminal and as plain lines elsewhere
//
// Progress goes to standard error, so that standard output holds results only.
package runlog
