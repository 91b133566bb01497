# SPDX-License-Identifier: Apache-2.0
#
# A thin front of meson and ninja. `make` builds build/gridtie; tools/setup fetches what is missing first (a no-op
# without network when nothing is). tools/build knows the kinds of build, tools/test and tools/check what they run.

PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: all release debug tsan fuzz run test check bench soak install clean setup help
.NOTPARALLEL:

all: release

release:
	@tools/setup build
	@tools/build release

debug tsan:
	@tools/setup build
	@tools/build $@

fuzz:
	@tools/setup build check
	@tools/build fuzz

run:
	@tools/setup build engine
	@tools/build release
	@tools/first-run

test:
	@tools/setup build engine test
	@tools/test

check:
	@tools/setup build check
	@tools/check

bench:
	@tools/setup build engine test bench
	@tools/build bench
	@bench/run

soak:
	@tools/setup build engine test bench
	@tools/build bench
	@bench/soak

setup:
	@tools/setup

install: release
	install -D -m 755 build/release/gridtie "$(DESTDIR)$(PREFIX)/bin/gridtie"
	@if [ -f docs/gridtie.1 ]; then install -D -m 644 -v docs/gridtie.1 "$(DESTDIR)$(PREFIX)/share/man/man1/gridtie.1"; fi
	@if [ -f share/gridtie.bash ]; then \
	    install -D -m 644 -v share/gridtie.bash "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/gridtie"; fi
	@if [ -f share/gridtie.zsh ]; then \
	    install -D -m 644 -v share/gridtie.zsh "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_gridtie"; fi
	@if [ -f share/gridtie.fish ]; then \
	    install -D -m 644 -v share/gridtie.fish "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/gridtie.fish"; fi
	@server="$$(tools/setup --print llama-server)"; if [ -x "$$server" ]; then \
	    install -D -m 755 -v "$$server" "$(DESTDIR)$(PREFIX)/libexec/gridtie/llama-server"; fi

clean:
	rm -rf build

help:
	@echo "make            build/gridtie (release)"
	@echo "make run        build, start, and ask a small local model one question"
	@echo "make test       every test;  make check: style, static analysis, layers"
	@echo "make bench      beside nginx, in one run;  make soak: memory after a million requests"
	@echo "make debug|tsan|fuzz            other builds, under build/"
	@echo "make install    PREFIX=$(PREFIX), DESTDIR for packagers"
