/* SPDX-License-Identifier: MIT */
/* report.h - the numbers as a table for people and as JSON. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "summary.h"

#define BENCH_NAME_SIZE 64

/* What a row is called: "rtt/32x1/one", "attach/producer-first". */
void bench_row_name(const struct bench *bench, const struct bench_row *row,
		    char name[BENCH_NAME_SIZE]);

/* The machine, and how it was measured: before the first row. */
void bench_report_head(const struct bench_options *options);

void bench_report_table(const struct bench *bench, const struct bench_row *row,
			const struct bench_line *lines, size_t n);

/* Objects of an array; @n_before: how many stand in it already. */
void bench_report_json(const struct bench_line *lines, size_t n,
		       size_t n_before);

#endif
