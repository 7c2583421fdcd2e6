/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the processor's own counter, and the laps taken with it.
 *
 * clock_gettime() costs 22 ns, the counter half of that or less; a round trip
 * is some 120. Only differences taken on one core are used.
 */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t bench_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t bench_ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#else
	return bench_ns();
#endif
}

/* How long a tick is, in ns. Measured once for 20 ms; inherited by forks. */
double bench_tick_ns(void);

#define BENCH_LAPS_MAX 65536

/* Durations of the chunks of one slice, in ticks. */
struct bench_watch {
	uint64_t last;
	uint32_t n;
	uint32_t *lap; /* BENCH_LAPS_MAX of them */
};

static inline void bench_watch_start(struct bench_watch *watch)
{
	watch->n = 0;
	watch->last = bench_ticks();
}

/* Note a duration that was measured elsewhere. */
static inline void bench_watch_add(struct bench_watch *watch, uint64_t ticks)
{
	watch->lap[watch->n++] = ticks < UINT32_MAX ? (uint32_t)ticks :
						      UINT32_MAX;
}

/* A chunk ended, and the next one begins. */
static inline void bench_lap(struct bench_watch *watch)
{
	uint64_t now = bench_ticks();

	bench_watch_add(watch, now - watch->last);
	watch->last = now;
}

#endif
