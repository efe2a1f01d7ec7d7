# The front door: `make demo`, `make check`, `make test`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# On a machine that has Nix and no apt, the tools come from shell.nix.
enter := $(shell command -v apt-get >/dev/null || [ -n "$$IN_NIX_SHELL" ] || ! command -v nix-shell >/dev/null || echo yes)

# Packages that build only where libclang is, which the bindings of squashfs-ng need. `make check` leaves them out.
needs_libclang := storeboot-tests-squashfs-ng
# Packages whose tests boot machines and build with Nix, and those of their tests that are quick and do neither.
slow_packages := storeboot-tests
quick_tests := book failures
# Packages that are not published.
unpublished := storeboot-tests storeboot-tests-squashfs-ng storeboot-benches

# Formatting, lints and documentation, of all packages but those of the argument.
define lint
	cargo fmt --check
	cargo clippy --workspace $(addprefix --exclude ,$(1)) --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace $(addprefix --exclude ,$(1)) --no-deps
	scripts/check-features
endef

.PHONY: help deps build check check-nixos test deny package demo bench bench-boot bench-scale bench-micro

help:
	@echo 'make demo                 builds the demo, boots it in QEMU, and shows what it took'
	@echo 'make demo INTERACTIVE=1   the same, ending in a shell on the booted machine'
	@echo 'make demo SYSTEM=systemd  the same with a system as NixOS has it; with INTERACTIVE=1 one logs in there'
	@echo 'make check                formatting, lints, documentation and the tests that need no machine to boot; two minutes when warm'
	@echo 'make test                 formatting, lints, documentation and every test, boots included; twenty minutes'
	@echo 'make check-nixos          with NIXPKGS=DIR: evaluates module, tests and flake with a whole nixpkgs (docs/nixos.md)'
	@echo 'make deny                 the licences and the origin of all dependencies'
	@echo 'make package              the crates as they would be published, each built from its package'
	@echo 'make build                the static binaries, in target/*/release'
	@echo 'make bench                packs a closure with storeboot and with others, and writes docs/benchmarks.md; takes half an hour'
	@echo 'make bench-boot           the memory that a boot needs and the time it takes, for every layout; takes an hour'
	@echo 'make bench-scale          how time and memory grow with the closure, up to a million files; takes a quarter of an hour'
	@echo 'make bench-micro          the loops that a build spends its time in, one by one, and docs/benchmarks-micro.md; takes five minutes'
	@echo 'What is missing on the machine is installed first, but for make check.'

# Whoever has a nixpkgs has a Nix: this installs and builds nothing.
check-nixos:
	@scripts/check-nixos $(ARGUMENTS)

ifeq ($(enter),yes)

deps build check test deny package demo bench bench-boot bench-scale bench-micro:
	nix-shell --run '$(MAKE) $@ INTERACTIVE="$(INTERACTIVE)" SYSTEM="$(SYSTEM)" ARGUMENTS="$(ARGUMENTS)"'

else

deps:
	@scripts/install-deps

build: deps
	scripts/build-static

demo: build
	@INTERACTIVE='$(INTERACTIVE)' SYSTEM='$(SYSTEM)' scripts/demo

# Takes no program that may be missing: no `deps`. A test that wants one says that it is skipped.
check:
	$(call lint,$(needs_libclang))
	cargo test --workspace $(addprefix --exclude ,$(sort $(slow_packages) $(needs_libclang)))
ifeq ($(filter storeboot-tests,$(needs_libclang)),)
	cargo test --package storeboot-tests $(addprefix --test ,$(quick_tests))
endif

# All that `check` does and more, and nothing twice.
test: build
	$(call lint)
	STOREBOOT="$$(scripts/build-static)/storeboot" cargo test --workspace

# Advisories come from the network: `cargo deny check advisories` looks at those.
deny: deps
	"$$(scripts/cargo-deny)" check bans licenses sources

# Stage 1 has nothing that could unwind. In the workspace its profiles say so, which a package does not carry.
package: deps
	CARGO_PROFILE_DEV_PANIC=abort cargo package --workspace $(addprefix --exclude ,$(unpublished)) --allow-dirty

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
