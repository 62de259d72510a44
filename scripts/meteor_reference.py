#!/usr/bin/env python3
"""Asks the METEOR program what eval/meteor must say.

    python3 scripts/meteor_reference.py --jar meteor-1.5.jar [--cases 1500] [--seed 1]
    python3 scripts/meteor_reference.py --jar meteor-1.5.jar --captions FILE --out CASES.json.gz

The first writes eval/meteor/testdata/reference.json.gz: normalised lines, stems, and statistics of generated captions with
the small lists of words in eval/meteor/testdata/lists, which are ours. The second takes words from a file of captions
and the lists of the jar itself (and the paraphrases in data/ beside it); compare by

    GOBLIP_METEOR=meteor-1.5.jar GOBLIP_METEOR_CASES=CASES.json.gz go test ./eval/meteor/

The jar comes with pycocoevalcap (pip install pycocoevalcap==1.2), folder meteor/. Needs a Java development kit.
"""

import argparse
import gzip
import json
import os
import pathlib
import random
import subprocess
import tempfile

TESTDATA = pathlib.Path(__file__).resolve().parent.parent / "eval" / "meteor" / "testdata"
CALLER = """
import java.io.*; import java.util.*; import java.nio.charset.StandardCharsets;
import edu.cmu.meteor.util.*; import edu.cmu.meteor.aligner.*; import edu.cmu.meteor.scorer.*;
public class Caller {
  public static void main(String[] args) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(new BufferedOutputStream(System.out), false, "UTF-8");
    SnowballStemmerWrapper stemmer = new SnowballStemmerWrapper(new org.tartarus.snowball.ext.englishStemmer());
    MeteorScorer scorer = null;
    if (args[0].equals("score")) {
      MeteorConfiguration c = new MeteorConfiguration();
      c.setLanguage("en");
      c.setNormalization(Constants.NORMALIZE_KEEP_PUNCT);
      if (args.length > 1) {
        c.setWordFileURL(new File(args[1], "function/english.words").toURI().toURL());
        c.setSynDirURL(new File(args[1], "synonym").toURI().toURL());
        c.setParaFileURL(new File(args[1], "data/paraphrase-en.gz").toURI().toURL());
      }
      scorer = new MeteorScorer(c);
    }
    for (String line; (line = in.readLine()) != null; )
      if (scorer != null) {
        String[] texts = line.split(" \\\\|\\\\|\\\\| ", -1);
        out.println(scorer.getMeteorStats(texts[0], new ArrayList<String>(Arrays.asList(texts).subList(1, texts.length))));
      } else out.println(args[0].equals("stem") ? stemmer.stem(line) : Normalizer.normalizeLine(line, Constants.LANG_EN, true));
    out.flush();
  }
}
"""
PIECES = list("abxé12.',- ") + ["..", "''", "--", " ", " ", "s", "vs", "pp", "$", '"', "`", "…", "-lrb-", "u.s.", "n't"]
SUFFIXES = """ational tional enci anci abli entli izer ization ation ator alism aliti alli fulness ousli ousness iveness
iviti biliti bli ogi logi fulli lessli li cli alize icate iciti ical ful ness ative al ance ence er ic able ible ant ement ment
ent ism ate iti ous ive ize ion sion tion e l ll y ying eed eedly ed edly ing ingly s ies ied us ss sses 's ' s' bbed ated bling
izing es ers est""".split()
STEMS = ["gener", "commun", "arsen", "skis", "dying", "early", "news", "inning", "proceed", "howe", "'twas", "yes", "say", "bias"]


def words_of(draw):
    for stem in STEMS:
        yield stem
    for _ in range(4000):
        word = "".join(draw.choice("abcdeiouylrstgnmpkwx") for _ in range(draw.randint(1, 6))) if draw.random() < 0.9 else draw.choice(STEMS)
        yield word + "".join(draw.choice(SUFFIXES) for _ in range(draw.randint(0, 3)))


def texts_of(draw, words, captions):
    """A caption and references: unrelated, shuffled, repeated, changed, rotated or the same."""
    def some(n):
        return [draw.choice(words) for _ in range(draw.randint(1, n))]
    refs = [draw.choice(captions).split() if captions and draw.random() < 0.7 else some(12) for _ in range(draw.randint(1, 4))]
    text, kind = list(draw.choice(refs)), draw.random()
    if kind < 0.2:
        draw.shuffle(text)
    elif kind < 0.3:
        text += text[: draw.randint(0, len(text))]
    elif kind < 0.6:
        text = [w if draw.random() < 0.6 else draw.choice(words) for w in text]
    elif kind < 0.7:
        at = draw.randint(0, len(text))
        text = text[at:] + text[:at]
    elif kind < 0.95:
        text = some(14)
    return " ||| ".join(" ".join(t) for t in [text] + refs)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jar", required=True)
    parser.add_argument("--cases", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--captions")
    parser.add_argument("--out", default=str(TESTDATA / "reference.json.gz"))
    args = parser.parse_args()
    draw = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "Caller.java").write_text(CALLER)
        path = f"{os.path.abspath(args.jar)}{os.pathsep}{folder}"
        subprocess.run(["javac", "-cp", path, "Caller.java"], cwd=folder, check=True)

        def ask(lines, *what):
            command = ["java", "-Xmx4g", "-Dfile.encoding=UTF-8", "-cp", path, "Caller", *what]
            out = subprocess.run(command, input=("\n".join(lines) + "\n").encode(), stdout=subprocess.PIPE, check=True).stdout
            return [list(pair) for pair in zip(lines, out.decode().split("\n"))]

        result = {"made_by": "scripts/meteor_reference.py, meteor-1.5.jar"}
        if args.captions:
            opener = gzip.open if args.captions.endswith(".gz") else open
            captions = [line.lower().replace(".", "").strip() for line in opener(args.captions, "rt", encoding="utf8")]
            captions = [c for c in captions if c]
            words = " ".join(captions).split()
            result["scores"] = ask([texts_of(draw, words, captions) for _ in range(args.cases)], "score")
        else:
            lists = TESTDATA / "lists"
            words = " ".join(f.read_text() for f in [lists / "vocabulary.txt"]).split()
            result["normal"] = ask(["".join(draw.choice(PIECES) for _ in range(draw.randint(1, 14))) for _ in range(3000)], "normalize")
            result["stems"] = ask(sorted(set(words_of(draw)) | set(words)), "stem")
            result["scores"] = ask([texts_of(draw, words, []) for _ in range(args.cases)], "score", str(lists))
    with open(args.out, "wb") as out, gzip.GzipFile("", "wb", 9, out, 0) as packed:
        packed.write(json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode())


if __name__ == "__main__":
    main()
