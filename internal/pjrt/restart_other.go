//go:build !unix

package pjrt

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// restart runs the program as a child and exits with its status.
func restart(program string) error {
	child := exec.Command(program, os.Args[1:]...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := child.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("cannot start %s again: %w", program, err)
	}
	os.Exit(child.ProcessState.ExitCode())
	return nil
}
