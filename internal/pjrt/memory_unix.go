//go:build unix

package pjrt

import (
	"runtime"
	"syscall"
)

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
