package datasets

import (
	"fmt"
	"math"
	"net/url"
	"os"
	"strconv"
	"strings"

	"goblip/datasets/blob"
)

// Spec is a source's name taken apart: PATH, or PATH#key=value&key=value.
type Spec struct {
	Path        string
	Weight      float64  // weight=2: share of a mixture; 0: not given
	Share       int      // share=1/4: of four equal shares the one numbered 1, from 0
	Shares      int      // 0: all of it
	Images      string   // images=DIR: where COCO and VQA pictures lie
	Splits      []string // split=train+restval: of Karpathy's file
	Annotations string   // annotations=FILE: VQA's answers
}

// ParseSpec takes a source's name apart.
func ParseSpec(name string) (Spec, error) {
	path, rest, ok := cutSpec(name)
	s := Spec{Path: path}
	if !ok {
		return s, nil
	}
	fail := func(format string, args ...any) (Spec, error) {
		return s, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...))
	}
	for part := range strings.SplitSeq(rest, "&") {
		key, value, ok := strings.Cut(part, "=")
		value, err := url.PathUnescape(value)
		if !ok || err != nil || value == "" {
			return fail("%q is not key=value", part)
		}
		switch key {
		case "weight":
			s.Weight, err = strconv.ParseFloat(value, 64)
			if err != nil || !(s.Weight > 0) || math.IsInf(s.Weight, 0) {
				return fail("weight %q is not a positive number", value)
			}
		case "share":
			a, b, ok := strings.Cut(value, "/")
			share, err1 := strconv.Atoi(a)
			shares, err2 := strconv.Atoi(b)
			if !ok || err1 != nil || err2 != nil || share < 0 || shares < 1 || share >= shares {
				return fail("share %q is not I/N with 0 <= I < N", value)
			}
			s.Share, s.Shares = share, shares
		case "images":
			s.Images = value
		case "split":
			s.Splits = strings.Split(value, "+")
		case "annotations":
			s.Annotations = value
		default:
			return fail("unknown %q; there are: annotations, images, share, split, weight", key)
		}
	}
	return s, nil
}

// cutSpec finds the "#" that ends a path; a file may have one in its name.
func cutSpec(name string) (path, rest string, ok bool) {
	at := strings.LastIndexByte(name, '#')
	if at < 0 || !strings.Contains(name[at:], "=") {
		return name, "", false
	}
	if !blob.IsRemote(name) {
		if _, err := os.Stat(name); err == nil {
			return name, "", false
		}
	}
	return name[:at], name[at+1:], true
}

// maxExpanded bounds what braces may stand for.
const maxExpanded = 1_000_000

// expandBraces turns "a{000..127}.tar" and "{train,val}.tar" into their names;
// several braces multiply. Leading zeros keep their width.
func expandBraces(pattern string) ([]string, error) {
	names := []string{""}
	for rest := pattern; ; {
		before, after, found := strings.Cut(rest, "{")
		if !found {
			for i := range names {
				names[i] += rest
			}
			return names, nil
		}
		inside, after, found := strings.Cut(after, "}")
		if !found {
			return nil, fmt.Errorf("%s: a brace is not closed", pattern)
		}
		choices, err := braceChoices(inside)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pattern, err)
		}
		if len(names)*len(choices) > maxExpanded {
			return nil, fmt.Errorf("%s: stands for more than %d names", pattern, maxExpanded)
		}
		next := make([]string, 0, len(names)*len(choices))
		for _, name := range names {
			for _, choice := range choices {
				next = append(next, name+before+choice)
			}
		}
		names, rest = next, after
	}
}

func braceChoices(inside string) ([]string, error) {
	a, b, isRange := strings.Cut(inside, "..")
	if !isRange {
		return strings.Split(inside, ","), nil
	}
	first, err1 := strconv.ParseUint(a, 10, 31)
	last, err2 := strconv.ParseUint(b, 10, 31)
	if err1 != nil || err2 != nil || last < first || last-first >= maxExpanded {
		return nil, fmt.Errorf("{%s} is not a range FIRST..LAST of numbers", inside)
	}
	var choices []string
	for n := first; n <= last; n++ {
		choices = append(choices, fmt.Sprintf("%0*d", len(a), n))
	}
	return choices, nil
}
