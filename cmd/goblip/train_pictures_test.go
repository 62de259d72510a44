package main

import (
	"context"
	"errors"
	"testing"

	"goblip/train"
)

// TestUnlessStopped: reading that takes long does not keep a program that was asked to stop.
func TestUnlessStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	if got, err := unlessStopped(ctx, nil, func() (int, error) { return 7, nil }); got != 7 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	broken := errors.New("broken")
	if _, err := unlessStopped(ctx, nil, func() (int, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	release := make(chan struct{})
	defer close(release)
	_, err := unlessStopped(ctx, nil, func() (int, error) {
		stop()
		<-release
		return 0, nil
	})
	if !errors.Is(err, train.ErrStopped) {
		t.Errorf("a program that was asked to stop: %v", err)
	}
}
