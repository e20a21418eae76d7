# The agent for nodes: a static program, which needs no other file, and a container image of it.
STATIC_AGENT = $(TARGET)/deploy/crigc-agent
IMAGE = $(TARGET)/deploy/crigc-agent.oci.tar
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

.PHONY: static-agent image
$(STATIC_AGENT): $(wildcard examples-c/agent/*.[ch]) include/crigc.h $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(C_STRICT) -static-pie -Iinclude $(filter %.c,$^) $(LIBRARY) -Wl,--gc-sections -Wl,-z,now -s -o $@

$(IMAGE): $(STATIC_AGENT) deploy/Containerfile deploy/image.sh
	deploy/image.sh $(STATIC_AGENT) $(VERSION) $@

static-agent: library
	@$(MAKE) -s --no-print-directory $(STATIC_AGENT)

# Needs buildah; no network.
image: static-agent
	@$(MAKE) -s --no-print-directory $(IMAGE)
