package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"goblip/checkpoints"
	"goblip/datasets/image"
)

const testPictures = "../../datasets/image/testdata"

// preprocessed runs the command and reads what it wrote.
func preprocessed(t *testing.T, args ...string) (u8 []byte, values []float32, dims []int) {
	t.Helper()
	output := filepath.Join(t.TempDir(), "out.safetensors")
	var stdout, stderr bytes.Buffer
	if status := run(context.Background(), append([]string{"preprocess", "--output", output}, args...), &stdout, &stderr); status != 0 {
		t.Fatalf("%v: status %d, %s", args, status, stderr.String())
	}
	file, err := checkpoints.Open(output)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got := file.Names(); !slices.Equal(got, []string{"pixel_values", "u8"}) {
		t.Fatalf("tensors %v", got)
	}
	bytesOf, err := file.Tensor("u8")
	if err != nil {
		t.Fatal(err)
	}
	valuesOf, err := file.Tensor("pixel_values")
	if err != nil {
		t.Fatal(err)
	}
	dims = bytesOf.Shape().Dimensions
	if want := []int{dims[0], 3, dims[1], dims[2]}; !slices.Equal(valuesOf.Shape().Dimensions, want) || dims[3] != 3 {
		t.Fatalf("u8 %v, pixel_values %v", dims, valuesOf.Shape().Dimensions)
	}
	return tensors.MustCopyFlatData[byte](bytesOf), tensors.MustCopyFlatData[float32](valuesOf), dims
}

func TestPreprocess(t *testing.T) {
	alpha, photo := filepath.Join(testPictures, "alpha.png"), filepath.Join(testPictures, "photo420.jpg")
	for _, tc := range []struct {
		name string
		args []string
		p    image.Processor
	}{
		{"blip", []string{"--size", "20"}, image.Processor{Size: 20, Alpha: image.AlphaWhite}},
		{"alpha dropped", []string{"--size", "20", "--alpha", "drop"}, image.Processor{Size: 20}},
		{"bilinear", []string{"--size", "9", "--resample", "bilinear"}, image.Processor{Size: 9, Alpha: image.AlphaWhite, Filter: image.Bilinear}},
		{"clip", []string{"--size", "18", "--kind", "clip"}, image.Processor{Size: 18, Crop: 18, Alpha: image.AlphaWhite}},
		{"clip cropped", []string{"--size", "18", "--kind", "clip", "--crop", "11"}, image.Processor{Size: 18, Crop: 11, Alpha: image.AlphaWhite}},
		{"turned", []string{"--size", "20", "--exif"}, image.Processor{Size: 20, Alpha: image.AlphaWhite, Upright: true}},
	} {
		u8, values, dims := preprocessed(t, append(tc.args, alpha, photo)...)
		side := tc.p.Side()
		if !slices.Equal(dims, []int{2, side, side, 3}) {
			t.Errorf("%s: shape %v", tc.name, dims)
			continue
		}
		for i, path := range []string{alpha, photo} {
			want, err := tc.p.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(u8[i*len(want):][:len(want)], want) {
				t.Errorf("%s: picture %d: not the processor's bytes", tc.name, i)
			}
			normalized := make([]float32, len(want))
			tc.p.PixelValues(want, normalized)
			if !slices.Equal(values[i*len(want):][:len(want)], normalized) {
				t.Errorf("%s: picture %d: not the normalized bytes", tc.name, i)
			}
		}
	}
}

func TestPreprocessErrors(t *testing.T) {
	photo := filepath.Join(testPictures, "photo420.jpg")
	whole, err := os.ReadFile(photo)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.jpg")
	if err := os.WriteFile(cut, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--size", "8"}, exitUsage, "requires at least 1 arg"},
		{[]string{photo}, exitUsage, "give --size or --processor"},
		{[]string{"--size", "0", photo}, exitUsage, "image size 0"},
		{[]string{"--size", "8", "--crop", "4", photo}, exitUsage, "only --kind clip crops"},
		{[]string{"--size", "8", "--kind", "clip", "--crop", "-1", photo}, exitUsage, "image crop -1"},
		{[]string{"--size", "8", "--processor", "nowhere", photo}, exitUsage, "--size: the file that --processor names says that"},
		{[]string{"--processor", testPictures, photo}, exitFailed, "config.json: no such file"},
		{[]string{"--size", "8", "--kind", "vit", photo}, exitUsage, `--kind "vit" is not blip or clip`},
		{[]string{"--size", "8", "--alpha", "black", photo}, exitUsage, `--alpha "black" is not white or drop`},
		{[]string{"--size", "8", "--resample", "nearest", photo}, exitUsage, "is not bicubic or bilinear"},
		{[]string{"--size", "8", photo, "nowhere.png"}, exitFailed, "picture path does not exist: nowhere.png"},
		{[]string{"--size", "8", photo, cut}, exitFailed, cut + ": damaged or truncated JPEG picture"},
	} {
		output := filepath.Join(t.TempDir(), "out.safetensors")
		var stdout, stderr bytes.Buffer
		status := run(context.Background(), append([]string{"preprocess", "--output", output}, tc.args...), &stdout, &stderr)
		if status != tc.status || !strings.Contains(stderr.String(), tc.want) || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%v: status %d, %q, want %d and %q", tc.args, status, stderr.String(), tc.status, tc.want)
		}
		if _, err := os.Stat(output); err == nil {
			t.Errorf("%v: wrote a file", tc.args)
		}
	}
}
