/* SPDX-License-Identifier: MIT */
/*
 * summary.c - from slices to the numbers that are shown.
 *
 * Means and rates. A slice of the subject is held against the mean of the
 * floor's slices right before and after it, as far as they were in the same
 * placement; without such a neighbour it does not count. What is shown are the
 * quartiles of the slices, and those of the ratios.
 *
 * Percentiles. A slice has too few operations for a p99.99, so all operations
 * of one placement in one stretch are taken together, of floor and subject
 * alike, and the quartiles are those of the stretches. `max` is likewise that
 * of a stretch. What a stretch has too few operations for is not known.
 */
#include "summary.h"

#include <math.h>
#include <string.h>

struct context {
	const struct bench *bench;
	const struct bench_row *row;
	const struct bench_result *result;
	enum bench_scope scope;
};

static const struct percentile {
	const char *name;
	double q;
} percentiles[] = {
	{ "p50", 0.5 },	    { "p90", 0.9 },	  { "p99", 0.99 },
	{ "p99.9", 0.999 }, { "p99.99", 0.9999 }, { "max", 1 },
};

static bool in_scope(const struct context *c, enum bench_place place)
{
	switch (c->scope) {
	case BENCH_IN_NEAR:
		return place == BENCH_NEAR;
	case BENCH_IN_FAR:
		return place == BENCH_FAR;
	default:
		return place != BENCH_MIXED || c->bench->idles;
	}
}

/* ---- Means and rates ------------------------------------------------------ */

static double slice_value(const struct context *c,
			  const struct bench_slice *slice)
{
	return c->bench->metric == BENCH_RATE ? 1e9 / slice->mean : slice->mean;
}

static bool is_neighbour(const struct context *c, const struct bench_slice *s,
			 const struct bench_slice *other)
{
	bool same_place = other->place == s->place ||
			  (c->scope == BENCH_IN_ALL && c->bench->idles);

	return other->part == 0 && other->timed == s->timed &&
	       other->stretch == s->stretch && same_place;
}

/* The floor around a slice of the subject. */
static double floor_around(const struct context *c, uint32_t i)
{
	const struct bench_slice *slice = c->result->slice;
	double sum = 0;
	int n = 0;

	if (i > 0 && is_neighbour(c, &slice[i], &slice[i - 1])) {
		sum += slice_value(c, &slice[i - 1]);
		n++;
	}
	if (i + 1 < c->result->n_slices &&
	    is_neighbour(c, &slice[i], &slice[i + 1])) {
		sum += slice_value(c, &slice[i + 1]);
		n++;
	}
	return n ? sum / n : NAN;
}

/* Every slice of a part that counts in this scope, and its ratio. */
static void mean_line(const struct context *c, unsigned part,
		      struct bench_line *line)
{
	static double value[BENCH_SLICES_MAX], floor[BENCH_SLICES_MAX],
		ratio[BENCH_SLICES_MAX];
	unsigned n = 0;

	for (uint32_t i = 0; i < c->result->n_slices; i++) {
		const struct bench_slice *slice = &c->result->slice[i];

		if (slice->part != part || slice->timed ||
		    !in_scope(c, slice->place))
			continue;
		value[n] = slice_value(c, slice);
		if (line->floor) {
			floor[n] = floor_around(c, i);
			ratio[n] = value[n] / floor[n];
			if (isnan(floor[n]))
				continue;
		}
		n++;
	}
	line->n = n;
	line->value = bench_quartiles(value, n);
	if (!line->floor)
		return;
	line->floor_median = bench_quartiles(floor, n).median;
	line->ratio = bench_quartiles(ratio, n);
}

/* ---- Percentiles ---------------------------------------------------------- */

static double stretch_quantile(const struct context *c, unsigned stretch,
			       unsigned part, double q)
{
	struct bench_hist hist = { 0 };

	for (unsigned place = 0; place < BENCH_PLACES; place++)
		if (in_scope(c, (enum bench_place)place))
			bench_hist_merge(
				&hist, &c->result->hist[stretch][part][place]);
	return bench_hist_quantile(&hist, q);
}

static unsigned count_timed(const struct context *c, unsigned part)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < c->result->n_slices; i++) {
		const struct bench_slice *slice = &c->result->slice[i];

		if (slice->part == part && in_scope(c, slice->place) &&
		    (slice->timed || c->bench->chunk == 1))
			n++;
	}
	return n;
}

static void percentile_line(const struct context *c, unsigned part, double q,
			    struct bench_line *line)
{
	double value[BENCH_STRETCHES_MAX], floor[BENCH_STRETCHES_MAX],
		ratio[BENCH_STRETCHES_MAX];
	unsigned n = 0, n_floor = 0;

	for (unsigned i = 0; i < c->result->n_stretches; i++) {
		double v = stretch_quantile(c, i, part, q);
		double f = line->floor ? stretch_quantile(c, i, 0, q) : NAN;

		if (isnan(v))
			continue;
		value[n++] = v;
		if (isnan(f))
			continue;
		floor[n_floor] = f;
		ratio[n_floor++] = v / f;
	}
	line->n = count_timed(c, part);
	line->value = bench_quartiles(value, n);
	line->floor_median = bench_quartiles(floor, n_floor).median;
	line->ratio = bench_quartiles(ratio, n_floor);
}

/* ---- Lines ---------------------------------------------------------------- */

static const struct bench_quartiles unknown = { NAN, NAN, NAN };

static struct bench_line new_line(const struct context *c, unsigned part)
{
	const struct bench_row *row = c->row;
	const struct bench_subject *subject = part ? row->subject : row->floor;
	struct bench_line line = {
		.bench = c->bench->name,
		.subject = subject->name,
		.params = row->params,
		.scope = c->scope,
		.metric = "mean",
		.unit = "ns",
		.value = unknown,
		.floor = part && row->floor ? row->floor->name : NULL,
		.floor_median = NAN,
		.ratio = unknown,
	};

	if (subject->batch)
		line.params.batch = subject->batch;
	return line;
}

static void hide_ratio(struct bench_line *line)
{
	if (line->n < BENCH_RATIO_MIN)
		line->ratio = unknown;
}

static size_t part_lines(const struct context *c, unsigned part,
			 struct bench_line *ret)
{
	size_t n = 0;

	ret[n] = new_line(c, part);
	if (c->bench->metric == BENCH_RATE) {
		ret[n].metric = "rate";
		ret[n].unit = "1/s";
	}
	mean_line(c, part, &ret[n]);
	hide_ratio(&ret[n++]);
	if (c->bench->metric == BENCH_RATE)
		return n;
	for (size_t i = 0; i < sizeof(percentiles) / sizeof(*percentiles);
	     i++) {
		ret[n] = new_line(c, part);
		ret[n].metric = percentiles[i].name;
		percentile_line(c, part, percentiles[i].q, &ret[n]);
		hide_ratio(&ret[n++]);
	}
	return n;
}

size_t bench_summarize(const struct bench *bench, const struct bench_row *row,
		       const struct bench_result *result,
		       struct bench_line ret[BENCH_LINES_MAX])
{
	struct context c = { .bench = bench, .row = row, .result = result };
	size_t n = 0;

	for (unsigned part = row->floor ? 0 : 1; part < 2; part++)
		for (c.scope = 0; c.scope < BENCH_SCOPES; c.scope++)
			n += part_lines(&c, part, ret + n);
	return n;
}
