//go:build !unix

package pjrt

func maxResident() uint64 { return 0 }
