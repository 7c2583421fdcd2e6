# SPDX-License-Identifier: MIT
#
# make            build everything into build/
# make demo       the main job on real data        (as root, sets up first)
# make test       what a user runs, < 3 minutes    (as root, sets up first)
# make help       the other targets and the variables
#
# Nothing but `make setup` touches the network.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(JOBS)
endif

# ---- Variables a user may set ----------------------------------------------

BUILD ?= build
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
COMPDIR ?= $(PREFIX)/share/bash-completion/completions
DESTDIR ?=
CFLAGS ?= -O2 -g
LDFLAGS ?=
# Where `cc` is meant, take gcc if there is one: it is what CI measures with.
ifeq ($(origin CC),default)
CC := $(if $(shell command -v gcc),gcc,cc)
endif
# WERROR=1: warnings are errors. SANITIZE=address,undefined or thread, in a
# BUILD of its own. V=1: show the commands.

# ---- Flags -----------------------------------------------------------------

VERSION := $(shell sed -n 's/^\#define BUS_VERSION "\(.*\)"/\1/p' include/bus/bus.h)
SOVERSION := 0
ARCH := $(shell $(CC) -dumpmachine 2>/dev/null)

WARN := -Wall -Wextra -Wconversion -Wmissing-prototypes -Wstrict-prototypes
WARN += $(if $(WERROR),-Werror)
BASE := -std=gnu11 -D_GNU_SOURCE= $(WARN) -MMD -MP -Iinclude -pthread
BASE += $(if $(filter x86_64%,$(ARCH)),-mcx16)
ifdef SANITIZE
BASE += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
BASE_LD := -fsanitize=$(SANITIZE)
else
# A sanitizer brings its own libc wrappers, and leaves symbols open that only
# the program defines.
BASE += -D_FORTIFY_SOURCE=2
BASE_LD := -Wl,-z,defs
endif
BASE_LD += -pthread -Wl,-z,relro,-z,now -Wl,--as-needed
URCU := -lurcu-bp -lurcu-cds

# By directory. The stack protector stays out of libbus: it would be on the
# hot path, where no array is written whose size a peer could choose.
FLAGS_libbus := -fPIC -fvisibility=hidden
FLAGS_daemon := -iquote libbus -fstack-protector-strong
FLAGS_cli := -iquote . -fstack-protector-strong
FLAGS_bench := -iquote .
FLAGS_tests := -iquote libbus -iquote tests -iquote .
FLAGS_examples :=

# ---- Sources ---------------------------------------------------------------

