/* SPDX-License-Identifier: MIT */
/*
 * wait.c - sleeping and waking without a fence on the publishing side.
 *
 * A bell is a futex word: a counter, and in its lowest bit ARMED. The race to
 * close is the classical one: the sleeper looks, finds nothing and goes to
 * sleep, while the publisher stores its record and looks whether somebody
 * sleeps. Each side stores first and loads the other's word afterwards
 * (Dekker), so both need a full fence between the two. The publisher's would
 * be paid for each record; so the sleeper pays for both with membarrier(2),
 * which makes every running thread of the registered processes pass a barrier:
 *
 *	sleeper				publisher
 *	bell |= ARMED			store the record
 *	membarrier			(compiler barrier)
 *	look for a record		bell armed? -> ring
 *	futex_wait(bell, value)
 *
 * If the publisher's load of the bell came before the barrier reached it, so
 * did its store, and the sleeper's second look finds the record. Otherwise
 * the load comes after ARMED and the publisher rings.
 *
 * Ringing: add to the counter, wake all, and only then clear ARMED, and only
 * if nobody armed the bell again meanwhile. A ringer that is killed between
 * the two leaves ARMED behind, which costs the next publisher a futile system
 * call; disarming first would lose the wake-up of everybody who sleeps.
 *
 * Futex words are shared between processes, so FUTEX_PRIVATE_FLAG is not used.
 */
#define _GNU_SOURCE
#include "wait.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef BUS_TSAN
uint64_t bus_tsan_fence;
#endif

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* As in <linux/futex.h> since 5.16; Debian 12 has it, older headers do not. */
struct waitv {
	uint64_t val;
	uint64_t uaddr;
	uint32_t flags;
	uint32_t reserved;
};
#define WAITV_32 2

void bus_bell_arm(uint32_t *shm_bell, struct bus_sleep *ret)
{
	uint32_t old, armed;

	do {
		old = bus_load(shm_bell);
		armed = (old + 2) | BUS_BELL_ARMED;
		/* [bell:A] pairs [bell:B]: a ringer that sees this value wakes
		 * whoever sleeps on it, one that does not changes it first */
	} while (!bus_cas(shm_bell, old, armed));
	ret->shm_bell = shm_bell;
	ret->value = armed;
}

int bus_bell_ring(uint32_t *shm_bell)
{
	uint32_t w;

	if (!(bus_load(shm_bell) & BUS_BELL_ARMED))
		return 0;
	/* [bell:B] pairs [bell:A]: from here futex_wait on an older value
	 * returns at once */
	w = bus_fetch_add(shm_bell, 2) + 2;
	syscall(SYS_futex, shm_bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	/* [bell:B] pairs [bell:A]: fails if somebody armed it since */
	bus_cas(shm_bell, w, w & ~BUS_BELL_ARMED);
	return 1;
}

static void add_ns(struct timespec *ts, int64_t ns)
{
	clock_gettime(CLOCK_MONOTONIC, ts);
	ts->tv_sec += ns / 1000000000;
	ts->tv_nsec += ns % 1000000000;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_sec++;
		ts->tv_nsec -= 1000000000;
	}
}

int bus_bell_sleep(const struct bus_sleep *sleeps, size_t n, int64_t timeout)
{
	struct waitv v[BUS_BELLS_MAX];
	struct timespec until;
	long r;

	if (timeout >= 0)
		add_ns(&until, timeout);
	if (n == 1) {
		/* BITSET, because it takes an absolute time like waitv */
		r = syscall(SYS_futex, sleeps->shm_bell, FUTEX_WAIT_BITSET,
			    sleeps->value, timeout >= 0 ? &until : NULL, NULL,
			    FUTEX_BITSET_MATCH_ANY);
	} else {
		for (size_t i = 0; i < n; i++)
			v[i] = (struct waitv){
				.val = sleeps[i].value,
				.uaddr = (uintptr_t)sleeps[i].shm_bell,
				.flags = WAITV_32,
			};
		r = syscall(SYS_futex_waitv, v, (unsigned)n, 0,
			    timeout >= 0 ? &until : NULL, CLOCK_MONOTONIC);
	}
	if (r >= 0 || errno == EAGAIN)
		return 0; /* rung, or it moved before we slept */
	return -errno;
}

int bus_membarrier_register(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0,
		    0) < 0)
		return -ENOSYS;
	return 0;
}

void bus_membarrier(void)
{
	/* Registered at attach, so it cannot fail later; the fence is for
	 * ThreadSanitizer and for a kernel that forbids it after all. */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
	bus_fence_full(); /* [bell:C] pairs [bell:C]: both halves of Dekker */
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

int64_t bus_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int64_t bus_realtime(void)
{
	return clock_ns(CLOCK_REALTIME);
}
