package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"goblip/datasets"
)

// provenance says what a result was measured on: two results with the same three hashes are of the same experiment.
type provenance struct {
	Weights  string         `json:"weights"`  // of config.json, the tensors and the tokenizers
	Data     string         `json:"data"`     // of the records and the pictures' files
	Settings string         `json:"settings"` // of Values
	Values   map[string]any `json:"values"`
}

// provenanceOf hashes a model folder, a data set and the settings of an evaluation.
func provenanceOf(checkpoint string, set *datasets.Set, values map[string]any) (*provenance, error) {
	p := &provenance{Values: values}
	var err error
	if p.Weights, err = hashFolder(checkpoint); err != nil {
		return nil, err
	}
	if p.Data, err = hashSet(set); err != nil {
		return nil, err
	}
	settings, err := json.Marshal(values) // keys in order
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(settings)
	p.Settings = hex.EncodeToString(sum[:])
	return p, nil
}

// hashFolder is the SHA-256 of the names and contents of a model folder's files.
func hashFolder(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, e := range entries { // in order of their names
		ext := filepath.Ext(e.Name())
		if e.IsDir() || !slices.Contains([]string{".safetensors", ".json", ".txt", ".model", ".bin", ".pth"}, ext) {
			continue
		}
		fmt.Fprintf(h, "%s\n", e.Name())
		if err := hashFile(h, filepath.Join(dir, e.Name())); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// hashSet is the SHA-256 of a set's records, without the places of the files, and of the pictures' contents.
func hashSet(set *datasets.Set) (string, error) {
	h := sha256.New()
	for _, r := range set.Records {
		picture, err := r.PictureFile()
		if err != nil {
			return "", err
		}
		r.Image, r.ID = filepath.Base(r.Image), strings.TrimSuffix(filepath.Base(r.ID), filepath.Ext(r.ID))
		line, err := json.Marshal(r)
		if err != nil {
			return "", fmt.Errorf("%s: %w", r.Origin, err)
		}
		fmt.Fprintf(h, "%s\n", line)
		h.Write(picture)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashFile(h hash.Hash, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
