/* SPDX-License-Identifier: MIT */
/* wait.h - bells: sleeping until a word in shared memory is touched. */
#ifndef BUS_WAIT_H
#define BUS_WAIT_H

#include <stddef.h>
#include <stdint.h>

#include "atomic.h"
#include "layout.h"

#define BUS_BELLS_MAX 128 /* that one thread can sleep on: futex_waitv(2) */

/* One bell that a thread is about to sleep on. */
struct bus_sleep {
	uint32_t *shm_bell;
	uint32_t value;		/* as bus_bell_arm() left it */
};

/* bells */

/*
 * Arm a bell: whoever finds it armed after its store rings it. The caller
 * must then call bus_membarrier() once for all bells it armed, look once more
 * for what it waits for, and only then sleep.
 */
void bus_bell_arm(uint32_t *shm_bell, struct bus_sleep *ret);

/*
 * Sleep until one of @n armed bells is rung, at most @timeout ns (< 0: none).
 * Return: 0 if rung or if a bell moved since it was armed, also spuriously;
 *   -ETIMEDOUT, -EINTR.
 */
int bus_bell_sleep(const struct bus_sleep *sleeps, size_t n, int64_t timeout);

/* Wake all who sleep on a bell. Return: 1 if a system call was made. */
int bus_bell_ring(uint32_t *shm_bell);

/*
 * The end of every publishing call, after its last store: one load each
 * unless somebody sleeps. The compiler barrier is enough, because sleepers
 * call bus_membarrier() between arming and looking.
 */
static inline bool bus_bell_armed(const uint32_t *shm_bell)
{
	bus_barrier();
	return unlikely(bus_load(shm_bell) & BUS_BELL_ARMED);
}

/* barriers */

/*
 * Let other processes' bus_membarrier() reach this one. Once per process,
 * before its first slot or line is used. Return: 0 or -ENOSYS.
 */
int bus_membarrier_register(void);

/* A full memory barrier on every running thread of registered processes. */
void bus_membarrier(void);

/* time */

int64_t bus_now(void);		/* CLOCK_MONOTONIC, ns */
int64_t bus_realtime(void);	/* CLOCK_REALTIME, ns */

#endif
