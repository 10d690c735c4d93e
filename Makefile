# Callwright, from top to bottom: set up, make data, train, serve, evaluate, look, test.
# Every verb makes the environment that it needs; `make help` lists them.

RECIPE ?= smollm2-135m_lora
TASK ?= image_intent
SUITE ?= golden
ARGS ?=

# A recipe names its own task. TASK=… on the command line trains, serves and evaluates it on another one.
OWN = $(shell sed -nE 's/^dataset: *(.*)_(train|pairs)\b.*/\1/p' configs/train/$(RECIPE).yaml)
OTHER = $(if $(filter command environment,$(origin TASK)),$(filter-out $(OWN),$(TASK)))
RUN = runs/$(RECIPE)$(OTHER:%=/%)
SETTINGS = $(if $(OTHER),dataset=$(OTHER)_train eval_dataset=$(OTHER)_val_sample output_dir=$(RUN)/train) $(ARGS)

PYTHON ?= python3
PY := .venv/bin/python
LLAMAFACTORY := .venv/bin/llamafactory-cli
export PATH := $(CURDIR)/.venv/bin:$(PATH)  # LLaMA-Factory starts torchrun and itself by name

# Big tensors come and go at every step: without these glibc hands their pages back and faults them in again (a
# quarter of the time of a CPU step). No effect elsewhere.
export MALLOC_TRIM_THRESHOLD_ = 4000000000
export MALLOC_MMAP_MAX_ = 0
export TOKENIZERS_PARALLELISM = false

.DEFAULT_GOAL := help
.PHONY: help setup lock doctor data mix new audit review lint parity model train serve eval ask report compare mine agent bfcl webui test check bench-convert bench-data bench-eval clean

help:  ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
	@echo
	@echo "RECIPE=$(RECIPE)  TASK=$(TASK)  SUITE=$(SUITE)"

# ---- set up ----------------------------------------------------------------------------------------------------------

setup: .venv/stamp  ## make .venv from requirements.txt (the other verbs do it by themselves)

.venv/stamp: requirements.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("error: $(PYTHON) is %d.%d; needs Python 3.11 to 3.13; run: make setup PYTHON=python3.12" % sys.version_info[:2])'
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check "$$(grep ^uv== requirements.txt)"
	$(PY) -m uv pip sync --quiet --allow-empty-requirements --python $(PY) requirements.txt
	@touch $@

lock:  ## compile requirements.in into requirements.txt
	$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header requirements.in -o requirements.txt

doctor: .venv/stamp  ## test what really breaks, and say what to do about it
	$(PY) -m tools.doctor --recipe $(RECIPE)

# ---- data ------------------------------------------------------------------------------------------------------------

data: .venv/stamp  ## seeds → rows and cases for TASK, registered with LLaMA-Factory
	$(PY) -m tools.augment $(TASK)
	$(PY) -m tools.split $(TASK)
	$(PY) -m tools.convert $(TASK)
	$(PY) -m tools.register $(TASK)

mix: .venv/stamp  ## convert, mix, split and register the sources of TASK (xlam, glaive_mix)
	$(PY) -m tools.convert $(TASK)
	$(PY) -m tools.register $(TASK)

new: .venv/stamp  ## lay out a new task: make new TASK=my_task TOOLS=tools.json
	$(PY) -m tools.new $(TASK) --tools $(TOOLS)

audit: .venv/stamp  ## what the data of TASK gives away, lacks and leaks, as a dataset card; ARGS=--gate fails on a bound
	$(PY) -m tools.audit $(TASK) $(ARGS)

review: .venv/stamp  ## look at the generated lines of TASK in a browser: accept, reject, edit, relabel
	$(PY) -m tools.review $(TASK) $(ARGS)

lint: model  ## what LLaMA-Factory would drop, die of or corrupt in the data of RECIPE
	$(PY) -m tools.lint --recipe $(RECIPE) $(SETTINGS)

