package pjrt

import (
	"bytes"
	"os"
	"strconv"
)

// HostMemory is what this process has of the machine's memory, and what is still free, in bytes; 0 where the
// system does not tell. A control group's limit counts where there is one.
func HostMemory() uint64 {
	available := number("/proc/meminfo", "MemAvailable:")
	resident := number("/proc/self/status", "VmRSS:")
	if available == 0 {
		return 0
	}
	all := (available + resident) << 10
	if raw, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if limit, err := strconv.ParseUint(string(bytes.TrimSpace(raw)), 10, 64); err == nil {
			all = min(all, limit)
		}
	}
	return all
}

// number is that behind a word of a file of the system; 0: there is none.
func number(path, word string) uint64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	_, after, _ := bytes.Cut(text, []byte(word))
	fields := bytes.Fields(after)
	if len(fields) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(string(fields[0]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// PeakMemory is the largest resident size of this process so far, in bytes; 0
// where the system does not tell.
func PeakMemory() uint64 {
	// VmHWM, not getrusage: on Linux the latter is inherited over exec, from a
	// parent that may have been larger.
	if kb := number("/proc/self/status", "VmHWM:"); kb > 0 {
		return kb << 10
	}
	return maxResident()
}
