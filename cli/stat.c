/* SPDX-License-Identifier: MIT */
/*
 * stat.c - bus stat: counters, lag, latency, who is attached.
 *
 * Everything is read from shared memory and disturbs nobody. A rate is the
 * difference between two looks, so the first look of --watch has none.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "cli.h"
#include "json.h"
#include "report.h"
#include "signals.h"
#include "table.h"
#include "units.h"

static const struct cli_option options[] = {
	{ 'w', "watch", "[=SECONDS]",
	  "look again each so many seconds (default 1)" },
	{ CLI_JSON, "json", NULL,
	  "print a JSON array of partitions; a line per look" },
	{ 0 },
};

static const struct cli_usage usage = {
	.name = "stat",
	.words = "[TOPIC]...",
	.min = 0,
	.max = -1,
	.about =
		"Show the partitions of these topics, or of all: what can be read, how full the\n"
		"ring is, and each producer and consumer with what it is doing, its lag and\n"
		"what it lost. Latency is the time from a record's timestamp until it was read;\n"
		"figures are upper limits, at most 12.5 % above.\n",
	.options = options,
	.examples = "  bus stat\n"
		    "  bus stat orders --watch=0.5\n"
		    "  bus stat --json | jq '.[] | {topic, partition, end}'\n",
	.exits = "  4  no such topic\n",
};

/* What the look before saw of one partition. */
struct seen {
	char topic[BUS_NAME_MAX + 1];
	uint32_t partition;
	uint64_t end;
	int64_t time;
};

struct stat {
	struct bus *bus;
	struct cli_json *json;	/* NULL: tables */
	struct cli_table partitions, producers, consumers;
	struct seen *seen;
	size_t n_seen;
	int64_t interval;	/* 0: once */
};

/* ---- Figures ---------------------------------------------------------- */

static const char *phase_name(uint32_t phase)
{
	static const char *const names[] = {
		[BUS_PHASE_IDLE] = "idle",   [BUS_PHASE_SEND] = "send",
		[BUS_PHASE_ROOM] = "room",   [BUS_PHASE_POLL] = "poll",
		[BUS_PHASE_SLEEP] = "sleep",
	};

	return phase < sizeof(names) / sizeof(names[0]) ? names[phase] : "?";
}

struct latency {
	uint64_t n;
	int64_t p50, p99, p999, max; /* ns, upper limits */
};

static int64_t bucket_limit(unsigned bucket)
{
	return (int64_t)bus_hist_value(
		bucket + 1 < BUS_HIST_BUCKETS ? bucket + 1 : bucket);
}

/* The upper limit of the bucket in which the sample number @rank is. */
static int64_t quantile(const uint64_t *hist, uint64_t rank)
{
	uint64_t below = 0;
	unsigned b = 0;

	for (; b < BUS_HIST_BUCKETS - 1; b++) {
		below += hist[b];
		if (below >= rank)
			break;
	}
	return bucket_limit(b);
}

static struct latency summarise(const uint64_t *hist)
{
	struct latency l = { 0 };

	for (unsigned b = 0; b < BUS_HIST_BUCKETS; b++)
		l.n += hist[b];
	if (!l.n)
		return l;
	l.p50 = quantile(hist, l.n - l.n / 2);
	l.p99 = quantile(hist, l.n - l.n / 100);
	l.p999 = quantile(hist, l.n - l.n / 1000);
	l.max = quantile(hist, l.n);
	return l;
}

/* Records per second since the look before, or below 0: not known. */
static double rate(struct stat *s, const char *topic, uint32_t partition,
		   uint64_t end)
{
	struct seen now = { .partition = partition,
			    .end = end,
			    .time = cli_now(CLOCK_MONOTONIC) };
	struct seen *p = s->seen, *last = s->seen + s->n_seen;
	double r = -1;

	while (p < last &&
	       (p->partition != partition || strcmp(p->topic, topic)))
		p++;
	if (p < last) {
		/* Deleted and created again, it begins at 0. */
		if (end >= p->end)
			r = (double)(end - p->end) * 1e9 /
			    (double)(now.time - p->time);
	} else {
		p = reallocarray(s->seen, s->n_seen + 1, sizeof(*p));
		if (!p)
			return -1;
		s->seen = p;
		p += s->n_seen++;
	}
	snprintf(now.topic, sizeof(now.topic), "%s", topic);
	*p = now;
	return r;
}

/* ---- Tables ----------------------------------------------------------- */

static void add_heads(struct stat *s)
{
	s->partitions = CLI_TABLE("lrrrrrrrr");
	s->producers = CLI_TABLE("lrrrlrrrr");
	s->consumers = CLI_TABLE("lrrllrrrrrrrrr");
	cli_table_heads(&s->partitions, "TOPIC|PART|BEGINNING|END|PER SECOND|"
					"RING USED|OF|PRODUCERS|CONSUMERS");
	cli_table_heads(&s->producers, "PRODUCER OF|PART|PID|ID|PHASE|SENT|"
				       "BYTES|WAITS|WAKES");
	cli_table_heads(&s->consumers, "CONSUMER OF|PART|PID|PHASE|SLOW|"
				       "OFFSET|LAG|READ|LOST|SLEEPS|"
				       "P50|P99|P99.9|MAX");
}

