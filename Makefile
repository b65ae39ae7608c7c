# Each target does its own setup and repeats no work. docs/commands.md lists the commands.
#
#   PRESET=demo|smoke|paper   size of the embedded data and of training
#   AVIA=DIR                  the real data set: DIR/matfiles and DIR/sync
#   SOURCES=DIR               real recordings for the simulator, one folder per class
#   FOLDS=1,2                 only these cross-validation folds of them (ESC)
#   SUBJECTS=2                simulated subjects, 1 - 9, instead of the preset's number
#   TAKES=takes.csv ARRAY=FILE|uma16   your own takes and array, see docs/arrays.md
#   BY=subject                lists of TAKES by subject instead of by take
#   TAKES_OPTIONS='--unit=mm' additional options of records.convert_array
#   DATA_SEED=1               different embedded data (AVIA, ACIVW, tagging), in separate folders; 0
#   SEEDS=0,1,2               seeds of the runs: three by default, one with smoke and in make grid,
#                             five in make eccv with ACIVW
#   PUBLISH=docs/results      folder for copies of the tables' JSON, with a suffix for data other
#                             than the demo's with seed 0: table2-data1.json; then make results.
#                             PUBLISH=docs for make bench
#   VIDEO=1                   records with video, which column R needs; default with table1, figures
#                             and AVIA, and once such records exist
#   BACKBONE=FILE             weights of ResNet-50, see dualcam import-weights
#   SOUNDNET=FILE             weights of SoundNet-5 to initialise OurSoundNet, likewise
#   NETWORK_OPTIONS=dualcamnet.batch_norm=true   additional arguments of networks, in tables 1 - 4
#   WORK=DIR                  folder for data and results
#   NETWORK=hearnet|oursoundnet  TRAIN_ON=scenario_1|..|all  COLUMN=G|D|R   the run for make grid
#   TARGET=folder:DIR|dcase2018:DIR   target data set for make table4 and make eccv TABLE=4;
#                             records of AVIA for make eccv TABLE=3
#   ACIVW=DIR                 the real data set for make eccv: DIR/class_C/data_DDD
#   TABLE=1|2|3|4  COMPLETE=1  table for make eccv (default 2), and all of its rows
#   TAGGED=DIR                real data for make aaai: records from records.convert_tagging
#   TABLE=1|..|6              table for make aaai (default 3)
#   VGG16=FILE SOUNDNET8=FILE VGGISH=FILE  weights for make aaai
#   SOUNDS=DIR                folder of audio files for make esc10
#   BAND=900-6400             band in hertz for make figures; default all
#   LOGS=DIR                  logs for make tensorboard
#   PRECISION=mixed_bfloat16|mixed_float16  DEVICES=2   for training on GPUs
#   CLUSTER=tcp://HOST:PORT   Dask cluster whose workers convert and train (docs/scale.md)
#   KERNELS=Haswell,Zen,...   matrix kernels for make test-kernels; default all
#   TF=2.21                   the newest TensorFlow instead of 2.16.2: constraints-tf2.21.txt, in a
#                             venv of its own, .venv-tf2.21 (docs/versions.md)
#   TESTS='FILE ...'          only these files or folders for make test
#   PEERS=1                   make bench with PyTorch, acoular, librosa and pyroomacoustics

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

