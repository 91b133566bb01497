# SPDX-License-Identifier: Apache-2.0
#
# A thin front of meson and ninja. `make` builds build/gridtie; tools/setup fetches what is missing first (a no-op
# without network when nothing is). tools/build knows the kinds of build, tools/test and tools/check what they run.

PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: all release debug tsan fuzz run test check bench soak install uninstall clean setup help
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
	@if [ -n "$(SECONDS)" ]; then tools/fuzz "$(SECONDS)"; fi

run:
	@tools/setup build engine catalogue
	@tools/build release
	@tools/first-run

test:
	@tools/setup build engine catalogue test
	@tools/test

check:
	@tools/setup build check
	@tools/check

bench:
	@tools/setup build engine test bench
	@tools/build bench
	@bench/run
	@bench/local
	@taskset -c 0 build/bench/privacy

soak:
	@tools/setup build engine test bench
	@tools/build bench
	@bench/soak

setup:
	@tools/setup

# A copied unit names the program's own place.
define install_unit
	install -d "$(DESTDIR)$(PREFIX)/lib/systemd/$(2)"
	sed 's|/usr/local/bin/|$(PREFIX)/bin/|' $(1) >"$(DESTDIR)$(PREFIX)/lib/systemd/$(2)/gridtie.service"
	chmod 644 "$(DESTDIR)$(PREFIX)/lib/systemd/$(2)/gridtie.service"
endef

# The program prints them from the tables that it reads command lines by.
define install_completion
	install -d "$(dir $(DESTDIR)$(PREFIX)/$(2))"
	build/release/gridtie completion $(1) >"$(DESTDIR)$(PREFIX)/$(2)"
	chmod 644 "$(DESTDIR)$(PREFIX)/$(2)"
endef

# Root installs what somebody else has built.
install: $(if $(wildcard build/release/gridtie),,release)
	install -D -m 755 build/release/gridtie "$(DESTDIR)$(PREFIX)/bin/gridtie"
	install -D -m 644 docs/gridtie.1 "$(DESTDIR)$(PREFIX)/share/man/man1/gridtie.1"
	$(call install_completion,bash,share/bash-completion/completions/gridtie)
	$(call install_completion,zsh,share/zsh/site-functions/_gridtie)
	$(call install_completion,fish,share/fish/vendor_completions.d/gridtie.fish)
	$(call install_unit,share/systemd/gridtie.service,system)
	$(call install_unit,share/systemd/gridtie-user.service,user)
	install -D -m 755 tools/catalogue-sources "$(DESTDIR)$(PREFIX)/libexec/gridtie/catalogue-sources"
	install -D -m 755 tools/model-sources "$(DESTDIR)$(PREFIX)/libexec/gridtie/model-sources"
	install -d "$(DESTDIR)$(PREFIX)/libexec/gridtie"
	install -m 644 build/release/patterns-*.hs "$(DESTDIR)$(PREFIX)/libexec/gridtie/"
	@if [ -x build/llama-server ]; then \
	    install -D -m 755 -v build/llama-server "$(DESTDIR)$(PREFIX)/libexec/gridtie/llama-server"; \
	else echo "no llama-server was built here, so none is installed (tools/setup engine; make)"; fi

uninstall:
	rm -f "$(DESTDIR)$(PREFIX)/bin/gridtie" "$(DESTDIR)$(PREFIX)/share/man/man1/gridtie.1" \
	    "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/gridtie" \
	    "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_gridtie" \
	    "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/gridtie.fish" \
	    "$(DESTDIR)$(PREFIX)/lib/systemd/system/gridtie.service" \
	    "$(DESTDIR)$(PREFIX)/lib/systemd/user/gridtie.service"
	rm -rf "$(DESTDIR)$(PREFIX)/libexec/gridtie"

clean:
	rm -rf build

help:
	@echo "make            build/gridtie (release)"
	@echo "make run        build, start, and ask a small local model one question"
	@echo "make test       every test;  make check: style, static analysis, layers"
	@echo "make bench      beside nginx, in one run;  make soak: memory after a million requests"
	@echo "make debug|tsan other builds, under build/; make fuzz SECONDS=60 also runs each fuzz target so long"
	@echo "make install    PREFIX=$(PREFIX), DESTDIR for packagers; make uninstall, make clean"
