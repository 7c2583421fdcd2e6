/* SPDX-License-Identifier: MIT */
/* wake.c - the round trip of a record to a consumer that is asleep. */
#include "bench.h"

#define ROW(which, n)                                                          \
	{                                                                      \
		.subject = &bench_echo, .floor = &bench_floor_futex,           \
		.target = 1.1,                                                 \
		.params = { .bytes = 32,                                       \
			    .batch = 1,                                        \
			    .producers = (n),                                  \
			    .consumers = 1,                                    \
			    .ring_bytes = BENCH_RING_BYTES,                    \
			    .storage = "memory",                               \
			    .path = (which),                                   \
			    .wait = "sleep" },                                 \
	}

static const struct bench_row rows[] = { ROW("many", 1), ROW("one", 1) };

const struct bench bench_wake = {
	.name = "wake",
	.what = "round trip over two topics, both consumers asleep",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.metric = BENCH_TIME,
	.chunk = 1,
	.guess = 50000,
	.idles = true,
};
