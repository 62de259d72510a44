module goblip

go 1.26.5

require (
	github.com/gomlx/gomlx v0.28.3
	github.com/spf13/cobra v1.10.2
	golang.org/x/image v0.47.0
	google.golang.org/protobuf v1.36.11
)

require (
	github.com/go-logr/logr v1.4.3 // indirect
	github.com/gofrs/flock v0.13.0
	github.com/gomlx/compute v0.1.3
	github.com/gomlx/compute-onnx v0.1.0 // indirect
	github.com/gomlx/go-xla v0.4.2
	github.com/google/uuid v1.6.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/klauspost/compress v1.20.3
	github.com/pkg/errors v0.9.1 // indirect
	github.com/spf13/pflag v1.0.9
	golang.org/x/exp v0.0.0-20260410095643-746e56fc9e2f // indirect
	golang.org/x/sys v0.49.0
	golang.org/x/term v0.40.0
	golang.org/x/text v0.43.0
	k8s.io/klog/v2 v2.140.0
)
