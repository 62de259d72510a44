//go:build !unix

package pjrt

func maxResident() uint64 { return 0 }

// ProcessorTime is 0 where the system does not tell.
func ProcessorTime() float64 { return 0 }
