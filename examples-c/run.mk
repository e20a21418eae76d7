# `make run` shows and collects a simulated node; with ENDPOINT=unix://... it looks at a real one.
CFLAGS ?= -O2
C_STRICT := -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Werror
APPLY ?=
ENDPOINT ?=

.PHONY: crisim agent run
crisim:
	cargo build -q -p crisim --release

target/agent: $(wildcard examples-c/agent/*.[ch]) include/crigc.h $(LIBRARY)
target/collect: examples-c/collect.c include/crigc.h $(LIBRARY)
target/agent target/collect:
	$(CC) $(CFLAGS) $(C_STRICT) -Iinclude $(filter %.c,$^) $(LIBRARY) -Wl,--gc-sections -o $@

agent: library
	@$(MAKE) -s --no-print-directory target/agent target/collect

# A first build takes minutes, and cargo says nothing.
run:
	@echo '== building the library of crigc, and the agent that is linked with it (target/agent)'
	@$(MAKE) -s --no-print-directory agent
ifeq ($(ENDPOINT),)
	@echo '== building crisim, which simulates a node (target/release/crisim)'
	@$(MAKE) -s --no-print-directory crisim
endif
	@APPLY='$(APPLY)' ENDPOINT='$(ENDPOINT)' examples-c/run.sh
