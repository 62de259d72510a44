#!/usr/bin/env python3
"""Opens tokenizer folders that goblip wrote with transformers, and compares ids.

    python3 scripts/check_tokenizers.py

Trains, saves and encodes with a small Go program, then asks transformers' AutoTokenizer
for the ids and the decoded text of the same strings. Needs transformers; prints one line a folder.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from golden_tokenizers import TEXTS  # noqa: E402

GO = r"""
package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	"goblip/datasets/text"
)

func main() {
	var texts []string
	check(json.NewDecoder(os.Stdin).Decode(&texts))
	out := os.Args[1]
	wordPiece, err := text.TrainWordPiece(slices.Values(slices.Concat(texts, texts)), 2000)
	check(err)
	bpe, err := text.TrainBPE(slices.Values(slices.Concat(texts, texts)), 2000)
	check(err)
	bpe.AddSpecial("<image>")
	folders := map[string]text.Tokenizer{"wordpiece": wordPiece, "bpe": bpe}
	for _, dir := range os.Args[2:] {
		t, err := text.Open(dir)
		check(err)
		folders[filepath.Base(dir)] = t
	}
	type row struct {
		IDs, Plain      []int32
		Decoded, Skipped string
	}
	all := map[string][]row{}
	for name, t := range folders {
		check(t.Save(filepath.Join(out, name)))
		for _, s := range texts {
			ids := t.Encode(s)
			all[name] = append(all[name], row{ids, t.EncodePlain(s), t.Decode(ids, false), t.Decode(ids, true)})
		}
	}
	check(json.NewEncoder(os.Stdout).Encode(all))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
"""


def main():
    from transformers import AutoTokenizer

    extra = [str(pathlib.Path(d).resolve()) for d in sys.argv[1:]]
    failed = False
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".check-tokenizers-") as tmp:
        tmp = pathlib.Path(tmp)
        (tmp / "main.go").write_text(GO)
        result = subprocess.run(["go", "run", str(tmp / "main.go"), str(tmp / "out"), *extra], cwd=ROOT,
                                input=json.dumps(TEXTS), capture_output=True, text=True, check=False)
        if result.returncode:
            sys.exit(result.stderr)
        for name, rows in sorted(json.loads(result.stdout).items()):
            for which in ("tokenizer.json", "vocabulary files"):
                if which == "vocabulary files":
                    (tmp / "out" / name / "tokenizer.json").unlink()
                try:
                    t = AutoTokenizer.from_pretrained(tmp / "out" / name)
                except Exception as error:  # what transformers raises differs by version
                    print(f"{name:12} {which:17} does not open: {str(error).splitlines()[0]}")
                    failed |= which == "tokenizer.json"
                    continue
                bad = 0
                for text, row in zip(TEXTS, rows):
                    ids = t(text)["input_ids"]
                    same = (ids == row["IDs"] and t(text, add_special_tokens=False)["input_ids"] == (row["Plain"] or [])
                            and t.decode(ids) == row["Decoded"] and t.decode(ids, skip_special_tokens=True) == row["Skipped"])
                    if not same:
                        bad += 1
                        if bad < 4:
                            print(f"  {text!r}: transformers {ids} {t.decode(ids)!r}, goblip {row['IDs']} {row['Decoded']!r}")
                print(f"{name:12} {which:17} {type(t).__name__}, {len(t)} tokens, pad {t.pad_token!r} {t.pad_token_id}: {len(TEXTS) - bad} of {len(TEXTS)} texts equal")
                failed |= bad > 0 and which == "tokenizer.json"
    sys.exit(failed)


if __name__ == "__main__":
    main()