COMMA := ,
AVIA ?=
TAKES ?=
ARRAY ?=
BY ?=
TAKES_OPTIONS ?=
ACIVW ?=
SOURCES ?=
FOLDS ?=
SUBJECTS ?=
DATA_SEED ?= 0
SEEDS ?=
PUBLISH ?=
TAGGED ?=
PRESET ?= $(if $(AVIA)$(ACIVW)$(TAGGED),paper,demo)
# Suffixes for embedded data: their source recordings and the seed.
OF_SOURCES := $(if $(SOURCES),-$(notdir $(patsubst %/,%,$(SOURCES))))
OF_SEED := $(if $(filter-out 0,$(DATA_SEED)),-data$(DATA_SEED))
WORK ?= work/$(if $(TAKES),takes-$(basename $(notdir $(TAKES))),$(if $(AVIA),avia,$(PRESET)$(OF_SOURCES)$(if $(FOLDS),-folds$(subst $(COMMA),,$(FOLDS)))$(if $(SUBJECTS),-subjects$(SUBJECTS))$(OF_SEED)))
VIDEO ?= $(if $(AVIA)$(filter table1 figures,$(MAKECMDGOALS))$(wildcard $(WORK)/records-video/.made),1)
BACKBONE ?=
SOUNDNET ?=
NETWORK_OPTIONS ?=
WEIGHTS = $(if $(BACKBONE),--backbone=$(BACKBONE)) $(if $(SOUNDNET),--soundnet=$(SOUNDNET))
RECORDS := $(WORK)/records$(if $(TAKES),,$(if $(VIDEO),-video))
MADE_RAW := $(WORK)/raw/.made$(if $(VIDEO),-video)
MODALITIES := 0,1$(if $(VIDEO),$(COMMA)2)
RESULTS := $(WORK)/results-$(PRESET)
NETWORK ?= hearnet
TRAIN_ON ?= all
COLUMN ?= D
TARGET ?=
SOUNDS ?=
BAND ?=
LOGS ?= $(RESULTS)/runs
TABLE ?= $(if $(filter aaai,$(MAKECMDGOALS)),3,2)
VGG16 ?=
SOUNDNET8 ?=
VGGISH ?=
COMPLETE ?=
PRECISION ?=
DEVICES ?=
PEERS ?=
TESTS ?=
CLUSTER ?=
KERNELS ?=
ECCV := work/acivw$(if $(ACIVW),,-$(PRESET)$(OF_SOURCES)$(OF_SEED))

AAAI := work/tagging$(if $(TAGGED),,-$(PRESET)$(OF_SOURCES)$(OF_SEED))
# Tagged clips for DATA_SEED n use the simulator's seed n + 1: its sounds and pictures were developed
# on seed 0.
TAGGING_SEED := $(shell expr $(DATA_SEED) + 1)
TAGGED_RECORDS := $(or $(TAGGED),$(AAAI)/records)

# Make splits target names at spaces, so these must not contain any.
SPACELESS := WORK AVIA ACIVW SOURCES TAGGED SOUNDS LOGS BACKBONE SOUNDNET VGG16 SOUNDNET8 VGGISH TARGET
$(foreach name,$(SPACELESS),$(if $(word 2,$($(name))),$(error $(name)=$($(name)): a path with spaces, \
  which make cannot take; use one without, or a link to it)))

ifneq ($(filter-out demo smoke paper,$(PRESET)),)
$(error PRESET=$(PRESET): expected demo, smoke or paper)
endif
ifneq ($(shell expr "$(DATA_SEED)" : '[0-9][0-9]*$$'),$(shell expr length "$(DATA_SEED)"))
$(error DATA_SEED=$(DATA_SEED): expected a whole number from 0)
endif

# Length in seconds of a folder in the embedded data, all takes together
# (records/synthetic/presets.py); AVIA's takes are cut to 30.
FOLDER_S := $(if $(AVIA),30,$(if $(filter smoke,$(PRESET)),4,$(if $(filter paper,$(PRESET)),30,$(if $(SOURCES),20,15))))

# Length in seconds of a tagged clip; real ones have ten.
CLIP_S := $(if $(filter smoke,$(PRESET)),2,$(if $(filter paper,$(PRESET)),10,4))

TF ?=
OF_TF := $(if $(TF),-tf$(TF))
VENV := .venv$(OF_TF)
CONSTRAINTS := constraints$(OF_TF).txt
ifeq ($(wildcard $(CONSTRAINTS)),)
$(error TF=$(TF): there is no $(CONSTRAINTS); expected TF=2.21, or no TF for the default)
endif
# tensorflow-io only loads with the default's TensorFlow.
EXTRA := $(if $(TF),litert,tensorflow-io)
NEWEST_MINOR := $(if $(TF),13,12)
PYTHONS := python3.11 python3.12 $(if $(TF),python3.13) python3.10 python3

PY := $(VENV)/bin/python
export TF_CPP_MIN_LOG_LEVEL ?= 3
# pip leaves packages uncompiled below: the first process that imports a module compiles it. With this
# variable, which many containers set, every process would: 8 s to load TensorFlow instead of 3.
unexport PYTHONDONTWRITEBYTECODE
# glibc returns large arrays at once and gets new pages for the next one, which the kernel clears: a
# tenth of the simulator's time. With these, a process keeps up to 1 GiB of free memory.
export MALLOC_MMAP_THRESHOLD_ ?= 268435456
export MALLOC_TRIM_THRESHOLD_ ?= 1073741824

