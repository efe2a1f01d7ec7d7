# The front door: `make demo`, `make test`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# On a machine that has Nix and no apt, the tools come from shell.nix.
enter := $(shell command -v apt-get >/dev/null || [ -n "$$IN_NIX_SHELL" ] || ! command -v nix-shell >/dev/null || echo yes)

.PHONY: help deps build test demo bench bench-boot bench-scale bench-micro

help:
	@echo 'make demo                 builds the demo, boots it in QEMU, and shows what it took'
	@echo 'make demo INTERACTIVE=1   the same, ending in a shell on the booted machine'
	@echo 'make demo SYSTEM=systemd  the same with a system as NixOS has it; with INTERACTIVE=1 one logs in there'
	@echo 'make test                 formatting, lints, documentation and every test, boots included'
	@echo 'make build                the static binaries, in target/*/release'
	@echo 'make bench                packs a closure with storeboot and with others, and writes docs/benchmarks.md; takes half an hour'
	@echo 'make bench-boot           the memory that a boot needs and the time it takes, for every layout; takes an hour'
	@echo 'make bench-scale          how time and memory grow with the closure, up to a million files; takes a quarter of an hour'
	@echo 'make bench-micro          the loops that a build spends its time in, one by one, and docs/benchmarks-micro.md; takes five minutes'
	@echo 'What is missing on the machine is installed first.'

ifeq ($(enter),yes)

deps build test demo bench bench-boot bench-scale bench-micro:
	nix-shell --run '$(MAKE) $@ INTERACTIVE="$(INTERACTIVE)" SYSTEM="$(SYSTEM)" ARGUMENTS="$(ARGUMENTS)"'

else

deps:
	@scripts/install-deps

build: deps
	scripts/build-static

demo: build
	@INTERACTIVE='$(INTERACTIVE)' SYSTEM='$(SYSTEM)' scripts/demo

test: build
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps
	STOREBOOT="$$(scripts/build-static)/storeboot" cargo test --workspace

# ARGUMENTS='--rounds 3' is more thorough; ARGUMENTS=--help tells the rest.
bench: build
	scripts/bench-closure
	scripts/bench-peers
	STOREBOOT="$$(scripts/build-static)/storeboot" cargo run --quiet --package storeboot-benches --bin compare -- --output docs $(ARGUMENTS)

# ARGUMENTS='--level 3 --boots 1' makes it a quick try; ARGUMENTS=--help tells the rest.
bench-boot: build
	scripts/bench-closure
	STOREBOOT="$$(scripts/build-static)/storeboot" cargo run --quiet --package storeboot-benches --bin boot-memory -- $(ARGUMENTS)

# ARGUMENTS='--only "20 GB"' runs some of it; ARGUMENTS=--help tells the rest.
bench-scale: build
	scripts/bench-peers
	STOREBOOT="$$(scripts/build-static)/storeboot" cargo run --quiet --release --package storeboot-benches --bin scale -- --output docs/benchmarks-scale.md $(ARGUMENTS)

# ARGUMENTS=NAR runs those whose name contains it; ARGUMENTS=--help tells the rest.
bench-micro: deps
	cargo bench --quiet $(addprefix --package storeboot-,cache closure cpio squashfs) $(addprefix --bench ,cache closure writer) -- $(ARGUMENTS)
	cargo run --quiet --package storeboot-benches --bin micro -- --output docs/benchmarks-micro.md

endif
