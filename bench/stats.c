/* SPDX-License-Identifier: MIT */
/*
 * stats.c - quantiles, trimmed means, histograms.
 *
 * A slice is a few hundred chunks. Some of them contain what the kernel did
 * meanwhile (an interrupt, another process's time slice of up to 4 ms), which
 * belongs to the tails and not to the mean: so the mean of a slice leaves the
 * slowest tenth of its chunks out, of floor and subject alike. What is left is
 * a mean and not a median, because the counter moves in steps of 10 ns.
 */
#include "stats.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void sort(double *values, size_t n)
{
	if (n) /* qsort() wants an address even then */
		qsort(values, n, sizeof(*values), compare);
}

double bench_quantile(const double *sorted, size_t n, double q)
{
	if (!n)
		return NAN;

	double at = q * (double)(n - 1);
	size_t i = (size_t)at;

	if (i + 1 >= n)
		return sorted[n - 1];
	return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

struct bench_quartiles bench_quartiles(double *values, size_t n)
{
	sort(values, n);
	return (struct bench_quartiles){
		.p25 = bench_quantile(values, n, 0.25),
		.median = bench_quantile(values, n, 0.5),
		.p75 = bench_quantile(values, n, 0.75),
	};
}

double bench_trimmed_mean(double *values, size_t n, double drop)
{
	size_t kept = n - (size_t)((double)n * drop);
	double sum = 0;

	sort(values, n);
	for (size_t i = 0; i < kept; i++)
		sum += values[i];
	return kept ? sum / (double)kept : NAN;
}

/* Values share a bucket if their top eight bits and their width agree. */
static unsigned bucket_of(uint64_t value)
{
	if (value < 2 * BENCH_HIST_SUB)
		return (unsigned)value;

	unsigned shift = 56 - (unsigned)__builtin_clzll(value);

	if (shift > 32)
		return BENCH_HIST_BUCKETS - 1;
	return shift * BENCH_HIST_SUB + (unsigned)(value >> shift);
}

/* The middle of a bucket. */
static double bucket_value(unsigned bucket)
{
	if (bucket < 2 * BENCH_HIST_SUB)
		return bucket;

	unsigned shift = bucket / BENCH_HIST_SUB - 1;
	uint64_t first = (uint64_t)(bucket - shift * BENCH_HIST_SUB) << shift;

	return (double)first + (double)((UINT64_C(1) << shift) - 1) / 2;
}

void bench_hist_add(struct bench_hist *hist, uint64_t value)
{
	hist->n++;
	hist->bucket[bucket_of(value)]++;
	if (value > hist->max)
		hist->max = value;
}

void bench_hist_merge(struct bench_hist *into, const struct bench_hist *from)
{
	into->n += from->n;
	if (from->max > into->max)
		into->max = from->max;
	for (unsigned i = 0; i < BENCH_HIST_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
}

double bench_hist_quantile(const struct bench_hist *hist, double q)
{
	double beyond = (double)hist->n * (1 - q);
	uint64_t sum = 0;

	if (!hist->n)
		return NAN;
	if (q >= 1)
		return (double)hist->max;
	if (beyond < 1 - 1e-9)
		return NAN;
	for (unsigned i = 0; i < BENCH_HIST_BUCKETS; i++) {
		sum += hist->bucket[i];
		if ((double)sum >= q * (double)hist->n)
			return fmin(bucket_value(i), (double)hist->max);
	}
	return (double)hist->max;
}
