/* SPDX-License-Identifier: MIT */
/* stats.h - quantiles, trimmed means, histograms. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>
#include <stdint.h>

/* Quantiles of exact values */

struct bench_quartiles {
	double p25, median, p75; /* NaN: there were no values */
};

/* Sorts @values. */
struct bench_quartiles bench_quartiles(double *values, size_t n);

/* The quantile @q (0..1) of sorted values, between the two nearest. */
double bench_quantile(const double *sorted, size_t n, double q);

/* Mean without the top @drop (0..1) of the values, which it sorts. */
double bench_trimmed_mean(double *values, size_t n, double drop);

/* Histograms */

/*
 * Log-linear: exact below 256, then 128 steps per power of two, so that a
 * value is at most 0.8 % off. Up to 2^40.
 */
#define BENCH_HIST_SUB 128
#define BENCH_HIST_BUCKETS (34 * BENCH_HIST_SUB)

struct bench_hist {
	uint64_t n;
	uint64_t max;
	uint32_t bucket[BENCH_HIST_BUCKETS];
};

void bench_hist_add(struct bench_hist *hist, uint64_t value);
void bench_hist_merge(struct bench_hist *into, const struct bench_hist *from);

/*
 * The smallest value that @q of the values do not exceed; 1 gives the largest.
 * NaN where that is not known: fewer than 1 / (1 - @q) values.
 */
double bench_hist_quantile(const struct bench_hist *hist, double q);

#endif
