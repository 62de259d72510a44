#!/usr/bin/env python3
"""Brings the answers of a file of results to their base forms, as LAVIS does for OK-VQA.

    python3 scripts/lemmatize_answers.py answers.json lemmas.json [--model en_core_web_sm]

Of each answer the words that spaCy takes for nouns or verbs become their lemmas; others stay, and single spaces
join them. The results are a list or lines of records with "answer"; what else they hold stays as it is. Needs spacy and
the model, by name or as a folder:

    pip install spacy && python3 -m spacy download en_core_web_sm
"""
import argparse
import json
import pathlib
import sys


def lemmatize(nlp, answers):
    out = {}
    unique = sorted(set(answers))
    for answer, doc in zip(unique, nlp.pipe(unique)):
        out[answer] = " ".join(token.lemma_ if token.pos_ in ("NOUN", "VERB") else token.text for token in doc)
    return [out[a] for a in answers]


def read(path):
    text = pathlib.Path(path).read_text(encoding="utf-8")
    try:
        records = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as e:
        sys.exit(f"lemmatize_answers: {path}: {e}")
    for i, record in enumerate(records):
        if not isinstance(record, dict) or not isinstance(record.get("answer"), str):
            sys.exit(f'lemmatize_answers: {path}: record {i} has no text under "answer"')
    return records


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--model", default="en_core_web_sm")
    args = parser.parse_args()
    records = read(args.results)
    import spacy
    try:
        nlp = spacy.load(args.model)
    except OSError as e:
        sys.exit(f"lemmatize_answers: {args.model}: {e}")
    changed = 0
    for record, lemmas in zip(records, lemmatize(nlp, [r["answer"] for r in records])):
        changed += record["answer"] != lemmas
        record["answer"] = lemmas
    part = args.out.with_name(args.out.name + ".tmp")
    part.write_text(json.dumps(records, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(args.out)
    print(f"{len(records)} answers, {changed} changed by {nlp.meta['lang']}_{nlp.meta['name']} {nlp.meta['version']}", file=sys.stderr)


if __name__ == "__main__":
    main()