OF_DATA = $(or $(if $(TAKES),-$(basename $(notdir $(TAKES)))),$(if $(AVIA)$(ACIVW)$(TAGGED),-real),$(strip \
  $(if $(filter-out demo,$(PRESET)),-$(PRESET))$(OF_SOURCES)$(if $(FOLDS),-folds$(subst $(COMMA),,$(FOLDS)))$(if \
  $(SUBJECTS),-subjects$(SUBJECTS))$(OF_SEED)))
RUN_SEEDS = $(if $(SEEDS),--seeds=$(SEEDS)) $(if $(PUBLISH),--publish=$(PUBLISH) --publish_suffix=$(OF_DATA))
HARDWARE = $(if $(PRECISION),--precision=$(PRECISION)) $(if $(DEVICES),--devices=$(DEVICES))
ON_CLUSTER = $(if $(CLUSTER),--cluster=$(CLUSTER))
ARGUMENTS = --out=$(RESULTS) --preset=$(PRESET) $(RUN_SEEDS) $(WEIGHTS) $(HARDWARE) \
  $(if $(NETWORK_OPTIONS),--network_options=$(NETWORK_OPTIONS))

.PHONY: setup lint check test test-versions test-kernels tfrecords table1 table2 table3 table4 esc10
.PHONY: eccv aaai confusion grid figures results tensorboard bench docs clean

# Tables wait for what they run on only, not for what tests and developers need.
BASE := $(VENV)/installed-base

# Built with the venv's setuptools: a build environment of its own takes seconds more.
PIP_INSTALL = $(PY) -m pip install -q --no-build-isolation --no-compile -c $(CONSTRAINTS)

setup: $(VENV)/installed

$(BASE): pyproject.toml setup.py $(CONSTRAINTS)
	@python=; for p in $(PYTHON) $(PYTHONS); do \
	  if $$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, $(NEWEST_MINOR)))' \
	      2>/dev/null; then python=$$p; break; fi; done; \
	if [ -z "$$python" ]; then \
	  echo 'error: no Python 3.10 - 3.$(NEWEST_MINOR) found; install one, or make ... PYTHON=/path/to/it' >&2; \
	  exit 1; fi; \
	$$python -m venv $(VENV) || { \
	  echo 'This Python cannot make a venv; installing python3-venv.'; \
	  apt-get update -q && apt-get install -qy python3-venv && $$python -m venv $(VENV); }
	$(PY) -m pip install -q -c $(CONSTRAINTS) setuptools wheel
	$(PIP_INSTALL) -e '.[$(EXTRA)]'
	@touch $@

$(VENV)/installed: $(BASE)
	$(PIP_INSTALL) -e '.[dev,$(EXTRA)]'
	@touch $@

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/lint-imports --no-logo
	$(PY) -m mypy

# Linters, types, import contracts and the quick tests. Left out are tests marked as slow, and those
# that start processes or run whole networks (tests/conftest.py).
check: $(if $(TF),setup,lint)
	$(PY) -m pytest -q -n auto --maxprocesses=4 --dist=loadfile -m 'not slow'

# Files in order: sorted by number of tests, the few slow ones would come last and leave cores idle.
# Page tests drive Debian's Chromium; if it is missing and cannot be installed, they are skipped.
# With TF=, types are not checked: mypy's exceptions are for the default's packages.
test: $(if $(TF),setup,lint)
	@{ command -v chromium && command -v chromedriver; } > /dev/null || { \
	  echo 'Installing Chromium for the tests of pages.'; \
	  { apt-get update -q && apt-get install -qy --no-install-recommends chromium chromium-driver; \
	  } > /dev/null 2>&1 || echo 'Not installed (as root?): tests of pages are skipped.'; }
	$(PY) -m pytest -n auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder $(TESTS)

# What depends most on the versions of TensorFlow, Keras and NumPy: with TF=2.21, in addition to a
# whole make test with the default.
test-versions: TESTS := $(addprefix tests/,test_readme.py dualcam/test_startup.py dualcam/export \
  dualcam/losses dualcam/evaluation $(addprefix dualcam/models/,test_goldens.py test_models.py) \
  dualcam/training/test_checkpoints.py dualcam/training/test_training.py records/test_goldens.py \
  records/test_writer.py)
test-versions: test

# Numeric tests with the kernels of other processors; `make test` runs a short version.
test-kernels: setup
	$(PY) -m tests.proofs.kernels $(if $(KERNELS),--kernels=$(KERNELS))

