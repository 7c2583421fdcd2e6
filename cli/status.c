/* SPDX-License-Identifier: MIT */
/*
 * status.c - bus status: what busd says of itself.
 */
#include <inttypes.h>
#include <stdio.h>

#include "args.h"
#include "cli.h"
#include "json.h"
#include "report.h"
#include "table.h"
#include "units.h"

static const struct cli_usage usage = {
	.name = "status",
	.words = "",
	.about =
		"Say where the instance is, since when it runs, and what it holds.\n",
	.options = (const struct cli_option[]){ CLI_OPTION_JSON, { 0 } },
	.examples = "  bus status\n"
		    "  bus status --json | jq .worker_pid\n"
		    "  bus status >/dev/null 2>&1 || bus up\n",
};

static void print_json(const char *dir, const struct bus_status *s)
{
	struct cli_json j = { 0 };

	cli_json_open(&j, NULL, '{');
	cli_json_string(&j, "dir", dir);
	cli_json_string(&j, "version", s->version);
	cli_json_number(&j, "started", s->started);
	cli_json_number(&j, "keeper_pid", s->keeper_pid);
	cli_json_number(&j, "worker_pid", s->worker_pid);
	cli_json_number(&j, "restarts", s->n_restarts);
	cli_json_number(&j, "topics", s->n_topics);
	cli_json_number(&j, "clients", s->n_clients);
	cli_json_unsigned(&j, "memory", s->memory);
	cli_json_unsigned(&j, "repairs", s->n_repairs);
	cli_json_close(&j, '}');
	putchar('\n');
}

static void print_table(const char *dir, const struct bus_status *s)
{
	struct cli_table t = CLI_TABLE("ll");
	int64_t age = cli_now(CLOCK_REALTIME) - s->started;

	cli_table_add(&t, "directory");
	cli_table_add(&t, "%s", dir);
	cli_table_add(&t, "version");
	cli_table_add(&t, "%s", s->version);
	cli_table_add(&t, "up since");
	cli_table_add(&t, "%s (%s)", cli_date(s->started).s, cli_span(age).s);
	cli_table_add(&t, "keeper");
	cli_table_add(&t, "pid %u", s->keeper_pid);
	cli_table_add(&t, "worker");
	cli_table_add(&t, "pid %u, restarts: %u", s->worker_pid, s->n_restarts);
	cli_table_add(&t, "topics");
	cli_table_add(&t, "%u", s->n_topics);
	cli_table_add(&t, "clients");
	cli_table_add(&t, "%u, this one too", s->n_clients);
	cli_table_add(&t, "shared memory");
	cli_table_add(&t, "%s", cli_bytes(s->memory).s);
	cli_table_add(&t, "repairs");
	cli_table_add(&t, "%" PRIu64 " records of dead producers",
		      s->n_repairs);
	cli_table_print(&t, 0);
}

int cli_status(int argc, char **argv)
{
	CLI_CLEANUP(cli_bus_closep) struct bus *bus = NULL;
	struct bus_status status;
	struct cli_args args;
	bool json = false;
	int r;

	cli_args_parse(&args, &usage, argc, argv, &json);
	r = cli_open(args.dir, &bus);
	if (r)
		return r;
	r = bus_status(bus, &status);
	if (r < 0)
		return cli_fail(r, NULL, "no status from busd in %s",
				bus_dir(bus));
	if (json)
		print_json(bus_dir(bus), &status);
	else
		print_table(bus_dir(bus), &status);
	return cli_finish(CLI_OK);
}
