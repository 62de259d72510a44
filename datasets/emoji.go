package datasets

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"goblip/internal/bounded"
)

// maxEmojiFile bounds emoji.json (1.5 MB) and the keyword files (0.5 MB).
const maxEmojiFile = 32 << 20

// emoji is one entry of the emoji-datasource packages' emoji.json.
type emoji struct {
	Name           string           `json:"name"`
	Unified        string           `json:"unified"` // code points, "1F44D-1F3FB"
	Image          string           `json:"image"`
	ShortNames     []string         `json:"short_names"`
	Category       string           `json:"category"`
	Subcategory    string           `json:"subcategory"`
	SkinVariations map[string]emoji `json:"skin_variations"`
}

// keywords is what Unicode's CLDR says of one emoji in English.
type keywords struct {
	name  string
	words []string
}

// Emoji lists the drawings of one style as records with two to four captions:
// the name, another name, the keywords, the group. source is an unpacked
// emoji-datasource package (emoji.json and img/STYLE/64). annotations are
// CLDR's English files (annotations/en.xml, annotationsDerived/en.xml), none
// for captions without keywords. Drawings that a style lacks are left out.
func Emoji(source, style string, annotations []string) ([]Record, error) {
	path := filepath.Join(source, "emoji.json")
	data, err := bounded.ReadFile(path, maxEmojiFile)
	if err != nil {
		return nil, err
	}
	var list []emoji
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	known := map[string]keywords{}
	for _, file := range annotations {
		if err := readAnnotations(file, known); err != nil {
			return nil, err
		}
	}
	folder := filepath.Join(source, "img", style, "64")
	if _, err := os.Stat(folder); err != nil {
		return nil, fmt.Errorf("no drawings of style %q: %w", style, err)
	}
	var records []Record
	for i, e := range list {
		for _, form := range e.forms() {
			text, err := codePoints(form.Unified)
			if err != nil || form.Image != filepath.Base(form.Image) {
				return nil, fmt.Errorf("%s: entry %d: bad code points %q or image %q", path, i, form.Unified, form.Image)
			}
			picture := filepath.Join(folder, form.Image)
			if _, err := os.Stat(picture); errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				return nil, err
			}
			records = append(records, Record{
				ID:       style + "-" + strings.ToLower(form.Unified),
				Image:    picture,
				Captions: form.captions(known[text]),
			})
		}
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("%s: none of its %d entries has a drawing in %s", path, len(list), folder)
	}
	return records, nil
}

// skinTones in the order of their code points.
var skinTones = []struct{ code, name string }{
	{"1F3FB", "light"}, {"1F3FC", "medium-light"}, {"1F3FD", "medium"}, {"1F3FE", "medium-dark"}, {"1F3FF", "dark"},
}

// forms are the emoji itself and its variations of one skin tone; couples of
// two tones differ by a few pixels and are left out.
func (e emoji) forms() []emoji {
	forms := []emoji{e}
	for _, tone := range skinTones {
		if v, ok := e.SkinVariations[tone.code]; ok {
			v.Name = e.Name + ": " + tone.name + " skin tone"
			v.Category, v.Subcategory = e.Category, e.Subcategory
			forms = append(forms, v)
		}
	}
	return forms
}

// captions are lower-case and all different.
func (e emoji) captions(k keywords) []string {
	name := strings.ToLower(e.Name)
	if k.name != "" {
		name = strings.ToLower(k.name)
	}
	captions := []string{name}
	for _, short := range e.ShortNames {
		other := strings.NewReplacer("_", " ", "-", " ").Replace(strings.ToLower(short))
		if strings.HasPrefix(other, "flag ") { // "flag ne": a country's code says nothing
			break
		}
		if len(other) > 3 && !strings.Contains(name, other) && !strings.ContainsAny(other, "0123456789+") {
			captions = append(captions, "a drawing of "+other)
			break
		}
	}
	var words []string
	for _, word := range k.words {
		if word = strings.ToLower(word); word != name && len(words) < 8 {
			words = append(words, word)
		}
	}
	if len(words) > 0 {
		captions = append(captions, "a drawing about "+enumerate(words))
	}
	group := strings.ToLower(strings.ReplaceAll(e.Category, "&", "and"))
	part := strings.ReplaceAll(strings.ToLower(strings.ReplaceAll(e.Subcategory, "&", "and")), "-", " ")
	return append(captions, fmt.Sprintf("%s, from %s, %s", name, group, part))
}

func enumerate(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// codePoints turns "1F44D-FE0F" into text, without the variation selector
// FE0F, which CLDR leaves out.
func codePoints(unified string) (string, error) {
	var b strings.Builder
	for code := range strings.SplitSeq(unified, "-") {
		r, err := strconv.ParseUint(code, 16, 21)
		if err != nil {
			return "", err
		}
		if r != 0xFE0F {
			b.WriteRune(rune(r))
		}
	}
	return b.String(), nil
}

// readAnnotations adds a CLDR file's names and keywords to known.
func readAnnotations(path string, known map[string]keywords) error {
	data, err := bounded.ReadFile(path, maxEmojiFile)
	if err != nil {
		return err
	}
	var file struct {
		Annotations []struct {
			CodePoints string `xml:"cp,attr"`
			Type       string `xml:"type,attr"`
			Text       string `xml:",chardata"`
		} `xml:"annotations>annotation"`
	}
	if err := xml.Unmarshal(data, &file); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, a := range file.Annotations {
		k := known[a.CodePoints]
		if a.Type == "tts" {
			k.name = a.Text
		} else {
			for word := range strings.SplitSeq(a.Text, "|") {
				if word = strings.TrimSpace(word); word != "" {
					k.words = append(k.words, word)
				}
			}
		}
		known[a.CodePoints] = k
	}
	return nil
}
