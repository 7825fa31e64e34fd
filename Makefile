# Commands for people and for CI. Unless its help names another program, each needs only Debian, make and a Rust toolchain.

.DEFAULT_GOAL := help
.PHONY: help demo api check gates test test-some test-others test-dashboard fuzz-api services-up services-down bench lint mutants doc compiler

help: ## lists the commands
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

demo: compiler ## runs the whole pipeline on generated events
	cargo run --profile demo -p telemetra-demo

api: compiler ## serves the API and the dashboard, on port 8000
	cargo run --release --example api

# The tests that need no server, of which a change is most likely to break one; doc tests take longer than all of these.
check: compiler ## format, clippy and the tests without servers: before each commit
	scripts/gates style lint
	cargo test --workspace --features kafka-tls,otlp --lib
	cargo test -p telemetra-core --tests
	cargo test --features kafka-tls,otlp --test agreement --test architecture --test corrections --test graph \
		--test http --test livestream --test specification --test usual_mistakes --test watermarks

gates: compiler ## all that has to hold before a merge, but for the tests
	scripts/gates

# Tests start servers of their own, which are installed first. All runs share profile and features, so that nothing is
# built twice; doc tests are a run of their own, as cargo does not combine them with other targets. Benchmarks are left to
# `lint`, which checks that they compile. Many tests wait for servers most of the time, so two runs go on at once, with
# several tests of each; the programs are divided by their first letters so that both take about as long. The simulations
# of `world` need the processor all the time, and come after them.
TESTED := --workspace --features kafka-tls,otlp

test: compiler ## runs all tests, against real servers
	scripts/services install
	cargo test $(TESTED) --lib --bins --tests --examples --no-run
	$(MAKE) --no-print-directory --jobs 2 test-some test-others
	cargo test $(TESTED) --test 'w*'
	cargo test $(TESTED) --doc

test test-some test-others: export RUST_TEST_THREADS ?= $(shell n=$$(nproc); echo $$(( n < 3 ? 3 : n )))

test-some:
	cargo test $(TESTED) --lib --bins --examples --test '[a-fs]*'

test-others:
	cargo test $(TESTED) --test '[!a-fsw]*'

test-dashboard: compiler ## drives the dashboard in Chromium; needs Node
	cargo build --release --example api
	cd tests/dashboard && npm install --no-package-lock --no-audit --no-fund && npm test

fuzz-api: compiler ## holds the API to its OpenAPI document; needs Python
	cargo build --release --example api
	tests/api/fuzz

services-up: ## starts Postgres, Redis and Kafka, and prints what to export
	@scripts/services install postgres redis kafka
	@scripts/services up

services-down: ## stops them, and keeps their data
	@scripts/services down

bench: compiler ## runs the benchmarks
	cargo bench --benches

lint: compiler ## checks format, clippy and docs
	scripts/gates style lint docs

mutants: compiler ## shows which changes of the code no test notices; needs Python and cargo-mutants
	scripts/mutants

doc: compiler ## builds the documentation and opens it
	cargo doc --workspace --no-deps --open

# SQLite and librdkafka are compiled from source, and Rust links by the C compiler: a bare Debian has none.
compiler:
	@command -v cargo >/dev/null || { \
	    echo "error: there is no Rust toolchain; get one from https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { \
	    if ! command -v apt-get >/dev/null; then \
	        echo "error: there is no C compiler; install one, with the headers of the C library" >&2; exit 1; \
	    elif [ "$$(id -u)" = 0 ]; then apt=""; \
	    elif command -v sudo >/dev/null; then apt="sudo"; \
	    else \
	        echo "error: there is no C compiler; run as root: apt-get install gcc libc6-dev" >&2; exit 1; \
	    fi; \
	    $$apt apt-get update -q && $$apt apt-get install -qy --no-install-recommends gcc libc6-dev; }
