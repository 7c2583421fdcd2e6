/* SPDX-License-Identifier: MIT */
/* throughput.c - records per second, from one producer to one consumer. */
#include "bench.h"

#define ROW(size, n, which, against, goal)                                     \
	{                                                                      \
		.subject = &bench_stream, .floor = &(against),                 \
		.target = (goal),                                              \
		.params = { .bytes = (size),                                   \
			    .batch = (n),                                      \
			    .producers = 1,                                    \
			    .consumers = 1,                                    \
			    .ring_bytes = BENCH_RING_BYTES,                    \
			    .storage = "memory",                               \
			    .path = (which),                                   \
			    .wait = "spin" },                                  \
	}

static const struct bench_row rows[] = {
	ROW(32, 1, "one", bench_floor_ring, 0.8),
	ROW(32, 1, "many", bench_floor_ring, 0),
	ROW(32, 64, "one", bench_single, 3),
	ROW(32, 64, "many", bench_single, 3),
	ROW(256, 1, "one", bench_floor_ring, 0.8),
	ROW(256, 1, "many", bench_floor_ring, 0.8),
};

const struct bench bench_throughput = {
	.name = "throughput",
	.what = "records per second, one producer, one consumer that blocks",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.metric = BENCH_RATE,
	.chunk = 1024,
	.guess = 20,
};
