/* Images that image-gc-exempt keeps from crigc, and nothing from a kubelet. */
#ifndef AGENT_PINS_H
#define AGENT_PINS_H

#include "crigc.h"

/* For a pass over images beside a kubelet: says which exempt images the runtime has not pinned, and how to pin them. Each is told once. */
void advise_pins(const gc_report *report);

#endif
