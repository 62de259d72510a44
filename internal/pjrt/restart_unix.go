//go:build unix

package pjrt

import (
	"fmt"
	"os"
	"syscall"
)

// restart replaces the process, which keeps its id, terminal and open files.
func restart(program string) error {
	return fmt.Errorf("cannot start %s again: %w", program, syscall.Exec(program, os.Args, os.Environ()))
}
