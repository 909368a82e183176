# SPDX-License-Identifier: BSD-3-Clause
# A thin front of meson; tools/demo and tools/check also install what is missing.
BUILD ?= build
DESTDIR ?=
PREFIX ?= /usr/local

all:
	tools/build $(BUILD) --prefix $(PREFIX)
demo:
	tools/demo
check:
	tools/check
bench: all
	bench/run $(BUILD)
conformance: all
	meson test -C $(BUILD) --no-rebuild --suite conformance
real-linux:
	tools/real-linux --setup
	tools/uapi-headers $(BUILD)/uapi
	BUILD=$(abspath $(BUILD)) tests/conformance/real
	BUILD=$(abspath $(BUILD)) tests/clients/examples_on_linux
kernel-selftests: all
	tools/kernel-selftests $(BUILD)
install: all
	DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild
clean:
	rm -rf $(BUILD)
.PHONY: all demo check bench conformance real-linux kernel-selftests install clean