tfrecords: $(RECORDS)/.made

ifneq ($(TAKES),)
# No stamp file: rows added to the table are converted.
.PHONY: $(RECORDS)/.made
$(RECORDS)/.made: | $(BASE)
	$(if $(ARRAY),,$(error TAKES=$(TAKES) needs ARRAY=FILE, or ARRAY=uma16))
	$(PY) -m records.convert_array --takes=$(TAKES) --array=$(ARRAY) --out=$(RECORDS) \
	  $(if $(BY),--by=$(BY)) $(TAKES_OPTIONS) $(ON_CLUSTER)
else ifeq ($(AVIA),)
# Sizes may change with a new version; the simulator then says that there are takes of other sizes.
# Video is drawn once something needs it.
$(MADE_RAW): records/synthetic/presets.py | $(BASE)
	$(PY) -m records.synthetic --out=$(WORK)/raw --preset=$(PRESET) \
	  --matfiles=$(WORK)/raw/matfiles --nokeep_array $(if $(VIDEO),,--novideo) --seed=$(DATA_SEED) \
	  $(if $(SOURCES),--sources=$(SOURCES)) $(if $(FOLDS),--folds=$(FOLDS)) \
	  $(if $(SUBJECTS),--subjects=$(SUBJECTS))
	@touch $@

$(RECORDS)/.made: $(MADE_RAW) | $(BASE)
	$(PY) -m records.convert_avia --matfiles=$(WORK)/raw/matfiles --sync=$(WORK)/raw/sync \
	  --out=$(RECORDS) --modalities=$(MODALITIES) --sequence_seconds=$(FOLDER_S) \
	  $(ON_CLUSTER)
	@touch $@
else
# No stamp file: the converter itself skips existing records.
.PHONY: $(RECORDS)/.made
$(RECORDS)/.made: | $(BASE)
	$(PY) -m records.convert_avia --matfiles=$(AVIA)/matfiles --sync=$(AVIA)/sync \
	  --dataset=avia --out=$(RECORDS) --modalities=$(MODALITIES) --sequence_seconds=$(FOLDER_S) \
	  $(ON_CLUSTER)
endif

table1 table2 table3: tfrecords
	$(PY) experiments/run_$@.py --records=$(RECORDS) $(ARGUMENTS) $(ON_CLUSTER)

table4: tfrecords
	$(if $(TARGET),,$(error make table4 needs TARGET=folder:DIR or TARGET=dcase2018:DIR))
	$(PY) experiments/run_table4.py --records=$(RECORDS) $(ARGUMENTS) --target=$(TARGET) $(ON_CLUSTER)

esc10: $(if $(SOURCES),tfrecords,$(BASE))
	$(if $(SOUNDS),,$(error make esc10 needs SOUNDS=DIR, a folder of sound with folds))
	$(PY) experiments/run_esc10.py --input=$(SOUNDS) $(ARGUMENTS) $(ON_CLUSTER) \
	  $(if $(SOURCES),--records=$(RECORDS))

ifeq ($(ACIVW),)
$(ECCV)/raw/.made: records/synthetic/presets.py | $(BASE)
	$(PY) -m records.synthetic --layout=acivw --out=$(ECCV)/raw --preset=$(PRESET) \
	  --seed=$(DATA_SEED) $(if $(SOURCES),--sources=$(SOURCES))
	@touch $@

$(ECCV)/records/.made: $(ECCV)/raw/.made | $(BASE)
	$(PY) -m records.convert_acivw --raw=$(ECCV)/raw --out=$(ECCV)/records $(ON_CLUSTER)
	@touch $@
else
# As with AVIA, the converter itself skips existing records.
.PHONY: $(ECCV)/records/.made
$(ECCV)/records/.made: | $(BASE)
	$(PY) -m records.convert_acivw --raw=$(ACIVW) --out=$(ECCV)/records $(ON_CLUSTER)
endif

eccv: $(ECCV)/records/.made
	$(PY) experiments/run_eccv2020.py --table=$(TABLE) --records=$(ECCV)/records \
	  --out=$(ECCV)/results-$(PRESET) --preset=$(PRESET) $(RUN_SEEDS) $(HARDWARE) \
	  $(if $(TARGET),--target=$(TARGET)) $(if $(COMPLETE),--complete) $(ON_CLUSTER)

