# Every target makes what it needs first; all of them may be run again at any time.
#
#   make demo                     index the example pictures and find some of them again
#   make demo PICTURES=folder     the same with pictures of yours
#   make serve                    the web app and the API, with the library of make demo; Ctrl-C stops it
#   make serve OPEN=1             the same, and opens the browser
#   make test                     run the tests, but for those that are marked as slow
#   make test-most                all but those that need servers, browsers, clusters or training for long, as .ci/run does
#   make test-all                 run every test, also with other people's clients
#   make test-tools               install other people's programs, which tests run, outside .venv
#   make test-without-vnni        the tests that depend on the processor, as if it had AVX-512 and no VNNI (20 minutes)
#   make test-emulated-amx        the tests of the extension's AMX code where AVX-512 VNNI is all there is (5 minutes)
#   make coverage                 the same as make test-all, measuring which lines ran: takes about twice as long
#   make kernels                  build the extension that generates tokens faster; without a C++ compiler, with zig
#   make wheels                   build its wheels for x86-64 and ARM in dist/, and try them
#   make check                    format, lint, types, layers, licences
#   make bench                    the measurements behind the README's table
#   make robustness               the tests of kills, full disks, overload and hostile text, ten times as large (an hour)
#   make peers                    install what make bench and some tests compare with (builds llama.cpp: many
#                                 minutes, gigabytes)
#   make docs                     build the documentation site in site/; DOCS=serve shows it while it is written
#   make audit                    compare what is installed with known vulnerabilities, and write a bill of materials
#   make lock                     write requirements/ again, after changing a version in constraints.txt
#   make vendor                   fetch the web app's vendored files again, after changing a version in
#                                 release/vendored_web.json (needs npm)
#   make examples                 draw the example pictures again (needs fonts; says which)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MARKS := .make
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Files of versions that were tested, and no others: each is compared with the hashes in requirements/.
LOCKED := $(PIP) install --require-hashes --requirement
UV := uv==0.13.9
LLAMA_CPP := llama-cpp-python==0.3.36
# Where a processor has AMX, all of its instructions but those: with them llama.cpp crashes at its first prompt.
BUT_AMX := -march=native -mno-amx-tile -mno-amx-int8 -mno-amx-bf16
WITHOUT_AMX := $(if $(shell grep -s amx_tile /proc/cpuinfo),-DGGML_NATIVE=OFF \
	-DCMAKE_C_FLAGS='$(BUT_AMX)' -DCMAKE_CXX_FLAGS='$(BUT_AMX)')
RESULTS := benchmarks/results
COMPILER := command -v "$${CXX:-c++}" >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null
ROBUSTNESS := tests/unit/library/test_killed_migration.py tests/unit/library/test_links_outside.py \
	tests/e2e/test_interruption.py tests/e2e/test_serve_overload.py tests/e2e/test_hostile_text.py tests/e2e/test_caption.py \
	tests/e2e/test_describe_folders.py tests/web/browser/test_describe_kills.py \
	tests/unit/library/search/test_any_query.py
# What depends on the processor: products, answers and their independence of the batch, comparisons with references.
ON_PROCESSOR := $(addprefix tests/unit/,engine graph machine/test_processor.py quant model reading families validation \
		policy/test_row_bands.py services/test_result_cache.py) tests/parity $(addprefix tests/e2e/test_,smallsight_tiny.py \
		describe.py moondream2.py toy_family.py validate.py serve_engines.py library_engines.py serve_openai_client.py)
# Processes that run tests: on two cores five, as many tests wait for a server, a browser or a disk.
WORKERS ?= 5
# One that dies ends the run: pytest-xdist 3.8 would wait forever for the files that it had taken.
PYTEST_OPTIONS := --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0
# The reference for videos needs it, and it breaks whatever else imports torch and can see it: it lies apart.
TORCHVISION := $(VENV)/torchvision

.PHONY: demo serve test test-most test-all test-tools test-without-vnni test-emulated-amx kernels wheels coverage check format bench robustness peers docs audit lock vendor examples clean

demo: $(MARKS)/demo
	@SMALLSIGHT_HOME="$${SMALLSIGHT_HOME:-$(CURDIR)/.smallsight-demo}" \
		$(BIN)/smallsight demo $(if $(PICTURES),--pictures "$(PICTURES)")

serve: $(MARKS)/demo
	@SMALLSIGHT_HOME="$${SMALLSIGHT_HOME:-$(CURDIR)/.smallsight-demo}" \
		$(BIN)/smallsight serve --demo $(if $(PICTURES),--pictures "$(PICTURES)") $(if $(OPEN),--open)

