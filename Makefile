# Runs the demo (`make demo`), the quick checks (`make check`), all tests (`make test`), and the benchmarks.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# On a machine that has Nix and no apt, the tools come from shell.nix.
enter := $(shell command -v apt-get >/dev/null || [ -n "$$IN_NIX_SHELL" ] || ! command -v nix-shell >/dev/null || echo yes)

# Packages that need libclang to build, for the bindings of squashfs-ng. `make check` leaves them out.
needs_libclang := storeboot-tests-squashfs-ng
# Packages whose tests boot machines and build with Nix; and those of their tests that are quick and do neither.
slow_packages := storeboot-tests
quick_tests := book failures
# Packages that are not published.
unpublished := storeboot-tests storeboot-tests-squashfs-ng storeboot-benches

# Checks formatting, lints and documentation of all packages except those of the argument.
define lint
	cargo fmt --check
	cargo clippy --workspace $(addprefix --exclude ,$(1)) --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace $(addprefix --exclude ,$(1)) --no-deps
	scripts/check-features
endef

.PHONY: help deps build check check-nixos test deny package fuzz demo demo-serve bench bench-boot bench-fetch bench-fleet bench-serve bench-scale bench-verity bench-micro

help:
	@echo 'make demo                 builds the demo, boots it in QEMU, and prints sizes, times and memory'
	@echo 'make demo INTERACTIVE=1   boots the demo and opens a shell on the booted machine'
	@echo 'make demo SYSTEM=systemd  boots a system with systemd, as NixOS has it; with INTERACTIVE=1, you can log in'
	@echo 'make demo-serve           boots three machines at once in a network of their own, each by its own rule'
	@echo 'make check                checks formatting, lints and docs, and runs the tests that boot nothing (two minutes when warm)'
	@echo 'make test                 checks formatting, lints and docs, and runs all tests (twenty minutes)'
	@echo 'make check-nixos          evaluates the module, the tests and the flake with the nixpkgs in NIXPKGS=DIR (docs/nixos.md)'
	@echo 'make deny                 checks the licences and the sources of all dependencies'
	@echo 'make fuzz                 runs the fuzzer on each parser of what comes from elsewhere, a minute each (ten minutes)'
	@echo 'make package              packages the crates for publication, and builds each from its package'
	@echo 'make build                builds the static binaries in target/*/release'
	@echo 'make bench                measures packing against other programs, and writes docs/benchmarks.md (half an hour)'
	@echo 'make bench-boot           measures memory and time of a boot for every layout (two hours)'
	@echo 'make bench-boot SYSTEM=systemd  measures what a boot reads of the store and its time to multi-user.target, with a boot'
	@echo '                          profile and without (an hour); SYSTEM=desktop: with a desktop in the store'
	@echo 'make bench-fetch          measures how fast stage 1 fetches, against curl in the same guest (a few minutes)'
	@echo 'make bench-fleet          measures hundreds of clients that fetch at once from nginx, against as many of curl (a few minutes)'
	@echo 'make bench-serve          compares `storeboot serve` with nginx, for one client and for a hundred (a few minutes)'
	@echo 'make bench-scale          measures how time and memory grow with the closure, up to a million files (a quarter of an hour)'
	@echo 'make bench-verity         measures what it costs to check the store, before the boot or when it is read (half an hour)'
	@echo 'make bench-micro          measures the inner loops of a build, and writes docs/benchmarks-micro.md (five minutes)'
	@echo 'All targets except check and check-nixos first install the programs that are missing.'

# Installs and builds nothing: it needs a Nix on PATH.
check-nixos:
	@scripts/check-nixos $(ARGUMENTS)

ifeq ($(enter),yes)

deps build check test deny package fuzz demo demo-serve bench bench-boot bench-fetch bench-fleet bench-serve bench-scale bench-verity bench-micro:
	nix-shell --run '$(MAKE) $@ INTERACTIVE="$(INTERACTIVE)" SYSTEM="$(SYSTEM)" ARGUMENTS="$(ARGUMENTS)"'

