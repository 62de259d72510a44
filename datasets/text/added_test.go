package text

import (
	"fmt"
	"slices"
	"testing"
)

// TestAddedFlags: what an added token takes of the text around it.
func TestAddedFlags(t *testing.T) {
	var x addedIndex
	for i, a := range []addedToken{
		{Content: "<l>", LStrip: true},
		{Content: "<r>", RStrip: true},
		{Content: "<b>", LStrip: true, RStrip: true},
		{Content: "word", SingleWord: true},
		{Content: "<l>x"},
	} {
		a.ID = int32(i)
		if err := x.insert(a.Content, a); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		text string
		want []string
	}{
		{"a \u3000<l> b", []string{"a", "0", " b"}},
		{"a <r>\n  b", []string{"a ", "1", "b"}},
		{"a <b> <b> b", []string{"a", "2", "2", "b"}},
		{"<r> <l>", []string{"1", "0"}},
		{"word, sword words word_ word\u0301 -word", []string{"3", ", sword words word_ word\u0301 -", "3"}},
		{"<l>x<l>", []string{"4", "0"}},
		{"<l", []string{"<l"}},
		{"", nil},
	} {
		var got []string
		x.split(c.text, func(s string, at int) {
			if c.text[at:at+len(s)] != s {
				t.Errorf("%q: %q is not at %d", c.text, s, at)
			}
			got = append(got, s)
		}, func(id int32) { got = append(got, fmt.Sprint(id)) })
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
	x.remove("<l>x", 4)
	x.remove("<r>", 7) // another token's
	var got []string
	x.split("<l>x<r>", func(s string, _ int) { got = append(got, s) }, func(id int32) { got = append(got, fmt.Sprint(id)) })
	if want := []string{"0", "x", "1"}; !slices.Equal(got, want) {
		t.Errorf("after removing: %q, want %q", got, want)
	}
}
