/* SPDX-License-Identifier: MIT */
/* util_ring.h - a ring in this process, whose counters begin anywhere. */
#ifndef TESTS_UTIL_RING_H
#define TESTS_UTIL_RING_H

#include "ring.h"

#define RING_SIZE UINT64_C(4096)
#define RING_FRAME_MAX (RING_SIZE / 4)
#define RING_SLOTS 4 /* slots and lines that were given out */

struct bus_ring *test_ring_new(uint64_t pos, uint64_t off, bool one);
void test_ring_free(struct bus_ring *ring);

/* busd's page, which a ring only reads. */
struct bus_ring_head *test_ring_head(const struct bus_ring *ring);

#endif
