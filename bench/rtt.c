/* SPDX-License-Identifier: MIT */
/* rtt.c - the round trip of a record, both sides spinning. */
#include "bench.h"

#define ROW(size, which, n, goal)                                              \
	{                                                                      \
		.subject = &bench_echo, .floor = &bench_floor_line,            \
		.target = (goal),                                              \
		.params = { .bytes = (size),                                   \
			    .batch = 1,                                        \
			    .producers = (n),                                  \
			    .consumers = 1,                                    \
			    .ring_bytes = BENCH_RING_BYTES,                    \
			    .storage = "memory",                               \
			    .path = (which),                                   \
			    .wait = "spin" },                                  \
	}

static const struct bench_row rows[] = {
	ROW(8, "one", 1, 1.2),	  ROW(32, "one", 1, 1.2),
	ROW(256, "one", 1, 1.2),  ROW(8, "many", 2, 1.35),
	ROW(32, "many", 2, 1.35), ROW(256, "many", 2, 1.35),
};

const struct bench bench_rtt = {
	.name = "rtt",
	.what = "round trip over two topics, both sides spinning",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.metric = BENCH_TIME,
	.chunk = 64,
	.guess = 300,
};
