package pjrt

import (
	"os"
	"runtime"
	"strings"
)

// tunables is the variable from which glibc takes settings when a process starts.
const tunables = "GLIBC_TUNABLES"

// UseHugePages makes the C library ask for pages of 2 MiB, on Linux with glibc 2.35 or later; call
// it before anything else that has an effect.
//
// XLA's CPU client takes the memory of a training step from malloc and gives it back after each
// step, so with pages of 4 KiB a fifth of all processor time goes into the kernel, to map them and fill
// them with zeros. As glibc reads its settings when a process starts, the program is started again
// in place, and this call does not return. A setting of the user's own stays as it is.
func UseHugePages() error {
	const setting = "glibc.malloc.hugetlb"
	have := os.Getenv(tunables)
	if runtime.GOOS != "linux" || strings.Contains(have, setting) {
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	value := setting + "=1"
	if have != "" {
		value = have + ":" + value
	}
	if err := os.Setenv(tunables, value); err != nil {
		return err
	}
	return restart(program)
}