static void add_partition(struct cli_table *t, const char *topic, uint32_t p,
			  const struct bus_partition_stat *st,
			  double per_second)
{
	cli_table_add(t, "%s", topic);
	cli_table_add(t, "%u", p);
	cli_table_add(t, "%" PRIu64, st->beginning);
	cli_table_add(t, "%" PRIu64, st->end);
	if (per_second < 0)
		cli_table_add(t, "-");
	else
		cli_table_add(t, "%s", cli_count((uint64_t)per_second).s);
	cli_table_add(t, "%s", cli_bytes(st->ring_used).s);
	cli_table_add(t, "%s", cli_bytes(st->ring_bytes).s);
	cli_table_add(t, "%u", st->n_producers);
	cli_table_add(t, "%u", st->n_consumers);
}

static void add_producer(struct cli_table *t, const char *topic, uint32_t p,
			 const struct bus_producer_stat *st)
{
	cli_table_add(t, "%s", topic);
	cli_table_add(t, "%u", p);
	cli_table_add(t, "%u", st->pid);
	cli_table_add(t, "%u", st->id);
	cli_table_add(t, "%s", phase_name(st->phase));
	cli_table_add(t, "%" PRIu64, st->records);
	cli_table_add(t, "%s", cli_bytes(st->bytes).s);
	cli_table_add(t, "%" PRIu64, st->waits);
	cli_table_add(t, "%" PRIu64, st->wakes);
}

static void add_span(struct cli_table *t, const struct latency *l, int64_t ns)
{
	cli_table_add(t, "%s", l->n ? cli_span(ns).s : "-");
}

static void add_consumer(struct cli_table *t, const char *topic, uint32_t p,
			 const struct bus_consumer_stat *st)
{
	struct latency l = summarise(st->latency);

	cli_table_add(t, "%s", topic);
	cli_table_add(t, "%u", p);
	cli_table_add(t, "%u", st->pid);
	cli_table_add(t, "%s", phase_name(st->phase));
	cli_table_add(t, "%s", st->block ? "block" : "drop");
	cli_table_add(t, "%" PRIu64, st->offset);
	cli_table_add(t, "%" PRIu64, st->lag);
	cli_table_add(t, "%" PRIu64, st->records);
	cli_table_add(t, "%" PRIu64, st->lost);
	cli_table_add(t, "%" PRIu64, st->sleeps);
	add_span(t, &l, l.p50);
	add_span(t, &l, l.p99);
	add_span(t, &l, l.p999);
	add_span(t, &l, l.max);
}

/* A table with nothing but its heads is not worth printing. */
static void print_table(struct cli_table *t, bool always)
{
	if (always || t->n_cells > t->n_columns) {
		if (!always)
			putchar('\n');
		cli_table_print(t, 0);
	} else {
		cli_table_free(t);
	}
}

/* ---- JSON ------------------------------------------------------------- */

static void json_producer(struct cli_json *j,
			  const struct bus_producer_stat *st)
{
	cli_json_open(j, NULL, '{');
	cli_json_unsigned(j, "slot", st->slot);
	cli_json_unsigned(j, "pid", st->pid);
	cli_json_unsigned(j, "id", st->id);
	cli_json_string(j, "phase", phase_name(st->phase));
	cli_json_unsigned(j, "records", st->records);
	cli_json_unsigned(j, "bytes", st->bytes);
	cli_json_unsigned(j, "waits", st->waits);
	cli_json_unsigned(j, "wakes", st->wakes);
	cli_json_close(j, '}');
}

static void json_latency(struct cli_json *j, const uint64_t *hist)
{
	struct latency l = summarise(hist);

	if (!l.n) {
		cli_json_null(j, "latency_ns");
		return;
	}
	cli_json_open(j, "latency_ns", '{');
	cli_json_unsigned(j, "n", l.n);
	cli_json_number(j, "p50", l.p50);
	cli_json_number(j, "p99", l.p99);
	cli_json_number(j, "p99.9", l.p999);
	cli_json_number(j, "max", l.max);
	cli_json_close(j, '}');
}

static void json_consumer(struct cli_json *j,
			  const struct bus_consumer_stat *st)
{
	cli_json_open(j, NULL, '{');
	cli_json_unsigned(j, "slot", st->slot);
	cli_json_unsigned(j, "pid", st->pid);
	cli_json_string(j, "phase", phase_name(st->phase));
	cli_json_string(j, "slow", st->block ? "block" : "drop");
	cli_json_unsigned(j, "offset", st->offset);
	cli_json_unsigned(j, "lag", st->lag);
	cli_json_unsigned(j, "records", st->records);
	cli_json_unsigned(j, "bytes", st->bytes);
	cli_json_unsigned(j, "lost", st->lost);
	cli_json_unsigned(j, "sleeps", st->sleeps);
	json_latency(j, st->latency);
	cli_json_close(j, '}');
}

