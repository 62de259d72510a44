#!/usr/bin/env python3
"""Brings answers to their base forms, as LAVIS does with what a model says to OK-VQA: goblip score vqa --spacy runs this.

    echo '["two dogs", "skiing"]' | python3 scripts/lemmatize_answers.py [MODEL]     # MODEL: en_core_web_sm, or a folder

reads a JSON list of texts and prints {"model": ..., "lemmas": [...]}. The words that spaCy takes for nouns or verbs become
their lemmas; others stay, and single spaces join them. Needs spacy and the model:

    pip install spacy && python3 -m spacy download en_core_web_sm
"""
import json
import sys


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "en_core_web_sm"
    answers = json.load(sys.stdin)
    try:
        import spacy
        nlp = spacy.load(name)
    except (ImportError, OSError) as e:
        sys.exit(str(e))
    lemmas = {}
    unique = sorted(set(answers))
    for answer, doc in zip(unique, nlp.pipe(unique)):
        lemmas[answer] = " ".join(token.lemma_ if token.pos_ in ("NOUN", "VERB") else token.text for token in doc)
    model = f"{nlp.meta['lang']}_{nlp.meta['name']} {nlp.meta['version']}, spaCy {spacy.__version__}"
    json.dump({"model": model, "lemmas": [lemmas[a] for a in answers]}, sys.stdout)


if __name__ == "__main__":
    main()
