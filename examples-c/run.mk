# `make run` shows and collects a simulated node; with ENDPOINT=unix://... it looks at a real one. `make node` keeps a simulated one running.
CFLAGS ?= -O2
C_STRICT := -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Werror
APPLY ?=
ENDPOINT ?=

.PHONY: crisim agent run node
crisim:
	cargo build -q -p crisim

$(TARGET)/agent: $(wildcard examples-c/agent/*.[ch]) include/crigc.h $(LIBRARY)
$(TARGET)/collect: examples-c/collect.c include/crigc.h $(LIBRARY)
$(TARGET)/agent $(TARGET)/collect:
	$(CC) $(CFLAGS) $(C_STRICT) -Iinclude $(filter %.c,$^) $(LIBRARY) -Wl,--gc-sections -o $@

agent: library
	@$(MAKE) -s --no-print-directory $(TARGET)/agent $(TARGET)/collect

# A first build takes minutes, and cargo says nothing.
run:
	@echo '== building the library of crigc, and the agent that is linked with it ($(TARGET)/agent)'
	@$(MAKE) -s --no-print-directory agent
ifeq ($(ENDPOINT),)
	@echo '== building crisim, which simulates a node ($(TARGET)/debug/crisim)'
	@$(MAKE) -s --no-print-directory crisim
endif
	@APPLY='$(APPLY)' ENDPOINT='$(ENDPOINT)' examples-c/run.sh

node:
	@echo '== building crisim, which simulates a node ($(TARGET)/debug/crisim)'
	@$(MAKE) -s --no-print-directory crisim
	@examples-c/run.sh node
