/* SPDX-License-Identifier: MIT */
/* summary.h - from slices to the numbers that are shown. */
#ifndef BENCH_SUMMARY_H
#define BENCH_SUMMARY_H

#include "driver.h"

#define BENCH_RATIO_MIN 30	/* slices, below which there is no ratio */

enum bench_scope { BENCH_IN_NEAR, BENCH_IN_FAR, BENCH_IN_ALL, BENCH_SCOPES };

/* A line of the table, an object of the JSON. NaN: not known. */
struct bench_line {
	const char *bench;
	const char *subject;
	struct bench_params params;
	enum bench_scope scope;
	unsigned n;		/* slices */
	const char *metric;
	const char *unit;
	struct bench_quartiles value;
	const char *floor;	/* NULL: none */
	double floor_median;
	struct bench_quartiles ratio;
};

/* A floor and a subject, three scopes, a mean and six percentiles. */
#define BENCH_LINES_MAX (2 * BENCH_SCOPES * 7)

/* Return: how many lines were written. */
size_t bench_summarize(const struct bench *bench, const struct bench_row *row,
		       const struct bench_result *result,
		       struct bench_line ret[BENCH_LINES_MAX]);

#endif
