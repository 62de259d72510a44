# Thin names for what the scripts do; each works without make as well.

.PHONY: build test quickstart notebooks golden smoke

build:
	go build -o bin/goblip ./cmd/goblip

test:
	scripts/test

quickstart:
	scripts/quickstart

notebooks:
	scripts/run_notebooks

# Rewrites the reference data in testdata/; needs the Python packages that each script names.
golden:
	for script in scripts/golden_*.py; do python3 "$$script" || exit 1; done

# The whole story in about a minute.
smoke:
	scripts/quickstart --minutes 1 --out "$$(mktemp -d)/smoke"
