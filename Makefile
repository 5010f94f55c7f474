# `make demo` and `make test` set themselves up: they need Python 3.11 and a package registry, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Blocks at the same time over all runs of a Prefect server: those that want a GPU, and all that use the store.
GPU_BLOCKS ?= 1
STORAGE_BLOCKS ?= 16

.PHONY: demo test test-slow lint advisories ui limits faults teacher cubemap-teacher benchmarks experiments-cubemap experiments-adapt experiments-student clean

demo: $(READY) work/demo/scenes/dataset.json work/demo/dusk/dataset.json
	$(BIN)/panolabel run configs/street.yaml

work/demo/scenes/dataset.json: | $(READY)
	$(BIN)/panolabel scenes work/demo/scenes --kind mixed --count 8 --seed 90000 --height 512

# Another place, at dusk, that the demo does not label: a student is adapted to it.
work/demo/dusk/dataset.json: | $(READY)
	$(BIN)/panolabel scenes work/demo/dusk --kind street --count 6 --seed 91000 --height 128 --dusk

# Stores of tests are synced to a disk tens of thousands of times, which takes no time in memory where that has room.
SCRATCH := $(shell test "$$(df --output=avail /dev/shm 2>/dev/null | tail -1)" -gt 4000000 2>/dev/null && echo /dev/shm || echo $${TMPDIR:-/tmp})

# Two processes on two cores; a numerical library that takes both cores for each of them only gets in its own way.
test: $(READY) lint
	TMPDIR=$(SCRATCH) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" --durations=10

test-slow: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Asks a public database for advisories, so it needs the network. --strict: a package that was not looked up is an error.
advisories: $(READY)
	$(PYTHON) -m venv $(VENV)/advisories
	$(VENV)/advisories/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	$(VENV)/advisories/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt

teacher: $(READY)
	$(BIN)/python -m scenes.train_demo_teacher --out models/teachers/demo

# The network of six faces: about an hour on a free core. Killed, it goes on from its newest checkpoint in work/cubemap.
cubemap-teacher: $(READY)
	$(BIN)/python -m benchmarks.cubemap.train_teacher --out models/teachers/cubemap

# What it is worth beside the demo teacher: hours on two cores; every training and every panorama's figures are kept.
experiments-cubemap: $(READY)
	$(BIN)/python -m benchmarks.cubemap.run > work/cubemap/table.md
	mv work/cubemap/table.md benchmarks/results/labels/cubemap_teacher.md

ui: $(READY)
	$(BIN)/python -m flows.deploying.ui

# Only on a server that stays: without one that is named, Prefect would start its own for the command.
limits: $(READY)
	$(BIN)/python -m flows.running.server.answers
	$(BIN)/prefect concurrency-limit create gpu $(GPU_BLOCKS)
	$(BIN)/prefect concurrency-limit create storage $(STORAGE_BLOCKS)

# Every fault of docs/reliability.md, with 100 kills at random moments; takes about an hour and writes that page.
faults: $(READY)
	PANOLABEL_KILLS=84 $(BIN)/python -m tests.faults.report

benchmarks: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt ".[benchmarks]"
	$(BIN)/python -m benchmarks.labels.projection > benchmarks/results/labels/projection.md
	$(BIN)/python -m benchmarks.labels.fusion > benchmarks/results/labels/fusion.md
	$(BIN)/python -m benchmarks.labels.way_back > benchmarks/results/labels/way_back.md
	$(BIN)/python -m benchmarks.labels.cost > benchmarks/results/labels/cost.md
	$(BIN)/python -m benchmarks.device > benchmarks/results/labels/device.md

experiments-adapt: $(READY)
	$(BIN)/python -m benchmarks.adaptation.seamless_metrics
	$(BIN)/python -m benchmarks.adaptation.omni_labels
	$(BIN)/python -m benchmarks.adaptation.source_training
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.adaptation.run
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.adaptation.run --experiment pvt_v2
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.adaptation.run --experiment posters
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.adaptation.run --seeds 0 1 --sweep
	$(BIN)/python -m benchmarks.adaptation.report arms > benchmarks/results/adaptation/adaptation.md
	$(BIN)/python -m benchmarks.adaptation.report arms --experiment pvt_v2 > benchmarks/results/adaptation/adaptation_steady.md
	$(BIN)/python -m benchmarks.adaptation.report arms --experiment posters > benchmarks/results/adaptation/adaptation_posters.md
	$(BIN)/python -m benchmarks.adaptation.report thresholds > benchmarks/results/adaptation/adaptation_thresholds.md

# Hours on two cores; each run is kept as it ends, so it can be stopped and goes on. The learning rates in scale.py come from
# `python -m benchmarks.student.rates`.
experiments-student: $(READY)
	$(BIN)/python -m benchmarks.student.data
	$(BIN)/python -m benchmarks.student.run
	$(BIN)/python -m benchmarks.student.report
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.student.speed

# torch comes first and exactly: any other request pulls gigabytes of CUDA.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[scenes,s3,test]"
	touch $@

clean:
	rm -rf $(VENV) work build *.egg-info