else

deps:
	@scripts/install-deps

build: deps
	scripts/build-static

demo: build
	@INTERACTIVE='$(INTERACTIVE)' SYSTEM='$(SYSTEM)' scripts/demo

demo-serve: deps
	@scripts/demo-serve

# Does not depend on `deps`: a test whose program is missing says that it is skipped.
check:
	$(call lint,$(needs_libclang))
	cargo test --workspace $(addprefix --exclude ,$(sort $(slow_packages) $(needs_libclang)))
ifeq ($(filter storeboot-tests,$(needs_libclang)),)
	cargo test --package storeboot-tests $(addprefix --test ,$(quick_tests))
endif

# Does everything that `check` does, and more.
test: build
	$(call lint)
	STOREBOOT="$$(scripts/build-static)/storeboot" cargo test --workspace

# Leaves out advisories, which need the network: use `cargo deny check advisories` for those.
deny: deps
	"$$(scripts/cargo-deny)" check bans licenses sources

package: deps
	scripts/package $(addprefix --exclude ,$(unpublished))

# ARGUMENTS='10 dhcp' runs one of them for ten seconds.
fuzz: deps
	scripts/fuzz $(ARGUMENTS)

# ARGUMENTS='--rounds 3' is more thorough. ARGUMENTS=--help lists all options.
bench: build
	scripts/bench-closure
	scripts/bench-closure server
	scripts/bench-peers
	STOREBOOT="$$(scripts/build-static)/storeboot" cargo run --quiet --package storeboot-benches --bin compare -- --second target/bench/server --output docs $(ARGUMENTS)

# ARGUMENTS='--level 3 --boots 1' is a quick try. ARGUMENTS=--help lists all options.
bench-boot: build
ifeq ($(SYSTEM),)
	scripts/bench-closure
	STOREBOOT="$$(scripts/build-static)/storeboot" cargo run --quiet --package storeboot-benches --bin boot-memory -- $(ARGUMENTS)
else
	scripts/bench-closure $(SYSTEM)
	scripts/bench-closure next
	STOREBOOT="$$(scripts/build-static)/storeboot" cargo run --quiet --package storeboot-benches --bin boot-reads -- --system $(SYSTEM) $(ARGUMENTS)
endif

# ARGUMENTS='--size 64 --boots 1' is a quick try. ARGUMENTS=--help lists all options.
bench-fetch: build
	STOREBOOT="$$(scripts/build-static)/storeboot" cargo run --quiet --package storeboot-benches --bin fetch-rate -- $(ARGUMENTS)

# ARGUMENTS='--clients 50' is a quick try. ARGUMENTS=--help lists all options.
bench-fleet: deps
	cargo run --quiet --release --package storeboot-benches --bin fleet -- $(ARGUMENTS)

# ARGUMENTS='--rounds 1' is a quick try. ARGUMENTS=--help lists all options.
bench-serve: deps
	cargo run --quiet --release --package storeboot-benches --bin serve-rate -- $(ARGUMENTS)

# ARGUMENTS='--only "20 GB"' measures only some rows. ARGUMENTS=--help lists all options.
bench-scale: build
	scripts/bench-peers
	STOREBOOT="$$(scripts/build-static)/storeboot" cargo run --quiet --release --package storeboot-benches --bin scale -- --output docs/benchmarks-scale.md $(ARGUMENTS)

# SYSTEM=systemd takes a system a quarter as large. ARGUMENTS=1 boots each once.
bench-verity: build
	@SYSTEM='$(SYSTEM)' scripts/bench-verity $(ARGUMENTS)

# ARGUMENTS=NAR runs the benchmarks whose name contains NAR. ARGUMENTS=--help lists all options.
bench-micro: deps
	cargo bench --quiet $(addprefix --package storeboot-,cache closure cpio squashfs) $(addprefix --bench ,cache closure writer) -- $(ARGUMENTS)
	cargo run --quiet --package storeboot-benches --bin micro -- --output docs/benchmarks-micro.md

endif
