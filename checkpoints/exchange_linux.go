package checkpoints

import (
	"errors"

	"golang.org/x/sys/unix"
)

// exchange swaps two names in one step, so that at no moment either is missing.
func exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		return exchangeByRenames(a, b) // some network file systems cannot
	}
	return err
}
