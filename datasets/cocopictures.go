package datasets

import (
	"os"
	"path/filepath"
	"regexp"

	"goblip/datasets/blob"
)

// pictures is where the pictures of a COCO or VQA file lie, whose names say
// nothing about that.
type pictures struct{ folder string }

func (p pictures) path(name string) string {
	if filepath.IsAbs(name) || blob.IsRemote(name) {
		return name
	}
	return filepath.Join(p.folder, filepath.FromSlash(name))
}

// findPictures looks for the folder that has one of the names: images=DIR, or
// the folders where people keep COCO, beside or above its annotations. If none
// has, the file's own folder is what messages name.
func findPictures(spec Spec, subtype string, names ...string) pictures {
	if spec.Images != "" {
		return pictures{spec.Images}
	}
	own := filepath.Dir(spec.Path)
	for _, base := range []string{own, filepath.Dir(own)} {
		for _, inside := range []string{"", subtype, "images", filepath.Join("images", subtype), filepath.Join("coco", "images")} {
			for _, name := range names {
				if _, err := os.Stat(filepath.Join(base, inside, filepath.FromSlash(name))); name != "" && err == nil {
					return pictures{filepath.Join(base, inside)}
				}
			}
		}
	}
	return pictures{own}
}

var subtypePattern = regexp.MustCompile(`(train|val|test)20\d\d`)

// subtypeIn finds "train2014" in captions_train2014.json.
func subtypeIn(path string) string { return subtypePattern.FindString(filepath.Base(path)) }
