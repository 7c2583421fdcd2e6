/* SPDX-License-Identifier: MIT */
/* test_stats.c - the arithmetic that bus bench judges by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/stats.h"
#include "bench/summary.h"

static void near(double a, double b, double relative)
{
	if (fabs(a - b) > relative * fabs(b))
		fail_msg("%g is not %g", a, b);
}

/* ---- Quantiles ------------------------------------------------------------- */

static void quartiles_of_nothing_are_not_known(void **state)
{
	struct bench_quartiles q = bench_quartiles(NULL, 0);

	(void)state;
	assert_true(isnan(q.p25) && isnan(q.median) && isnan(q.p75));
}

static void quartiles_of_one_value_are_that_value(void **state)
{
	double v = 7;
	struct bench_quartiles q = bench_quartiles(&v, 1);

	(void)state;
	assert_true(q.p25 == 7 && q.median == 7 && q.p75 == 7);
}

static void quartiles_do_not_depend_on_the_order(void **state)
{
	double v[] = { 5, 1, 4, 2, 3 };
	struct bench_quartiles q = bench_quartiles(v, 5);

	(void)state;
	assert_true(q.p25 == 2 && q.median == 3 && q.p75 == 4);
}

static void quantile_lies_between_its_neighbours(void **state)
{
	const double v[] = { 10, 20 };

	(void)state;
	near(bench_quantile(v, 2, 0.5), 15, 1e-12);
	near(bench_quantile(v, 2, 0.25), 12.5, 1e-12);
	near(bench_quantile(v, 2, 0), 10, 1e-12);
	near(bench_quantile(v, 2, 1), 20, 1e-12);
}

/* ---- Trimmed means ---------------------------------------------------------- */

static void trimming_drops_the_largest_only(void **state)
{
	double v[] = { 1e9, 1, 2, 3, 4, 5, 6, 7, 8, 9 };

	(void)state;
	near(bench_trimmed_mean(v, 10, 0.1), 5, 1e-12);
}

static void trimming_keeps_all_of_a_few(void **state)
{
	double v[] = { 1, 2, 9 };

	(void)state;
	near(bench_trimmed_mean(v, 3, 0.1), 4, 1e-12);
	assert_true(isnan(bench_trimmed_mean(v, 0, 0.1)));
}

/* ---- Histograms -------------------------------------------------------------- */

static void small_values_are_exact(void **state)
{
	struct bench_hist *h = calloc(1, sizeof(*h));

	(void)state;
	assert_non_null(h);
	for (uint64_t i = 1; i <= 200; i++)
		bench_hist_add(h, i);
	assert_true(bench_hist_quantile(h, 0.5) == 100);
	assert_true(bench_hist_quantile(h, 0.9) == 180);
	assert_true(bench_hist_quantile(h, 0.99) == 198);
	assert_true(bench_hist_quantile(h, 1) == 200);
	free(h);
}

static void every_value_is_found_within_a_percent(void **state)
{
	struct bench_hist *h = calloc(1, sizeof(*h));

	(void)state;
	assert_non_null(h);
	for (uint64_t v = 1; v < UINT64_C(1) << 40; v += v / 100 + 1) {
		memset(h, 0, sizeof(*h));
		bench_hist_add(h, v);
		bench_hist_add(h, v);
		h->max = UINT64_MAX; /* it would correct what is too large */
		near(bench_hist_quantile(h, 0.5), (double)v, 0.008);
	}
	free(h);
}

static void what_is_too_large_goes_to_the_last_bucket(void **state)
{
	struct bench_hist *h = calloc(1, sizeof(*h));

	(void)state;
	assert_non_null(h);
	bench_hist_add(h, UINT64_MAX);
	assert_int_equal(h->bucket[BENCH_HIST_BUCKETS - 1], 1);
	assert_true(bench_hist_quantile(h, 1) == (double)UINT64_MAX);
	free(h);
}

static void a_quantile_of_too_few_values_is_not_known(void **state)
{
	struct bench_hist *h = calloc(1, sizeof(*h));

	(void)state;
	assert_non_null(h);
	assert_true(isnan(bench_hist_quantile(h, 0.5)));
	for (int i = 0; i < 99; i++)
		bench_hist_add(h, 1);
	assert_true(isnan(bench_hist_quantile(h, 0.99)));
	bench_hist_add(h, 1);
	assert_true(bench_hist_quantile(h, 0.99) == 1);
	free(h);
}

static void merged_histograms_count_as_one(void **state)
{
	struct bench_hist *a = calloc(1, sizeof(*a));
	struct bench_hist *b = calloc(1, sizeof(*b));

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	for (uint64_t i = 1; i <= 50; i++) {
		bench_hist_add(a, i);
		bench_hist_add(b, 50 + i);
	}
	bench_hist_merge(a, b);
	assert_int_equal(a->n, 100);
	assert_int_equal(a->max, 100);
	assert_true(bench_hist_quantile(a, 0.9) == 90);
	free(a);
	free(b);
}