LIB_C := $(wildcard libbus/*.c)
BUSD_C := $(wildcard daemon/*.c)
BUS_C := $(wildcard cli/*.c bench/*.c)
TEST_C := $(wildcard tests/test_*.c)
UTIL_C := $(wildcard tests/util*.c)
EXAMPLE_C := $(wildcard examples/*.c)
HEADERS := $(wildcard include/bus/*.h)
ALL_C := $(LIB_C) $(BUSD_C) $(BUS_C) $(TEST_C) $(UTIL_C) $(EXAMPLE_C)

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
SO := $(BUILD)/libbus.so.$(SOVERSION)
LIBS := $(SO) $(BUILD)/libbus.so $(BUILD)/libbus.a
PROGRAMS := $(BUILD)/bus $(BUILD)/busd
EXAMPLES := $(EXAMPLE_C:%.c=$(BUILD)/%)
TEST_PROGRAMS := $(TEST_C:%.c=$(BUILD)/%)

# ---- Building --------------------------------------------------------------

.PHONY: all lib programs examples tests
all: lib programs examples ; @:
lib: $(LIBS)
programs: $(PROGRAMS)
examples: $(EXAMPLES)
tests: $(TEST_PROGRAMS) ; @:

ifeq ($(V),)
Q := @
say = @printf '  %-5s %s\n' $(1) $(2);
else
say =
endif

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(BASE) $(FLAGS_$(firstword $(subst /, ,$<))) $(CFLAGS) -c -o $@ $<

$(SO): $(call objects,$(LIB_C)) libbus/libbus.map
	$(call say,LD,$@)$(CC) -shared -Wl,-soname,$(@F) -Wl,--version-script=libbus/libbus.map \
		-Wl,-Bsymbolic-functions $(BASE_LD) $(CFLAGS) $(LDFLAGS) \
		-o $@ $(filter %.o,$^) $(URCU)

$(BUILD)/libbus.so: $(SO)
	$(Q)ln -sf $(<F) $@

# What is not a program, so that tests can reach it.
$(BUILD)/libbus.a: $(call objects,$(LIB_C))
$(BUILD)/obj/parts.a: $(call objects,$(filter-out %/main.c,$(BUSD_C) $(BUS_C)))
%.a:
	@mkdir -p $(@D)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

link = $(CC) $(BASE_LD) $(CFLAGS) $(LDFLAGS) -o $@

# busd uses what libbus does not export; the rest uses only what it does.
$(BUILD)/busd: $(call objects,$(BUSD_C)) $(BUILD)/libbus.a
	$(call say,LD,$@)$(link) $^ $(URCU)

$(BUILD)/bus: $(call objects,$(BUS_C)) $(BUILD)/libbus.so
	$(call say,LD,$@)$(link) $(filter %.o,$^) -L$(BUILD) -lbus -lm \
		-Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib'

$(EXAMPLES): $(BUILD)/examples/%: $(BUILD)/obj/examples/%.o $(BUILD)/libbus.so
	@mkdir -p $(@D)
	$(call say,LD,$@)$(link) $< -L$(BUILD) -lbus -lm -Wl,-rpath,'$$ORIGIN/..'

$(TEST_PROGRAMS): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(call objects,$(UTIL_C)) \
		$(BUILD)/obj/parts.a $(BUILD)/libbus.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(link) $^ -lcmocka -lm $(URCU)

-include $(patsubst %.o,%.d,$(call objects,$(ALL_C)))

# ---- Running ---------------------------------------------------------------

CHECKS := $(sort $(wildcard scripts/check-*))

.PHONY: setup demo test test-all bench check run-demo run-test
setup:
	$(Q)scripts/setup all

# Two steps: the second make looks at the machine after setup changed it.
demo test:
	$(Q)scripts/setup --if-missing user
	$(Q)$(MAKE) --no-print-directory all $(if $(filter test,$@),tests)
	$(Q)$(MAKE) --no-print-directory run-$@

run-demo:
	$(Q)BUILD=$(BUILD) examples/demo.sh

run-test check: export BUILD := $(BUILD)
run-test check: export CC := $(CC)
run-test:
	$(Q)scripts/run-tests $(BUILD)/logs $(CHECKS) $(TEST_PROGRAMS)

test-all:
	$(Q)scripts/setup --if-missing all
	$(Q)JOBS=$(JOBS) BUILD=$(BUILD) scripts/test-all

bench: all
	$(Q)$(BUILD)/bus bench $(BENCH)

check: all
	$(Q)scripts/run-tests $(BUILD)/logs $(CHECKS)

# ---- Installing ------------------------------------------------------------

.PHONY: install uninstall
MAN := $(wildcard man/*.[1-9])
INSTALLED = $(BINDIR)/bus $(BINDIR)/busd $(LIBDIR)/libbus.a $(LIBDIR)/libbus.so \
	$(LIBDIR)/$(notdir $(SO)) $(LIBDIR)/pkgconfig/bus.pc $(COMPDIR)/bus \
	$(HEADERS:include/%=$(INCLUDEDIR)/%) \
	$(foreach m,$(MAN),$(MANDIR)/man$(subst .,,$(suffix $m))/$(notdir $m))

install: lib programs
	$(Q)install -d $(sort $(dir $(INSTALLED:%=$(DESTDIR)%)))
	$(Q)install -m 755 $(PROGRAMS) $(DESTDIR)$(BINDIR)
	$(Q)install -m 755 $(SO) $(DESTDIR)$(LIBDIR)
	$(Q)ln -sf $(notdir $(SO)) $(DESTDIR)$(LIBDIR)/libbus.so
	$(Q)install -m 644 $(BUILD)/libbus.a $(DESTDIR)$(LIBDIR)
	$(Q)install -m 644 $(HEADERS) $(DESTDIR)$(INCLUDEDIR)/bus
	$(Q)sed -e 's|@prefix@|$(PREFIX)|' -e 's|@libdir@|$(LIBDIR)|' \
		-e 's|@includedir@|$(INCLUDEDIR)|' -e 's|@version@|$(VERSION)|' \
		packaging/bus.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/bus.pc
	$(Q)install -m 644 packaging/bus.bash $(DESTDIR)$(COMPDIR)/bus
	$(Q)for m in $(MAN); do \
		install -m 644 $$m $(DESTDIR)$(MANDIR)/man$${m##*.}/ || exit; done
	$(Q)echo "installed below $(DESTDIR)$(PREFIX)$(if $(DESTDIR),,; run ldconfig if \
	libbus.so.$(SOVERSION) is not found)"

uninstall:
	$(Q)rm -f $(INSTALLED:%=$(DESTDIR)%)
	$(Q)rmdir $(DESTDIR)$(INCLUDEDIR)/bus 2>/dev/null || true

# ---- Housekeeping ----------------------------------------------------------

.PHONY: format compile_commands.json clean help
FORMATTED = $(ALL_C) $(wildcard */*.h include/bus/*.h)
format:
	$(Q)scripts/format $(FORMATTED)

compile_commands.json:
	$(Q)$(MAKE) --no-print-directory -Bn V=1 all tests | scripts/compile-commands >$@

clean:
	$(Q)rm -rf $(BUILD) compile_commands.json

help:
	$(Q)cat scripts/help.txt