# With TESTS, those are run whether they are slow or not.
test: $(MARKS)/dev $(MARKS)/docs $(MARKS)/kernels $(MARKS)/fonts $(MARKS)/chromium $(MARKS)/exiftool
	$(BIN)/python -m pytest $(PYTEST_OPTIONS) $(if $(TESTS),$(TESTS),-m "not slow")

test-all: $(MARKS)/dev $(MARKS)/docs $(MARKS)/kernels $(MARKS)/fonts $(MARKS)/chromium $(MARKS)/exiftool \
		$(MARKS)/qemu $(MARKS)/arm $(MARKS)/zig/installed $(MARKS)/clients/installed $(MARKS)/clients_js
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

test-most: $(MARKS)/dev $(MARKS)/docs $(MARKS)/kernels $(MARKS)/fonts $(MARKS)/chromium $(MARKS)/exiftool \
		$(MARKS)/qemu $(MARKS)/arm
	$(BIN)/python -m pytest $(PYTEST_OPTIONS) -m "not long"

# What the tests need outside .venv, so that it can be installed while something else uses that.
test-tools: $(MARKS)/fonts $(MARKS)/chromium $(MARKS)/exiftool $(MARKS)/qemu $(MARKS)/arm $(MARKS)/zig/installed \
		$(MARKS)/clients/installed $(MARKS)/clients_js

test-without-vnni: $(MARKS)/dev $(MARKS)/kernels
	PYTHONPATH=tests $(BIN)/python -m lesser_processor $(BIN)/python -m pytest $(PYTEST_OPTIONS) \
		$(if $(TESTS),$(TESTS),$(ON_PROCESSOR) -m "not slow")

test-emulated-amx: $(MARKS)/dev $(MARKS)/emulated-amx
	PYTHONPATH=$(CURDIR)/$(MARKS)/emulated-amx $(BIN)/python -m pytest $(PYTEST_OPTIONS) \
		$(if $(TESTS),$(TESTS),tests/unit/engine/native tests/unit/reading -m "not slow")

kernels: $(MARKS)/kernels

