/* SPDX-License-Identifier: MIT */
/* report.c - the numbers as a table for people and as JSON, on stdout. */
#include "report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static const char *const scopes[] = { "near", "far", "all" };

void bench_row_name(const struct bench *bench, const struct bench_row *row,
		    char name[BENCH_NAME_SIZE])
{
	const struct bench_params *p = &row->params;

	if (p->bytes)
		snprintf(name, BENCH_NAME_SIZE, "%s/%" PRIu32 "x%" PRIu32 "/%s",
			 bench->name, p->bytes, p->batch, p->path);
	else
		snprintf(name, BENCH_NAME_SIZE, "%s/%s", bench->name,
			 row->subject->name);
}

/* ---- The machine ------------------------------------------------------------ */

/* What follows @key in the first line of a file that begins with it. */
static void find_line(const char *path, const char *key, char ret[128])
{
	FILE *f = fopen(path, "re");
	char line[512];

	strcpy(ret, "unknown");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		const char *from = line + strlen(key);

		if (strncmp(line, key, strlen(key)))
			continue;
		from += strspn(from, "\t :");
		snprintf(ret, 128, "%.*s", (int)strcspn(from, "\n"), from);
		break;
	}
	fclose(f);
}

void bench_report_head(const struct bench_options *options)
{
	char model[128], governor[128], huge[128];
	struct utsname system = { 0 };

	uname(&system);
	find_line("/proc/cpuinfo", "model name", model);
	find_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "",
		  governor);
	find_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "",
		  huge);
	printf("%s, %ld cores, Linux %s, governor %s\n", model,
	       sysconf(_SC_NPROCESSORS_ONLN), system.release, governor);
	printf("huge pages for shared memory: %s\n", huge);
	printf("both sides pinned, cores %d and %d; slices of %g ms, %g s a row\n",
	       options->core[0], options->core[1], options->slice_ms,
	       options->seconds);
	printf("near, far: a line there and back in 105 to 250, > 300 ns\n");
}

/* ---- Table ------------------------------------------------------------------- */

struct text {
	char s[24];
};

/* 123 ns, 12.3 us, 1.23 ms; 123 M/s */
static struct text show(const char *unit, double v)
{
	static const char *const times[] = { "ns", "us", "ms", "s" };
	struct text t = { "-" };
	unsigned i = 0;

	if (isnan(v))
		return t;
	if (!strcmp(unit, "1/s")) {
		snprintf(t.s, sizeof(t.s), "%.4g M/s", v / 1e6);
		return t;
	}
	for (; v >= 9999.5 && i < 3; i++)
		v /= 1000;
	snprintf(t.s, sizeof(t.s), v < 999.5 ? "%.4g %s" : "%.0f %s", v,
		 times[i]);
	return t;
}

static struct text show_ratio(double v)
{
	struct text t = { "-" };

	if (!isnan(v))
		snprintf(t.s, sizeof(t.s), "%.2f", v);
	return t;
}

/* The target, and whether the medians meet it. */
static void print_verdict(const struct bench *bench,
			  const struct bench_row *row,
			  const struct bench_line *line)
{
	bool rate = bench->metric == BENCH_RATE;
	double v = line->floor ? line->ratio.median : line->value.median;
	bool met = rate ? v >= row->target : v <= row->target;
	const char *verdict = isnan(v) ? "too few" : met ? "met" : "missed";

	if (row->target <= 0)
		return;
	printf("  %s %s %s", rate ? ">=" : "<=",
	       line->floor ? show_ratio(row->target).s :
			     show(line->unit, row->target).s,
	       verdict);
}

static void print_line(const struct bench *bench, const struct bench_row *row,
		       const struct bench_line *line)
{
	printf("  %-6s %5u %11s %11s %11s", scopes[line->scope], line->n,
	       show(line->unit, line->value.p25).s,
	       show(line->unit, line->value.median).s,
	       show(line->unit, line->value.p75).s);
	if (line->floor)
		printf(" %11s %6s %6s %6s",
		       show(line->unit, line->floor_median).s,
		       show_ratio(line->ratio.p25).s,
		       show_ratio(line->ratio.median).s,
		       show_ratio(line->ratio.p75).s);
	print_verdict(bench, row, line);
	putchar('\n');
}

static void print_percentile(const struct bench_line *line)
{
	if (!strcmp(line->metric, "p50"))
		printf("               ");
	printf(" %s %s", line->metric, show(line->unit, line->value.median).s);
	if (!isnan(line->ratio.median))
		printf(" (%sx)", show_ratio(line->ratio.median).s);
	fputs(strcmp(line->metric, "max") ? "," : "\n", stdout);
}

void bench_report_table(const struct bench *bench, const struct bench_row *row,
			const struct bench_line *lines, size_t n)
{
	const char *floor = row->floor ? row->floor->name : "";
	char name[BENCH_NAME_SIZE];

	bench_row_name(bench, row, name);
	printf("\n%s\n  %-6s %5s %11s %11s %11s %11s%s\n", name, "place", "n",
	       "p25", "median", "p75", floor,
	       row->floor ? "  ratio: p25 median p75" : "");
	for (size_t i = 0; i < n; i++) {
		const struct bench_line *line = &lines[i];

		if (!line->n || strcmp(line->subject, row->subject->name))
			continue;
		if (!strcmp(line->metric, "mean") ||
		    !strcmp(line->metric, "rate"))
			print_line(bench, row, line);
		else
			print_percentile(line);
	}
	fflush(stdout);
}

/* ---- JSON -------------------------------------------------------------------- */

static void put_number(const char *key, double v)
{
	if (isnan(v))
		printf(",\"%s\":null", key);
	else
		printf(",\"%s\":%.6g", key, v);
}

/* Texts here are names from our own tables: nothing to escape. */
static void put_params(const struct bench_params *p)
{
	printf(",\"params\":{\"bytes\":%" PRIu32 ",\"batch\":%" PRIu32
	       ",\"producers\":%" PRIu32 ",\"consumers\":%" PRIu32
	       ",\"ring_bytes\":%" PRIu64 ",\"storage\":\"%s\""
	       ",\"path\":\"%s\",\"rate\":%" PRIu64 ",\"wait\":\"%s\"}",
	       p->bytes, p->batch, p->producers, p->consumers, p->ring_bytes,
	       p->storage, p->path, p->rate, p->wait);
}

static void put_line(const struct bench_line *line)
{
	printf("{\"bench\":\"%s\",\"subject\":\"%s\"", line->bench,
	       line->subject);
	put_params(&line->params);
	printf(",\"placement\":\"%s\",\"n\":%u,\"metric\":\"%s\""
	       ",\"unit\":\"%s\"",
	       scopes[line->scope], line->n, line->metric, line->unit);
	put_number("p25", line->value.p25);
	put_number("median", line->value.median);
	put_number("p75", line->value.p75);
	if (line->floor)
		printf(",\"floor\":\"%s\"", line->floor);
	else
		printf(",\"floor\":null");
	put_number("floor_median", line->floor_median);
	put_number("ratio_p25", line->ratio.p25);
	put_number("ratio_median", line->ratio.median);
	put_number("ratio_p75", line->ratio.p75);
	putchar('}');
}

void bench_report_json(const struct bench_line *lines, size_t n,
		       size_t n_before)
{
	for (size_t i = 0; i < n; i++) {
		fputs(n_before + i ? ",\n" : "", stdout);
		put_line(&lines[i]);
	}
}
