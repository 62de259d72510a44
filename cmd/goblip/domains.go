package main

import (
	"fmt"
	"path/filepath"

	"goblip/datasets"
	"goblip/eval"
)

// readDomains reads the domain of each picture, by file name; no file is no domains.
func readDomains(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	var file struct {
		Images []struct {
			FileName string `json:"file_name"`
			Domain   string `json:"domain"`
		} `json:"images"`
	}
	if err := readJSON(path, &file); err != nil {
		return nil, err
	}
	domains := map[string]string{}
	for i, image := range file.Images {
		name := filepath.Base(image.FileName)
		if image.FileName == "" || image.Domain == "" {
			return nil, fmt.Errorf("%s: images[%d]: file_name or domain is missing", path, i)
		}
		if _, seen := domains[name]; seen {
			return nil, fmt.Errorf("%s: images[%d]: file_name %s is there already", path, i, name)
		}
		domains[name] = image.Domain
	}
	return domains, nil
}

// domains scores the captions of each domain as a corpus of its own, as NoCaps does.
func (w *written) domains(set *datasets.Set, domainOf map[string]string) (map[string]captionSlice, error) {
	parts := map[string][]int{}
	for i, r := range set.Records {
		domain, known := domainOf[filepath.Base(r.Image)]
		if !known {
			return nil, fmt.Errorf("%s: its domain is not known", r.Image)
		}
		parts[domain] = append(parts[domain], i)
	}
	out := map[string]captionSlice{}
	for domain, part := range parts {
		var hyps []string
		var refs [][]string
		for _, i := range part {
			hyps, refs = append(hyps, w.captions[i]), append(refs, set.Records[i].Captions)
		}
		scores, _, err := eval.Captions(hyps, refs)
		if err != nil {
			return nil, fmt.Errorf("domain %s: %w", domain, err)
		}
		out[domain] = captionSlice{len(part), scores}
	}
	return out, nil
}
