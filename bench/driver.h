/* SPDX-License-Identifier: MIT */
/* driver.h - runs the slices of a row and says what each took. */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include <signal.h>

#include "bench.h"
#include "stats.h"

#define BENCH_STRETCHES_MAX 64
#define BENCH_SLICES_MAX 8192

enum bench_place { BENCH_NEAR, BENCH_FAR, BENCH_MIXED, BENCH_PLACES };

struct bench_options {
	const char *dir;	/* of the instance */
	pid_t daemon;		/* its pid, if it is ours to watch; else 0 */
	int core[2];
	double seconds;		/* of a row */
	unsigned slices;	/* of the subject in a row: no more; 0: any */
	double slice_ms;
	bool progress;		/* on stderr */
};

/* One slice. Those that follow each other in time do so in the array. */
struct bench_slice {
	double mean;		/* ns, trimmed */
	uint8_t part;		/* 0 floor, 1 subject */
	uint8_t timed;		/* each operation was timed: for percentiles */
	uint8_t place;		/* enum bench_place */
	uint8_t stretch;
};

/* Filled in by side A, in memory that the parent shares. */
struct bench_result {
	uint32_t n_slices;
	uint32_t n_stretches;
	struct bench_slice slice[BENCH_SLICES_MAX];
	struct bench_hist hist[BENCH_STRETCHES_MAX][2][BENCH_PLACES];
};

/* Shared memory for a result, empty; NULL if there is none. */
struct bench_result *bench_result_new(void);
struct bench_result *bench_result_free(struct bench_result *result);

/* Block the signals that the driver waits for; @old is for busd. */
void bench_signals_block(sigset_t *old);

/*
 * Run a row. Return: 0; -EINTR if the user ended it; -ECANCELED after a
 * message on stderr.
 */
int bench_run(const struct bench *bench, const struct bench_row *row,
	      const struct bench_options *options, struct bench_result *ret);

#endif
