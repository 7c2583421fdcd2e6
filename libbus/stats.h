/* SPDX-License-Identifier: MIT */
/*
 * stats.h - counting in shared memory: one writer per word, no read-modify-
 * write instruction, so that a count costs a plain store.
 *
 * The histogram is log-linear: values below 8 have a bucket each; from there
 * each power of two has 8 buckets of equal width, so a bucket is at most an
 * eighth of its value wide.
 */
#ifndef BUS_STATS_H
#define BUS_STATS_H

#include <bus/bus.h>

#include "atomic.h"
#include "layout.h"

static_assert(BUS_HIST_BUCKETS == BUS_STATS_BUCKETS, "one histogram");

static inline void bus_count(uint64_t *shm_counter, uint64_t n)
{
	bus_store(shm_counter, bus_load(shm_counter) + n);
}

static inline unsigned bus_hist_bucket(uint64_t value)
{
	unsigned log, b;

	if (value < BUS_HIST_SUB)
		return (unsigned)value;
	log = 63 - (unsigned)__builtin_clzll(value);
	b = (log - 2) * BUS_HIST_SUB +
	    (unsigned)(value >> (log - 3) & (BUS_HIST_SUB - 1));
	return b < BUS_HIST_BUCKETS ? b : BUS_HIST_BUCKETS - 1;
}

/* Count a time. Negative ones (the clock was set back) count as 0. */
static inline void bus_hist_add(struct bus_stats *shm_stats, int64_t ns)
{
	bus_count(
		&shm_stats->bucket[bus_hist_bucket(ns < 0 ? 0 : (uint64_t)ns)],
		1);
}

#endif