static void json_partition(struct cli_json *j, const char *topic, uint32_t p,
			   const struct bus_partition_stat *st,
			   double per_second)
{
	cli_json_open(j, NULL, '{');
	cli_json_string(j, "topic", topic);
	cli_json_unsigned(j, "partition", p);
	cli_json_unsigned(j, "beginning", st->beginning);
	cli_json_unsigned(j, "end", st->end);
	if (per_second < 0)
		cli_json_null(j, "per_second");
	else
		cli_json_unsigned(j, "per_second", (uint64_t)per_second);
	cli_json_unsigned(j, "ring", st->ring);
	cli_json_unsigned(j, "ring_bytes", st->ring_bytes);
	cli_json_unsigned(j, "ring_used", st->ring_used);
	cli_json_open(j, "producers", '[');
	for (uint32_t i = 0; i < st->n_producers; i++)
		json_producer(j, &st->producers[i]);
	cli_json_close(j, ']');
	cli_json_open(j, "consumers", '[');
	for (uint32_t i = 0; i < st->n_consumers; i++)
		json_consumer(j, &st->consumers[i]);
	cli_json_close(j, ']');
	cli_json_close(j, '}');
}

/* ---- Looking ---------------------------------------------------------- */

static int look_at_partition(struct stat *s, const char *topic, uint32_t p)
{
	struct bus_partition_stat st;
	double per_second;
	int r = bus_partition_stat(s->bus, topic, p, &st);

	if (r < 0)
		return r;
	per_second = rate(s, topic, p, st.end);
	if (s->json) {
		json_partition(s->json, topic, p, &st, per_second);
	} else {
		add_partition(&s->partitions, topic, p, &st, per_second);
		for (uint32_t i = 0; i < st.n_producers; i++)
			add_producer(&s->producers, topic, p, &st.producers[i]);
		for (uint32_t i = 0; i < st.n_consumers; i++)
			add_consumer(&s->consumers, topic, p, &st.consumers[i]);
	}
	bus_partition_stat_free(&st);
	return 0;
}

static int look_at_topic(struct stat *s, const char *topic)
{
	struct bus_topic_info info;
	int r = bus_topic_describe(s->bus, topic, &info);

	for (uint32_t p = 0; r >= 0 && p < info.partitions; p++)
		r = look_at_partition(s, topic, p);
	return r;
}

/* Return: 0 or the exit code. */
static int look_at_all(struct stat *s)
{
	char name[BUS_NAME_MAX + 1] = "";
	int r, e;

	while ((r = bus_topic_next(s->bus, name, name)) > 0) {
		e = look_at_topic(s, name);
		if (e < 0 && e != BUS_ENOENT) /* deleted since */
			return cli_fail(e, name, "cannot look at '%s'", name);
	}
	return r < 0 ? cli_fail(r, NULL, "cannot list the topics") : 0;
}

static int look_at(struct stat *s, char **topics, int n)
{
	int r = 0;

	if (!n)
		return look_at_all(s);
	for (int i = 0; i < n; i++) {
		int e = look_at_topic(s, topics[i]);

		if (e < 0)
			r = cli_fail(e, topics[i], "cannot look at '%s'",
				     topics[i]);
	}
	return r;
}

static int look(struct stat *s, char **topics, int n)
{
	struct cli_json json = { 0 };
	int r;

	if (s->json) {
		*s->json = json;
		cli_json_open(s->json, NULL, '[');
		r = look_at(s, topics, n);
		cli_json_close(s->json, ']');
		putchar('\n');
	} else {
		add_heads(s);
		r = look_at(s, topics, n);
		if (s->interval && isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		print_table(&s->partitions, !r);
		print_table(&s->producers, false);
		print_table(&s->consumers, false);
	}
	return r;
}

static int watch(struct stat *s, char **topics, int n)
{
	int64_t due = cli_now(CLOCK_MONOTONIC);
	int r;

	cli_signals_catch();
	for (;;) {
		r = look(s, topics, n);
		if (!s->json && !isatty(STDOUT_FILENO))
			putchar('\n');
		fflush(stdout);
		if (r || cli_output_failed())
			return r;
		due += s->interval;
		if (cli_wait_until(-1, due) < 0)
			return 0;
	}
}

int cli_stat(int argc, char **argv)
{
	CLI_CLEANUP(cli_bus_closep) struct bus *bus = NULL;
	struct cli_json json;
	struct stat s = { 0 };
	struct cli_args args;
	int code, r;

	cli_args_init(&args, &usage, argc, argv);
	while ((code = cli_args_next(&args)) >= 0) {
		if (code == CLI_JSON)
			s.json = &json;
		else
			s.interval = args.value ? cli_args_duration(&args) :
						  CLI_SECOND;
		if (code == 'w' && s.interval < CLI_MS)
			cli_args_wrong(&args, "--watch: at least 1ms");
	}
	r = cli_open(args.dir, &bus);
	if (r)
		return r;
	s.bus = bus;
	r = s.interval ? watch(&s, args.words, args.n_words) :
			 look(&s, args.words, args.n_words);
	free(s.seen);
	return cli_finish(r);
}
