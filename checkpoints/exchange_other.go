//go:build !linux

package checkpoints

// exchange swaps two names.
func exchange(a, b string) error { return exchangeByRenames(a, b) }