$(MARKS)/emulated-amx: $(wildcard kernels/src/*) kernels/CMakeLists.txt kernels/pyproject.toml $(MARKS)/demo
	@echo "Building smallsight-kernels with AMX emulated (about a minute, once) ..."
	@CMAKE_ARGS=-DSMALLSIGHT_EMULATED_AMX=ON PIP_CONSTRAINT=kernels/build-constraints.txt \
		$(PIP) install --no-deps --upgrade --target $@ ./kernels
	@touch $@

wheels: $(MARKS)/wheels/installed $(MARKS)/qemu
	@$(MARKS)/wheels/bin/python -m release.arm_system $(MARKS)/wheels/arm && root="--root $(MARKS)/wheels/arm"; \
		$(MARKS)/wheels/bin/python -m release.kernel_wheels dist --compilers $(MARKS)/wheels/compilers $$root

coverage: $(MARKS)/dev $(MARKS)/docs $(MARKS)/fonts $(MARKS)/chromium $(MARKS)/exiftool \
		$(MARKS)/qemu $(MARKS)/arm $(MARKS)/zig/installed $(MARKS)/clients/installed $(MARKS)/clients_js
	$(BIN)/python -m coverage erase
	$(BIN)/python -m pytest $(PYTEST_OPTIONS) --cov --cov-report= $(TESTS)
	$(BIN)/python -m coverage report

# The licences first: .ci/run installs the extension meanwhile, and they look at every package.
check: $(MARKS)/dev $(MARKS)/docs
	$(BIN)/python -m release.licences
	$(BIN)/ruff format --check src tests benchmarks deploy examples docs release training
	$(BIN)/ruff check src tests benchmarks deploy examples docs release training
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(MARKS)/dev
	$(BIN)/ruff check --fix src tests benchmarks deploy examples docs release training
	$(BIN)/ruff format src tests benchmarks deploy examples docs release training

bench: $(MARKS)/dev
	mkdir -p $(RESULTS)
	$(BIN)/python benchmarks/index_throughput.py --json $(RESULTS)/index_throughput.json
	$(BIN)/python benchmarks/search_latency.py --json $(RESULTS)/search_latency.json
	$(BIN)/python benchmarks/search_quality.py --json $(RESULTS)/search_quality.json
	$(BIN)/python benchmarks/text_embedding.py --json $(RESULTS)/text_embedding.json
	$(BIN)/python benchmarks/ocr_recall.py --json $(RESULTS)/ocr_recall.json
	$(BIN)/python benchmarks/malformed_pictures.py --json $(RESULTS)/malformed_pictures.json
	$(BIN)/python benchmarks/row_bands.py --json $(RESULTS)/row_bands.json
	$(BIN)/python benchmarks/journey_calls.py --json $(RESULTS)/journey_calls.json
	$(BIN)/python benchmarks/large_picture.py --json $(RESULTS)/large_picture.json
	$(BIN)/python benchmarks/tile_policy.py --json $(RESULTS)/tile_policy.json
	$(BIN)/python benchmarks/video_frames.py --json $(RESULTS)/video_frames.json
	$(BIN)/python benchmarks/everyday_tasks.py --json $(RESULTS)/everyday_tasks.json
	$(BIN)/python benchmarks/side_by_side.py --json $(RESULTS)/side_by_side.json --svg docs/images/side_by_side.svg
	$(BIN)/python benchmarks/side_by_side.py --model SmolVLM-500M-Instruct --rounds 1 \
		--json $(RESULTS)/side_by_side_500m.json

robustness: $(MARKS)/dev
	SMALLSIGHT_TEST_SCALE=10 $(BIN)/python -m pytest --timeout=3600 --durations=0 $(ROBUSTNESS)
	SMALLSIGHT_TEST_SCALE=25 $(BIN)/python -m pytest --timeout=3600 --durations=0 tests/e2e/test_bad_disks.py
	$(BIN)/python benchmarks/malformed_pictures.py --mutated 100000

# Each in a separate folder, outside the environment that Smallsight is tested in.
peers: $(MARKS)/dev
	$(PIP) install --upgrade --no-deps --target .peers/bitsandbytes bitsandbytes==0.50.2 accelerate==1.15.0
	$(PYTHON) -m venv .peers/llama.cpp
	CMAKE_ARGS="$(WITHOUT_AMX)" \
		.peers/llama.cpp/bin/python -m pip install --quiet $(LLAMA_CPP) gguf==0.19.0 cmake==4.4.3 ninja==1.13.2
	$(MAKE) .peers/llama.cpp/bin/llama-server
	$(PYTHON) -m venv .peers/optimum-intel
	.peers/optimum-intel/bin/python -m pip install --quiet \
		torch==2.13.0 optimum-intel==1.27.0 nncf pillow 'transformers<5.6' openvino==2026.4.1

# A test asks it. Its sources come with those of llama-cpp-python. It has to answer, not to be fast: hence -O1.
.peers/llama.cpp/bin/llama-server:
	mkdir -p .peers/llama.cpp/sources
	.peers/llama.cpp/bin/python -m pip download --quiet --no-deps --no-binary llama-cpp-python \
		--dest .peers/llama.cpp $(LLAMA_CPP)
	tar -xzf .peers/llama.cpp/llama_cpp_python-*.tar.gz --strip-components 1 -C .peers/llama.cpp/sources
	PATH="$(CURDIR)/.peers/llama.cpp/bin:$$PATH" cmake -G Ninja \
		-S .peers/llama.cpp/sources/vendor/llama.cpp -B .peers/llama.cpp/build \
		-DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE='-O1 -DNDEBUG' -DCMAKE_CXX_FLAGS_RELEASE='-O1 -DNDEBUG' \
		-DBUILD_SHARED_LIBS=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
		-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF $(WITHOUT_AMX)
	PATH="$(CURDIR)/.peers/llama.cpp/bin:$$PATH" cmake --build .peers/llama.cpp/build --target llama-server
	cp .peers/llama.cpp/build/bin/llama-server $@

# The variable turns off an advertisement of the theme.
docs: $(MARKS)/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs $(if $(DOCS),$(DOCS),build)

audit: $(MARKS)/dev requirements/release.txt
	$(LOCKED) requirements/release.txt
	mkdir -p $(RESULTS)
	$(BIN)/python -m release.audit --sbom $(RESULTS)/sbom.json

lock: $(MARKS)/venv
	$(PIP) install --upgrade --target $(MARKS)/uv $(UV)
	$(BIN)/python -m release.lock --uv $(MARKS)/uv/bin/uv

vendor: $(MARKS)/dev
	$(BIN)/python -m release.vendor_web

examples: $(MARKS)/dev
	$(BIN)/python examples/draw_pictures.py

clean:
	rm -rf $(VENV) $(MARKS) site .smallsight-demo .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache

# pip cannot check hashes and install an editable project in one call: what it depends on comes first.
# The text model is a plain package of files: installed without what it depends on, and never imported.
$(MARKS)/demo: pyproject.toml requirements/demo.txt requirements/text-model.txt $(MARKS)/venv
	@echo "Installing Smallsight (about a minute, once) ..."
	@$(LOCKED) requirements/demo.txt
	@$(LOCKED) requirements/text-model.txt --no-deps
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# The parity group holds torch, whose builds differ from index to index: it has versions, but no hashes.
$(MARKS)/dev: requirements/dev.txt constraints.txt $(MARKS)/demo
	@echo "Installing what tests need (a few minutes, once) ..."
	@$(LOCKED) requirements/dev.txt
	@$(PIP) install --constraint constraints.txt --group parity
	@$(PIP) install --upgrade --no-deps --target $(TORCHVISION) torchvision==0.28.0
	@touch $@

$(MARKS)/docs: requirements/docs.txt $(MARKS)/dev
	@echo "Installing what the documentation site needs ..."
	@$(LOCKED) requirements/docs.txt
	@touch $@

# Other people's programs, which tests run against the server: apart, because their packages contradict ours.
$(MARKS)/clients/installed: requirements/clients.txt $(MARKS)/dev
	@echo "Installing the clients that tests run (a few minutes, once) ..."
	@rm -rf $(MARKS)/clients
	@$(PYTHON) -m venv $(MARKS)/clients 2>/dev/null \
		|| { rm -rf $(MARKS)/clients; \
			$(PYTHON) -m pip install --quiet --upgrade --target $(MARKS)/virtualenv virtualenv \
			&& PYTHONPATH=$(MARKS)/virtualenv $(PYTHON) -m virtualenv --quiet $(MARKS)/clients; }
	@$(MARKS)/clients/bin/python -m pip --disable-pip-version-check --quiet install \
		--require-hashes --requirement requirements/clients.txt
	@touch $@

# An extra, never a need: without it OpenVINO generates all tokens, and its tests are skipped.
$(MARKS)/kernels: $(wildcard kernels/src/*) kernels/CMakeLists.txt kernels/pyproject.toml $(MARKS)/demo
	@$(COMPILER) && echo "Building smallsight-kernels (about a minute, once) ..." \
		|| echo "Building smallsight-kernels with zig, as there is no C++ compiler (a few minutes, once) ..."
	@{ $(COMPILER) || $(MAKE) --silent $(MARKS)/zig/toolchain.cmake; } >$(MARKS)/kernels.log 2>&1; \
		$(COMPILER) || export CMAKE_ARGS="-DCMAKE_TOOLCHAIN_FILE=$(CURDIR)/$(MARKS)/zig/toolchain.cmake"; \
		PIP_CONSTRAINT=kernels/build-constraints.txt $(PIP) install --no-deps ./kernels >>$(MARKS)/kernels.log 2>&1 \
		&& touch $@ || echo "smallsight-kernels was not built ($(MARKS)/kernels.log says why): OpenVINO generates all tokens."

# A compiler from PyPI (100 MB).
$(MARKS)/zig/installed: requirements/zig.txt $(MARKS)/venv
	@rm -rf $(MARKS)/zig
	@$(LOCKED) requirements/zig.txt --target $(MARKS)/zig/package
	@touch $@

$(MARKS)/zig/toolchain.cmake: release/zig_compiler.py $(MARKS)/zig/installed
	@PYTHONPATH=$(MARKS)/zig/package $(BIN)/python -m release.zig_compiler $(MARKS)/zig >/dev/null

$(MARKS)/wheels/installed: requirements/wheels.txt $(MARKS)/venv
	@rm -rf $(MARKS)/wheels
	@$(PYTHON) -m venv $(MARKS)/wheels
	@$(MARKS)/wheels/bin/python -m pip --disable-pip-version-check --quiet install \
		--require-hashes --requirement requirements/wheels.txt
	@touch $@

# For the tests of training/, which draw; without apt-get they are skipped.
$(MARKS)/fonts: training/assets.py $(MARKS)/dev
	@if $(BIN)/python -m training.assets; then touch $@; fi

# For the tests that compare with what a browser shows; without it they are skipped. The tests of the web app use
# the variant without windows where it can be installed: its pages take half the processor time.
$(MARKS)/chromium:
	@mkdir -p $(MARKS)
	@if command -v chromium >/dev/null && command -v chromium-headless-shell >/dev/null; then touch $@; \
		elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq >/dev/null 2>&1; \
			apt-get install -qq --yes --no-install-recommends chromium-headless-shell >/dev/null 2>&1 || true; \
			{ command -v chromium || apt-get install -qq --yes --no-install-recommends chromium; } >/dev/null 2>&1 \
				&& touch $@ || echo "Chromium was not installed: apt-get failed. Its tests are skipped."; \
		elif command -v chromium >/dev/null; then touch $@; \
		else echo "Chromium is not installed, and only root can do it with apt-get. Its tests are skipped."; fi

# For the tests that compare with what exiftool writes; without it they are skipped.
$(MARKS)/exiftool:
	@mkdir -p $(MARKS)
	@if command -v exiftool >/dev/null; then touch $@; \
		elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			{ apt-get update -qq && apt-get install -qq --yes --no-install-recommends libimage-exiftool-perl; } \
				>/dev/null 2>&1 && touch $@ \
				|| echo "exiftool was not installed: apt-get failed. Its tests are skipped."; \
		else echo "exiftool is not installed, and only root can do it with apt-get. Its tests are skipped."; fi

# For the tests of ARM code; without it they are skipped.
$(MARKS)/qemu:
	@mkdir -p $(MARKS)
	@if command -v qemu-aarch64 >/dev/null || command -v qemu-aarch64-static >/dev/null; then touch $@; \
		elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			{ apt-get update -qq && apt-get install -qq --yes --no-install-recommends qemu-user-static; } \
				>/dev/null 2>&1 && touch $@ \
				|| echo "QEMU was not installed: apt-get failed. The tests of ARM code are skipped."; \
		else echo "QEMU is not installed, and only root can do it with apt-get. The tests of ARM code are skipped."; fi

# Libraries for ARM, with which those tests link their programs (6 MB); without them zig compiles its own.
$(MARKS)/arm: $(MARKS)/qemu
	@rm -rf $@ $@.new && mkdir -p $@.new
	@version=$$(apt-cache pkgnames libstdc++- 2>/dev/null \
			| sed -n 's/^libstdc++-\([0-9]*\)-dev-arm64-cross$$/\1/p' | sort -n | tail -n 1); \
		( cd $@.new && test -n "$$version" && apt-get download -qq libc6-dev-arm64-cross linux-libc-dev-arm64-cross \
			libgcc-$$version-dev-arm64-cross libstdc++-$$version-dev-arm64-cross \
			&& for deb in *.deb; do dpkg -x $$deb . || exit 1; done && rm *.deb ) >/dev/null 2>&1 \
			&& mv $@.new $@ && touch $@ \
			|| echo "Debian's libraries for ARM were not fetched: the tests of ARM code take two minutes longer."

# For the tests with client packages from npm; without Node.js 20 they are skipped. No script of a package runs.
$(MARKS)/clients_js: tests/e2e/clients/js/package.json tests/e2e/clients/js/package-lock.json
	@mkdir -p $(MARKS)
	@if ! command -v node >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		{ apt-get update -qq && apt-get install -qq --yes --no-install-recommends nodejs npm; } >/dev/null 2>&1 \
			|| echo "Node.js was not installed: apt-get failed."; fi
	@if command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; then \
		echo "Installing clients from npm (about a minute, once) ..."; \
		rm -rf $@ $@.new && mkdir $@.new && cp $^ $@.new \
			&& npm ci --prefix $@.new --ignore-scripts --no-audit --no-fund --loglevel=error && mv $@.new $@ && touch $@ \
			|| echo "The clients from npm were not installed: npm failed. Their tests are skipped."; \
		else echo "Node.js 20 with npm is not installed. The tests with clients from npm are skipped."; fi

# Debian's Python comes without venv unless python3-venv is installed; pip can bring a replacement.
$(MARKS)/venv:
	@mkdir -p $(MARKS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed. hint: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null \
		|| { rm -rf $(VENV); \
			$(PYTHON) -m pip install --quiet --target $(MARKS)/virtualenv virtualenv \
			&& PYTHONPATH=$(MARKS)/virtualenv $(PYTHON) -m virtualenv --quiet $(VENV); } \
		|| { echo "No virtual environment could be made. hint: apt install python3-venv"; exit 1; }
	@$(LOCKED) requirements/pip.txt
	@touch $@
