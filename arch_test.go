package goblip

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// mayImport says which folders of ours a folder may import, beside internal,
// which all may. The longest folder that fits decides.
var mayImport = map[string]string{
	".":                   "", // the map of doc.go
	"models":              "models",
	"models/nn":           "",
	"datasets":            "datasets",
	"checkpoints":         "checkpoints",        // tensors, not models
	"checkpoints/convert": "models checkpoints", // renames
	"checkpoints/layout":  "models",             // what folders hold, by the models' configs
	"infer":               "models datasets checkpoints infer",
	"infer/forward":       "models datasets checkpoints infer train", // a case may be a run of training
	"train":               "models datasets checkpoints train",
	"train/objective":     "models train/objective", // models, not the loop
	"train/recipes":       "models datasets checkpoints train infer",
	"train/plan":          "models train infer",
	"train/runlog":        "",
	"capfilt":             "models datasets checkpoints infer eval capfilt", // training comes in as functions
	"scripts":             "",
	"eval":                "eval", // strings and numbers: cmd brings them
	"eval/ptb":            "",     // tokens of captions
	"eval/meteor":         "",     // one metric of captions
	"eval/report":         "eval train/runlog",
	"notebooks":           "models datasets checkpoints infer train eval capfilt notebooks",
	"internal":            "internal",
	"internal/golden":     "checkpoints", // reference data of parity tests
	"cmd":                 "models datasets checkpoints infer train eval capfilt scripts cmd",
}

// TestArchitecture reads the sources itself: a test that ran "go list" would be
// answered from the test cache after the sources changed.
func TestArchitecture(t *testing.T) {
	problems, packages, err := check(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
	if packages < 3 {
		t.Errorf("only %d packages found: does the walk still reach them?", packages)
	}
}

// TestArchitectureFinds wants the check to see what it is there for.
func TestArchitectureFinds(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	problems, packages, err := check(fstest.MapFS{
		"eval/a.go":            file("// Package eval is.\npackage eval\nimport _ \"goblip/models/vit\"\n"),
		"models/nn/a.go":       file("// Package nn is.\npackage nn\nimport _ \"goblip/internal/pjrt\"\nimport _ \"goblip/models/vit\"\n"),
		"models/vit/a.go":      file("package vit\nimport _ \"goblip/models/nn\"\n"),
		"models/vit/a_test.go": file("package vit\nimport _ \"goblip/checkpoints\"\n"),
		"extra/a.go":           file("// Some words.\npackage extra\n"),
		"testdata/a.go":        file("package broken\nimport _ \"goblip/cmd\"\n"),
		"nested/go.mod":        file("module nested\n"),
		"nested/sub/a.go":      file("package sub\nimport _ \"goblip/cmd\"\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"eval/a.go imports goblip/models/vit",
		"extra: no rule",
		"extra: the package comment starts with \"Some\"",
		"models/nn/a.go imports goblip/models/vit",
		"models/vit: no package comment",
	}
	if len(problems) != len(want) || packages != 4 {
		t.Fatalf("got %d packages and problems %q, want %q", packages, problems, want)
	}
	for i := range want {
		if !strings.HasPrefix(problems[i], want[i]) {
			t.Errorf("got %q, want %q", problems[i], want[i])
		}
	}
}

// check returns what breaks the map in the packages under root.
func check(root fs.FS) (problems []string, packages int, err error) {
	comments := map[string]string{} // folder -> package comment
	var folders []string            // in the order of the walk
	imports := map[string][]string{}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(root, name)
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		source, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		folder := path.Dir(name)
		if _, seen := comments[folder]; !seen {
			folders = append(folders, folder)
			comments[folder] = ""
		}
		if file.Doc != nil {
			comments[folder] = file.Doc.Text()
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			to, ours := strings.CutPrefix(imported, "goblip/")
			if ours && !allowed(folder, to) {
				imports[folder] = append(imports[folder],
					fmt.Sprintf("%s imports %s: the map of arch_test.go does not let it", name, imported))
			}
		}
		return nil
	})
	for _, folder := range folders {
		problems = append(problems, imports[folder]...)
		if rule(folder) == "" {
			problems = append(problems, folder+": no rule in the map of arch_test.go")
		}
		switch first, _, _ := strings.Cut(comments[folder], " "); {
		case first == "":
			problems = append(problems, folder+": no package comment")
		case first != "Package" && first != "Command":
			problems = append(problems, fmt.Sprintf("%s: the package comment starts with %q", folder, first))
		}
	}
	return problems, len(folders), err
}

// enter leaves out what is not of this module, and the folders that .gitignore has.
func enter(root fs.FS, folder string) error {
	base := path.Base(folder)
	if folder == "bin" || folder == "runs" || folder == "data" {
		return fs.SkipDir
	}
	if folder != "." && (base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(folder, "go.mod")); err == nil && folder != "." {
		return fs.SkipDir
	}
	return nil
}

// rule is the key of mayImport that decides for a folder; "" if none does.
func rule(folder string) string {
	if folder == "." {
		return folder
	}
	for ; folder != "."; folder = path.Dir(folder) {
		if _, ok := mayImport[folder]; ok {
			return folder
		}
	}
	return ""
}

func allowed(from, to string) bool {
	for _, folder := range strings.Fields(mayImport[rule(from)] + " internal") {
		if to == folder || strings.HasPrefix(to, folder+"/") {
			return true
		}
	}
	return false
}
