# `make demo` and `make test` set up what they need; see README.md.
PY := .venv/bin/python
DATA ?=
TEST ?=

.PHONY: setup demo test check verify
setup:
	@tools/setup.sh

demo: setup
	@$(PY) tools/demo.py $(if $(DATA),--data "$(DATA)") $(if $(TEST),--test "$(TEST)")

test: setup
	@$(PY) -m pytest

check: setup
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m pyright

verify: setup
	@$(PY) tools/leaderboard.py docs/results/results.jsonl --verify
