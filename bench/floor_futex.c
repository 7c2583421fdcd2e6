/* SPDX-License-Identifier: MIT */
/*
 * floor_futex.c - futex: there and back between two processes that sleep.
 *
 * A side stores a number into its word, wakes whoever sleeps there, and sleeps
 * on the other's word at once: two wakes and two sleeps, the least that a bus
 * with sleeping consumers can do. Before each trip A lets B fall asleep. Else
 * both may meet in the kernel, each awake because the other came too early to
 * find it asleep, in trips of less than 1 us, and stay so.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

struct words {
	_Alignas(2 * BENCH_LINE) uint32_t word[2][2 * BENCH_LINE / 4];
};

static int futex_prepare(struct bench_part *part)
{
	return bench_share(part, sizeof(struct words));
}

static void put(uint32_t *shm_word, uint32_t value)
{
	bench_store(shm_word, value);
	syscall(SYS_futex, shm_word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void take(uint32_t *shm_word, uint32_t value)
{
	uint32_t seen;

	while ((seen = bench_load(shm_word)) != value)
		syscall(SYS_futex, shm_word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static int futex_slice(struct bench_part *part, enum bench_side side,
		       uint64_t ops)
{
	struct words *words = part->shared;
	uint32_t *mine = words->word[side], *peer = words->word[!side];
	uint32_t last = *mine;

	for (uint64_t i = 0; i < ops; i++) {
		last++;
		if (side == BENCH_B) {
			take(peer, last);
			put(mine, last);
			continue;
		}
		bench_settle(part);
		put(mine, last);
		take(peer, last);
		bench_lap(&part->watch);
	}
	return 0;
}

const struct bench_subject bench_floor_futex = {
	.name = "futex",
	.prepare = futex_prepare,
	.slice = futex_slice,
};