ifeq ($(TAGGED),)
$(AAAI)/raw/.made: records/synthetic/tagging.py | $(BASE)
	$(PY) -m records.synthetic.tagging --out=$(AAAI)/raw --preset=$(PRESET) \
	  --seed=$(TAGGING_SEED) \
	  $(if $(SOURCES),--sources=$(SOURCES))
	@touch $@

$(AAAI)/records/.made: $(AAAI)/raw/.made | $(BASE)
	for split in training testing; do \
	  $(PY) -m records.convert_tagging --list=$(AAAI)/raw/groundtruth_weak_label_$${split}_set.csv \
	    --split=$$split --audio=$(AAAI)/raw/audio --frames=$(AAAI)/raw/frames \
	    --out=$(AAAI)/records --clip_seconds=$(CLIP_S) $(ON_CLUSTER); \
	done
	@touch $@
endif

aaai: $(if $(TAGGED),$(BASE),$(AAAI)/records/.made)
	$(PY) experiments/run_aaai2021.py --table=$(TABLE) --records=$(TAGGED_RECORDS) \
	  --out=$(AAAI)/results-$(PRESET) --preset=$(PRESET) $(RUN_SEEDS) $(HARDWARE) \
	  $(if $(VGG16),--vgg16=$(VGG16)) $(if $(SOUNDNET8),--soundnet8=$(SOUNDNET8)) \
	  $(if $(VGGISH),--vggish=$(VGGISH)) $(ON_CLUSTER)

confusion: tfrecords
	$(PY) experiments/run_confusion.py --records=$(RECORDS) $(ARGUMENTS) $(ON_CLUSTER)

# For AVIA and ACIVW, or only one of them if only its real data are given. Trains nothing: AAAI
# 2021's Figure 4 is drawn if make aaai has been run.
FIGURES_OF_AVIA := $(if $(AVIA)$(TAKES),1,$(if $(ACIVW),,1))
FIGURES_OF_ACIVW := $(if $(ACIVW),$(ECCV)/records,$(if $(AVIA)$(TAKES),,$(ECCV)/raw))
AAAI_RESULTS := $(AAAI)/results-$(PRESET)
figures: $(if $(FIGURES_OF_AVIA),tfrecords) $(addsuffix /.made,$(FIGURES_OF_ACIVW))
	$(PY) -m experiments.figures --out=$(if $(FIGURES_OF_AVIA),$(WORK),$(ECCV))/figures \
	  $(if $(FIGURES_OF_AVIA),--records=$(RECORDS)) \
	  $(if $(FIGURES_OF_ACIVW),--acivw$(if $(ACIVW),,_raw)=$(FIGURES_OF_ACIVW)) \
	  $(if $(wildcard $(AAAI_RESULTS)/*.json),--aaai=$(AAAI_RESULTS)) $(if $(BAND),--band=$(BAND))

# Writes the tables' numbers to the README and docs/results.md.
results: $(BASE)
	$(PY) -m experiments.results_pages
	$(PY) -m benchmarks.page

grid: tfrecords
	$(PY) experiments/grid_search.py --records=$(RECORDS) $(ARGUMENTS) $(ON_CLUSTER) \
	  --network=$(NETWORK) --train_on=$(TRAIN_ON) --column=$(COLUMN)

tensorboard: $(BASE)
	@test -d $(LOGS) || { \
	  echo 'error: no runs in $(LOGS) yet; make table2 first, or LOGS=DIR' >&2; exit 1; }
	$(VENV)/bin/tensorboard --logdir=$(LOGS)

bench: setup
	$(if $(PEERS),$(PIP_INSTALL) -e '.[bench]')
	$(PY) benchmarks/run.py --out=work/benchmarks $(if $(PUBLISH),--publish=$(PUBLISH))

# The site in work/site, with the executed notebook. Works offline once its packages are installed.
docs: setup work/docs/take.md
	@$(PY) -c 'import material, mkdocstrings_handlers.python' 2> /dev/null || \
	  $(PIP_INSTALL) -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet
	@echo 'written: work/site/index.html'

work/docs/take.md: examples/take.py docs/tools/notebook.py $(wildcard dualcam/*/*.py) | setup
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'error: make docs needs Python 3.11 or 3.12' >&2; exit 1; }
	$(PY) docs/tools/notebook.py --notebook=examples/take.py --out=work/docs

clean:
	rm -rf work
