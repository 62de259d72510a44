package pjrt

import (
	"fmt"

	"github.com/gomlx/go-xla/installer"
)

func acceleratorInstaller(kind string) (func(folder string) error, error) {
	switch kind {
	case "cuda":
		return func(folder string) error {
			return installer.CudaInstall("cuda13", "latest", folder, true, installer.Quiet)
		}, nil
	case "tpu":
		return func(folder string) error {
			return installer.TPUInstall("tpu", "latest", folder, true, installer.Quiet)
		}, nil
	}
	return nil, fmt.Errorf("unknown plugin %q (have cpu, cuda, tpu)", kind)
}
