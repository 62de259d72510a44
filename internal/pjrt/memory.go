package pjrt

import (
	"bytes"
	"os"
	"strconv"
)

// PeakMemory is the largest resident size of this process so far, in bytes; 0
// where the system does not tell.
func PeakMemory() uint64 {
	// VmHWM, not getrusage: on Linux the latter is inherited over exec, from a
	// parent that may have been larger.
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		if _, after, ok := bytes.Cut(status, []byte("VmHWM:")); ok {
			if fields := bytes.Fields(after); len(fields) > 0 {
				if kb, err := strconv.ParseUint(string(fields[0]), 10, 64); err == nil {
					return kb << 10
				}
			}
		}
	}
	return maxResident()
}