/* ---- Slices ------------------------------------------------------------------- */

static const struct bench_subject floor_subject = { .name = "floor" };
static const struct bench_subject subject = { .name = "subject" };
static const struct bench_row row = { .subject = &subject,
				      .floor = &floor_subject };
static const struct bench spinning = { .name = "spinning",
				       .rows = &row,
				       .n_rows = 1,
				       .metric = BENCH_TIME,
				       .chunk = 64 };

static void put(struct bench_result *r, unsigned part, double mean,
		enum bench_place place)
{
	r->slice[r->n_slices++] =
		(struct bench_slice){ .mean = mean,
				      .part = (uint8_t)part,
				      .place = (uint8_t)place };
	r->n_stretches = 1;
}

static struct bench_line find(const struct bench_result *r,
			      enum bench_scope scope)
{
	struct bench_line lines[BENCH_LINES_MAX];
	size_t n = bench_summarize(&spinning, &row, r, lines);

	assert_int_equal(n, BENCH_LINES_MAX);
	for (size_t i = 0; i < n; i++)
		if (lines[i].scope == scope &&
		    !strcmp(lines[i].subject, "subject") &&
		    !strcmp(lines[i].metric, "mean"))
			return lines[i];
	fail_msg("no such line");
	return lines[0];
}

static void a_slice_is_held_against_its_neighbours(void **state)
{
	struct bench_result *r = bench_result_new();
	struct bench_line line;

	(void)state;
	assert_non_null(r);
	for (int i = 0; i < 40; i++) {
		put(r, 0, 100, BENCH_NEAR);
		put(r, 1, 240, BENCH_NEAR);
		put(r, 0, 140, BENCH_NEAR);
		put(r, 1, 240, BENCH_NEAR);
	}
	line = find(r, BENCH_IN_NEAR);
	assert_int_equal(line.n, 80);
	near(line.floor_median, 120, 0.001);
	near(line.ratio.median, 2, 0.001);
	assert_int_equal(find(r, BENCH_IN_FAR).n, 0);
	assert_int_equal(find(r, BENCH_IN_ALL).n, 80);
	bench_result_free(r);
}

static void a_neighbour_elsewhere_does_not_count(void **state)
{
	struct bench_result *r = bench_result_new();

	(void)state;
	assert_non_null(r);
	for (int i = 0; i < 40; i++) {
		put(r, 0, 100, BENCH_NEAR);
		put(r, 1, 200, BENCH_NEAR);
		put(r, 0, 500, BENCH_FAR);
		put(r, 1, 999, BENCH_NEAR); /* only far ones beside it */
		put(r, 0, 500, BENCH_FAR);
		put(r, 1, 1000, BENCH_FAR);
		put(r, 0, 300, BENCH_MIXED);
		put(r, 1, 300, BENCH_MIXED);
	}
	assert_int_equal(find(r, BENCH_IN_NEAR).n, 40);
	near(find(r, BENCH_IN_NEAR).ratio.p75, 2, 0.001);
	near(find(r, BENCH_IN_FAR).ratio.p25, 2, 0.001);
	assert_int_equal(find(r, BENCH_IN_ALL).n, 80);
	bench_result_free(r);
}

static void there_is_no_ratio_of_few_slices(void **state)
{
	struct bench_result *r = bench_result_new();
	struct bench_line line;

	(void)state;
	assert_non_null(r);
	for (int i = 0; i < BENCH_RATIO_MIN - 1; i++) {
		put(r, 0, 100, BENCH_NEAR);
		put(r, 1, 200, BENCH_NEAR);
	}
	line = find(r, BENCH_IN_NEAR);
	assert_int_equal(line.n, BENCH_RATIO_MIN - 1);
	assert_true(isnan(line.ratio.median));
	near(line.value.median, 200, 0.001);
	put(r, 0, 100, BENCH_NEAR);
	put(r, 1, 200, BENCH_NEAR);
	near(find(r, BENCH_IN_NEAR).ratio.median, 2, 0.001);
	bench_result_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quartiles_of_nothing_are_not_known),
		cmocka_unit_test(quartiles_of_one_value_are_that_value),
		cmocka_unit_test(quartiles_do_not_depend_on_the_order),
		cmocka_unit_test(quantile_lies_between_its_neighbours),
		cmocka_unit_test(trimming_drops_the_largest_only),
		cmocka_unit_test(trimming_keeps_all_of_a_few),
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(every_value_is_found_within_a_percent),
		cmocka_unit_test(what_is_too_large_goes_to_the_last_bucket),
		cmocka_unit_test(a_quantile_of_too_few_values_is_not_known),
		cmocka_unit_test(merged_histograms_count_as_one),
		cmocka_unit_test(a_slice_is_held_against_its_neighbours),
		cmocka_unit_test(a_neighbour_elsewhere_does_not_count),
		cmocka_unit_test(there_is_no_ratio_of_few_slices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
