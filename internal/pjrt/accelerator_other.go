//go:build !(linux && amd64)

package pjrt

import (
	"fmt"
	"runtime"
)

func acceleratorInstaller(kind string) (func(folder string) error, error) {
	return nil, fmt.Errorf("go-xla has no %s plugin for %s/%s", kind, runtime.GOOS, runtime.GOARCH)
}
