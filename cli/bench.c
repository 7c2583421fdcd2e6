/* SPDX-License-Identifier: MIT */
/*
 * bench.c - bus bench: measure this machine and this bus.
 *
 * The benches themselves are in bench/; here is the command line.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "bench/instance.h"
#include "bench/report.h"
#include "bench/subject.h"
#include "cli.h"
#include "report.h"

static const struct bench *const benches[] = {
	&bench_rtt,
	&bench_throughput,
	&bench_wake,
	&bench_attach,
};
#define N_BENCHES (sizeof(benches) / sizeof(benches[0]))

enum { LIST = CLI_JSON + 1, SECONDS, SLICES, SLICE_MS, CORES };

static const struct cli_usage usage = {
	.name = "bench",
	.words = "[ROW]...",
	.max = -1,
	.about =
		"Measure the bus against what the hardware gives, its floors: slices of both\n"
		"alternate inside one pair of processes, pinned to two cores that they keep\n"
		"busy. Runs against a private busd that ends with it, unless --dir is given.\n"
		"ROW is the beginning of the names that --list shows; without one, all run.\n"
		"The ratio is subject / floor, slice by slice. Slices are told apart by how\n"
		"far the two cores are (near, far); with fewer than 30 there is no ratio.\n",
	.options =
		(const struct cli_option[]){
			{ CLI_JSON, "json", NULL,
			  "print a JSON array, not a table" },
			{ LIST, "list", NULL,
			  "print the names of the rows and end" },
			{ SECONDS, "seconds", "S", "of each row (4)" },
			{ SLICES, "slices", "N",
			  "end a row early after N slices of the subject" },
			{ SLICE_MS, "slice-ms", "MS", "length of a slice (4)" },
			{ CORES, "cores", "A,B",
			  "where to run (the first two)" },
			{ 0 } },
	.examples = "  bus bench\n"
		    "  bus bench rtt throughput/32x64\n"
		    "  bus bench --seconds 20 rtt/32x1/one\n"
		    "  bus bench --json >bench.json\n",
};

struct run {
	struct bench_options options;
	struct bench_result *result;
	bool json;
	size_t n_lines;
};

/* ---- Options ---------------------------------------------------------------- */

static double positive(const struct cli_args *args)
{
	char *end;
	double v = strtod(args->value, &end);

	if (end == args->value || *end || !(v > 0 && v <= 1e6))
		cli_args_wrong(args, "--%s: '%s' is not a number above 0",
			       args->option->name, args->value);
	return v;
}

static void parse_cores(const struct cli_args *args, int core[2])
{
	char end;

	if (sscanf(args->value, "%d,%d%c", &core[0], &core[1], &end) != 2 ||
	    core[0] == core[1] || core[0] < 0 || core[1] < 0 ||
	    core[0] >= CPU_SETSIZE || core[1] >= CPU_SETSIZE)
		cli_args_wrong(args,
			       "--cores: '%s' is not two cores, as in 0,1",
			       args->value);
}

/* The first two cores that this process may run on. */
static int find_cores(int core[2])
{
	cpu_set_t set;
	int n = 0;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET((size_t)i, &set))
			core[n++] = i;
	if (n == 2)
		return CLI_OK;
	cli_error("bench needs two cores, and may run on %d", n);
	cli_hint("give this process more of them: taskset, cgroup cpuset");
	return CLI_ERROR;
}

static void list(void)
{
	char name[BENCH_NAME_SIZE];

	for (size_t i = 0; i < N_BENCHES; i++)
		for (size_t j = 0; j < benches[i]->n_rows; j++) {
			bench_row_name(benches[i], &benches[i]->rows[j], name);
			printf("%-26s %s\n", name, benches[i]->what);
		}
}

/* Whether one of the words is the beginning of a row's name. */
static bool is_asked(const struct bench *bench, const struct bench_row *row,
		     char **words, int n)
{
	char name[BENCH_NAME_SIZE];

	bench_row_name(bench, row, name);
	for (int i = 0; i < n; i++)
		if (!strncmp(name, words[i], strlen(words[i])))
			return true;
	return n == 0;
}

