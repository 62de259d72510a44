//go:build unix

package pjrt

import (
	"runtime"
	"syscall"
)

// ProcessorTime is what this process used of its processors so far, in seconds: unlike the time that
// passes it hardly depends on what else a machine does.
func ProcessorTime() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}

func maxResident() uint64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return uint64(usage.Maxrss) // bytes there, kilobytes elsewhere
	}
	return uint64(usage.Maxrss) << 10
}