parity: model  ## a chat template with tools for RECIPE that sends the trained bytes, and the proof
	$(PY) -m tools.parity $(RECIPE) $(SETTINGS)

# ---- train -----------------------------------------------------------------------------------------------------------

model: .venv/stamp  ## fetch the base model of RECIPE, where it is a local one
	$(PY) -m tools.fetch_model --recipe $(RECIPE)

train: model  ## train RECIPE; resumes after an interruption; ARGS="key=value …" overrides
	$(PY) -m tools.preflight $(RECIPE) $(SETTINGS)
	$(PY) -m tools.lint --recipe $(RECIPE) $(SETTINGS)
	$(LLAMAFACTORY) train configs/train/$(RECIPE).yaml $(SETTINGS)
	$(PY) -m tools.curve $(RECIPE) $(SETTINGS)

# ---- serve, evaluate, look -------------------------------------------------------------------------------------------

serve: model  ## serve RECIPE on 127.0.0.1:8000, OpenAI-compatible (API_KEY and API_PORT from the environment)
	API_HOST=$${API_HOST:-127.0.0.1} $(LLAMAFACTORY) api configs/serve/$(RECIPE).yaml $(if $(OTHER),adapter_name_or_path=$(RUN)/train)

eval: model  ## base against tuned on golden (SUITE=full: on test as well), with a report
	$(PY) -m eval.run --recipe $(RECIPE) --suite $(SUITE) $(SETTINGS)

ask: .venv/stamp  ## one decision as JSON: make ask Q="幫我畫一隻戴墨鏡的柴犬"
	@$(PY) -m eval.ask "$(Q)" --recipe $(RECIPE) $(SETTINGS)

report: .venv/stamp  ## score the last answers again and draw the report; ARGS="--junit F --markdown F --fail-under f1=0.9"
	$(PY) -m eval.report $(RUN)/eval/$(SUITE)/tuned --base $(RUN)/eval/$(SUITE)/base $(ARGS)

compare: .venv/stamp  ## two runs case by case: make compare A=RUN B=RUN
	$(PY) -m eval.compare $(A) $(B) $(ARGS)

mine: .venv/stamp  ## failures of RECIPE on its mining split → lines to train on, preference pairs (after make eval SUITE=mine)
	$(PY) -m tools.mine $(RECIPE) $(SETTINGS)

agent: model  ## base against tuned on tasks that run real tools (examples/agent), step by step
	$(PY) -m eval.agent --cases examples/agent/cases.jsonl --tools examples/agent/lookups.py --recipe $(RECIPE) $(SETTINGS)

bfcl: model  ## BFCL to the tuned model of RECIPE, or ARGS="--base-url URL --model NAME --out DIR", or ARGS=--replay
	$(PY) -m tools.fetch_bfcl
	$(PY) -m eval.bfcl $(if $(findstring --base-url,$(ARGS))$(findstring --replay,$(ARGS)),,--recipe $(RECIPE)) $(ARGS)

webui: model  ## LLaMA-Factory's own board on 127.0.0.1:7860, with our datasets in its list
	$(PY) -m tools.webui

# ---- test ------------------------------------------------------------------------------------------------------------

test: .venv/stamp  ## the tests, offline
	HF_HUB_OFFLINE=1 $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/test_pipeline.py tests/test_server.py tests  # the longest first

check: .venv/stamp  ## ruff, mypy, tests
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(MAKE) test

bench-convert: .venv/stamp  ## rows/s and memory of each converter against datasets.map
	$(PY) -m tools.bench_convert

bench-data: .venv/stamp  ## seconds and memory of cleaning and of generation, and throughput against a rate limit
	$(PY) -m tools.bench_data

bench-eval: .venv/stamp  ## asking an endpoint of 50 ms, against the ideal; scoring 20,000 cases
	$(PY) -m eval.bench

clean:  ## drop built data and runs; models and the environment stay
	rm -rf data/*.jsonl data/work runs
