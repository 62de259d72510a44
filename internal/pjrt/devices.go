package pjrt

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"github.com/gomlx/compute"
)

// cpuThreads is how many threads XLA's CPU pool needs so that the devices of one
// process can all wait in a collective at once: with fewer, they wait for
// each other until XLA aborts the process after 40 seconds.
const cpuThreads = 16

// EnsureDevices prepares the process for n devices; call it first, before Open.
//
// XLA reads the size of its CPU thread pool from NPROC when it starts, so for
// n > 1 on a small machine the program is started again in place, same
// arguments, with NPROC=16, and this call does not return. One device is slower
// with it, therefore not always.
func EnsureDevices(n int) error {
	if n <= 1 {
		return nil
	}
	setting, demanded := os.LookupEnv(compute.ConfigEnvVar)
	choices, err := choose(setting, demanded, Plugins())
	if err != nil {
		return err
	}
	switch choices[0].kind {
	case "go", "":
		return fmt.Errorf("%d devices need the XLA plugin, the pure-Go backend has one device; run: goblip setup cpu", n)
	case "cpu":
	default:
		return nil
	}
	if nproc, err := strconv.Atoi(os.Getenv("NPROC")); err == nil && nproc >= cpuThreads {
		return nil
	}
	if os.Getenv("NPROC") == "" && runtime.NumCPU() >= cpuThreads {
		return nil // what XLA takes by itself
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot start again with NPROC=%d: %w", cpuThreads, err)
	}
	if err := os.Setenv("NPROC", strconv.Itoa(cpuThreads)); err != nil {
		return err
	}
	return restart(program)
}
