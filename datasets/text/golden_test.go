package text

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// goldenCase is one string with what the Python package makes of it.
type goldenCase struct {
	Text               string  `json:"text"`
	IDs                []int32 `json:"ids"`
	IDsNoSpecial       []int32 `json:"ids_no_special"`
	IDsOnly            []int32 `json:"ids_only"` // ids that no text has; to be decoded
	TruncPadIDs        []int32 `json:"trunc_pad_ids"`
	TruncPadMask       []int32 `json:"trunc_pad_mask"`
	Decoded            string  `json:"decoded"`
	DecodedSkipSpecial string  `json:"decoded_skip_special"`
	DecodedNoClean     *string `json:"decoded_skip_special_noclean"` // without clean-up
}

func (c *goldenCase) check(t *testing.T, tok Tokenizer) {
	t.Helper()
	if c.IDsOnly != nil {
		if got := tok.Decode(c.IDsOnly, false); got != c.Decoded {
			t.Errorf("Decode(%v) = %q, want %q", c.IDsOnly, got, c.Decoded)
		}
		return
	}
	if got := tok.Encode(c.Text); !slices.Equal(got, c.IDs) {
		t.Errorf("Encode(%q)\n got %v\nwant %v", c.Text, got, c.IDs)
	}
	if got := tok.EncodePlain(c.Text); !slices.Equal(got, c.IDsNoSpecial) {
		t.Errorf("EncodePlain(%q)\n got %v\nwant %v", c.Text, got, c.IDsNoSpecial)
	}
	if got := tok.Decode(c.IDs, false); got != c.Decoded {
		t.Errorf("Decode(%v, false)\n got %q\nwant %q", c.IDs, got, c.Decoded)
	}
	if got := tok.Decode(c.IDs, true); got != c.DecodedSkipSpecial {
		t.Errorf("Decode(%v, true)\n got %q\nwant %q", c.IDs, got, c.DecodedSkipSpecial)
	}
	if settings := tok.Settings(); c.DecodedNoClean != nil {
		cleanUp := settings.CleanUp
		settings.CleanUp = false
		if got := tok.Decode(c.IDs, true); got != *c.DecodedNoClean {
			t.Errorf("Decode(%v, true) without clean-up\n got %q\nwant %q", c.IDs, got, *c.DecodedNoClean)
		}
		settings.CleanUp = cleanUp
	}
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func open(t testing.TB, dir string) Tokenizer {
	t.Helper()
	tok, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestGolden compares with ids made by scripts/golden_tokenizers.py, before and after Save.
func TestGolden(t *testing.T) {
	for _, kind := range []string{"bert", "opt", "clip", "t5"} {
		t.Run(kind, func(t *testing.T) {
			var golden struct{ Cases []goldenCase }
			readJSON(t, filepath.Join("testdata", kind+".json"), &golden)
			if len(golden.Cases) < 20 {
				t.Fatalf("only %d cases", len(golden.Cases))
			}
			tok := open(t, filepath.Join("testdata", kind))
			dir := t.TempDir()
			if err := tok.Save(dir); err != nil {
				t.Fatal(err)
			}
			saved := open(t, dir)
			for i := range golden.Cases {
				golden.Cases[i].check(t, tok)
				golden.Cases[i].check(t, saved)
			}
		})
	}
}

// TestFixtures runs the large reference set, where GOBLIP_FIXTURES names its folder.
func TestFixtures(t *testing.T) {
	root := os.Getenv("GOBLIP_FIXTURES")
	if root == "" {
		t.Skip("GOBLIP_FIXTURES is not set")
	}
	root = filepath.Join(root, "tokenizers")
	var set struct {
		Sets []struct {
			Tokenizer, Directory, Expected string
			Vocab                          int
			Pad                            int32
			PadSide                        string `json:"pad_side"`
			MaxLength                      int    `json:"max_length"`
		}
	}
	readJSON(t, filepath.Join(root, "case.json"), &set)
	for _, s := range set.Sets {
		t.Run(s.Tokenizer, func(t *testing.T) {
			tok := open(t, filepath.Join(root, s.Directory))
			if got := tok.VocabSize(); got != s.Vocab {
				t.Errorf("VocabSize() = %d, want %d", got, s.Vocab)
			}
			dir := t.TempDir()
			if err := tok.Save(dir); err != nil {
				t.Fatal(err)
			}
			saved := open(t, dir)
			var cases []goldenCase
			readJSON(t, filepath.Join(root, s.Expected), &cases)
			for _, c := range cases {
				c.check(t, tok)
				c.check(t, saved)
				if pad, ok := PadID(tok); !ok || pad != s.Pad || tok.Settings().PadLeft != (s.PadSide == "left") {
					t.Fatalf("padding is %d, left %v; want %d, %s", pad, tok.Settings().PadLeft, s.Pad, s.PadSide)
				}
				ids, mask := Pad([][]int32{EncodeMax(tok, c.Text, s.MaxLength)}, s.MaxLength, s.Pad, s.PadSide == "left")
				if !slices.Equal(ids, c.TruncPadIDs) || !slices.Equal(mask, c.TruncPadMask) {
					t.Errorf("%q cut and padded\n got %v\nwant %v", c.Text, ids, c.TruncPadIDs)
				}
			}
		})
	}
}