static void check_words(const struct cli_args *args)
{
	for (int i = 0; i < args->n_words; i++) {
		bool found = false;

		for (size_t j = 0; j < N_BENCHES; j++)
			for (size_t k = 0; k < benches[j]->n_rows; k++)
				found |= is_asked(benches[j],
						  &benches[j]->rows[k],
						  &args->words[i], 1);
		if (!found)
			cli_args_wrong(args, "no such row: '%s'; see --list",
				       args->words[i]);
	}
}

/* ---- Running ------------------------------------------------------------------ */

static int run_row(struct run *run, const struct bench *bench,
		   const struct bench_row *row)
{
	struct bench_line lines[BENCH_LINES_MAX];
	size_t n;
	int r;

	run->result = bench_result_free(run->result);
	run->result = bench_result_new();
	if (!run->result)
		return bench_fail(BUS_ENOMEM, "no memory for the result");
	r = bench_run(bench, row, &run->options, run->result);
	if (!r || !run->options.daemon)
		r = bench_sweep(run->options.dir, getpid()) ?: r;
	if (r)
		return r;
	n = bench_summarize(bench, row, run->result, lines);
	if (run->json)
		bench_report_json(lines, n, run->n_lines);
	else
		bench_report_table(bench, row, lines, n);
	run->n_lines += n;
	return 0;
}

static int run_rows(struct run *run, const struct cli_args *args)
{
	int r = 0;

	if (run->json)
		putchar('[');
	else
		bench_report_head(&run->options);
	fflush(stdout);
	for (size_t i = 0; i < N_BENCHES && !r; i++)
		for (size_t j = 0; j < benches[i]->n_rows && !r; j++)
			if (is_asked(benches[i], &benches[i]->rows[j],
				     args->words, args->n_words))
				r = run_row(run, benches[i],
					    &benches[i]->rows[j]);
	if (run->json)
		puts("]");
	return r;
}

/* Is there an instance in the directory that the user gave? */
static int look_at_dir(const char *dir)
{
	CLI_CLEANUP(cli_bus_closep) struct bus *bus = NULL;

	return dir ? cli_open(dir, &bus) : CLI_OK;
}

static int say_end(const struct run *run, int error)
{
	if (!error)
		return CLI_OK;
	if (error != -EINTR)
		return cli_error("%s", bench_error());
	fprintf(stderr, "bus bench: ended early, %zu lines done\n",
		run->n_lines);
	return CLI_OK;
}

static int run_all(struct run *run, const struct cli_args *args)
{
	struct bench_instance instance = { 0 };
	sigset_t mask;
	int r = look_at_dir(args->dir), end;

	if (r)
		return r;
	r = bench_error_init();
	if (r)
		return cli_fail(r, NULL, "no shared memory");
	bench_signals_block(&mask);
	run->options.dir = args->dir;
	if (!args->dir) {
		r = bench_instance_start(&instance, &mask);
		run->options.dir = instance.dir;
		run->options.daemon = instance.pid;
	}
	if (!r)
		r = run_rows(run, args);
	end = bench_instance_stop(&instance);
	bench_result_free(run->result);
	return say_end(run, r ? r : end);
}

int cli_bench(int argc, char **argv)
{
	struct run run = { .options = { .core = { -1, -1 },
					.seconds = 4,
					.slice_ms = 4,
					.progress = isatty(STDERR_FILENO) } };
	struct bench_options *o = &run.options;
	struct cli_args args;
	bool lists = false;

	cli_args_init(&args, &usage, argc, argv);
	for (int code; (code = cli_args_next(&args)) >= 0;)
		if (code == CLI_JSON)
			run.json = true;
		else if (code == LIST)
			lists = true;
		else if (code == SECONDS)
			o->seconds = positive(&args);
		else if (code == SLICES)
			o->slices =
				(unsigned)cli_args_number(&args, 1, 1000000);
		else if (code == SLICE_MS)
			o->slice_ms = positive(&args);
		else
			parse_cores(&args, o->core);
	check_words(&args);
	if (lists) {
		list();
		return cli_finish(CLI_OK);
	}
	if (o->core[0] < 0 && find_cores(o->core))
		return CLI_ERROR;
	return cli_finish(run_all(&run, &args));
}
