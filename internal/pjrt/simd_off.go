//go:build !goexperiment.simd

package pjrt

const simd = false
