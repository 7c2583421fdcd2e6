/* SPDX-License-Identifier: MIT */
/*
 * consume.c - bus consume: print records as they come.
 *
 * Each record is copied out of the ring before it is printed, so that what is
 * printed is whole whatever producers do meanwhile. Output is collected as
 * long as there are records, and written before each wait. Waits are cut into
 * short ones, to notice Ctrl-C and a reader that has left.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "cli.h"
#include "format.h"
#include "report.h"
#include "signals.h"
#include "units.h"

#define TICK (250 * CLI_MS)

/* Static, since stdout uses it until the very end. */
static char out_buffer[64 << 10];

enum { OPTION_WAIT = 257, OPTION_SLOW, OPTION_TIMEOUT };

static const struct cli_option options[] = {
	{ 'o', "offset", "WHERE",
	  "beginning, end (default), N, or -N: the last N" },
	{ 'p', "partition", "LIST",
	  "only these, as in 0,2; may be given again" },
	{ 'c', "count", "N", "end after N records" },
	{ 'e', "exit", NULL, "end at what is the end of each partition now" },
	{ 'f', "format", "FORMAT", "how to print (default '%s\\n')" },
	{ CLI_JSON, "json", NULL, "one JSON object per line" },
	{ OPTION_WAIT, "wait", "HOW",
	  "spin, adaptive (default) or sleep until records come" },
	{ OPTION_SLOW, "slow", "HOW",
	  "if it is too slow: drop or block (default: as the topic)" },
	{ OPTION_TIMEOUT, "timeout", "TIME",
	  "end when nothing came for so long: 500ms, 10s" },
	{ 'u', "unbuffered", NULL, "write each record at once" },
	{ 'v', "verbose", NULL, "say at the end what was read" },
	{ 0 },
};

static const struct cli_usage usage = {
	.name = "consume",
	.words = "TOPIC",
	.min = 1,
	.max = 1,
	.about =
		"Print the records of a topic: from its end on, until Ctrl-C, unless told\n"
		"otherwise.\n\n" CLI_FORMAT_HELP,
	.options = options,
	.examples = "  bus consume greetings\n"
		    "  bus consume greetings -o beginning -e\n"
		    "  bus consume orders -o -10 -e -f '%p:%o %k = %s\\n'\n"
		    "  bus consume orders -p 0,1 -c 100 --timeout 5s\n"
		    "  bus consume orders --json | jq -r .value\n",
	.exits =
		"  4  no such topic, or it was deleted while it was read\n"
		"  5  --timeout came before --count or --exit was fulfilled\n"
		"  6  records were lost: producers went over them; stderr says which\n"
		"Ctrl-C is a good end, and so is a reader that closes the pipe: 0.\n",
};

struct consume {
	/* what was asked for */
	const char *topic;
	struct bus_consumer_options options;
	uint32_t partitions[BUS_PARTITIONS_MAX];
	uint64_t count;		/* 0: no limit */
	int64_t timeout;	/* ns; 0: none */
	struct cli_format format;
	bool json, until_end, unbuffered, verbose;

	struct bus_consumer *consumer;
	int64_t ends[BUS_PARTITIONS_MAX]; /* by partition, with --exit */
	char *buffer;
	size_t buffer_size;
	uint64_t n_read, bytes, n_lost;
	struct bus_lost lost;	/* not said yet */
	int64_t started;
	bool idle;		/* there was nothing to read */
	int64_t idle_since;	/* CLOCK_MONOTONIC, as started */
};

/* ---- Options ---------------------------------------------------------- */

static int64_t parse_offset(const struct cli_args *args)
{
	const char *v = args->value;
	uint64_t n;

	if (!strcmp(v, "beginning"))
		return BUS_BEGINNING;
	if (!strcmp(v, "end"))
		return BUS_END;
	if (cli_parse_number(v + (*v == '-'), &n) || n > INT64_MAX / 2)
		cli_args_wrong(args,
			       "--offset: '%s' is not beginning, end, N or -N",
			       v);
	return *v == '-' ? BUS_LAST((int64_t)n) : (int64_t)n;
}

static void parse_partitions(struct consume *c, const struct cli_args *args)
{
	const char *p = args->value;

	for (;;) {
		char *end;
		unsigned long n = strtoul(p, &end, 10);

		if (end == p || *p == '-' || n > UINT32_MAX ||
		    (*end && *end != ','))
			cli_args_wrong(
				args,
				"--partition: '%s' is not a list as in 0,2",
				args->value);
		if (c->options.n_partitions == BUS_PARTITIONS_MAX)
			cli_args_wrong(args, "--partition: more than %d",
				       BUS_PARTITIONS_MAX);
		for (size_t i = 0; i < c->options.n_partitions; i++)
			if (c->partitions[i] == n)
				cli_args_wrong(args, "--partition: %lu twice",
					       n);
		c->partitions[c->options.n_partitions++] = (uint32_t)n;
		if (!*end)
			break;
		p = end + 1;
	}
	c->options.partitions = c->partitions;
}

static enum bus_wait parse_wait(const struct cli_args *args)
{
	if (!strcmp(args->value, "spin"))
		return BUS_WAIT_SPIN;
	if (!strcmp(args->value, "adaptive"))
		return BUS_WAIT_ADAPTIVE;
	if (!strcmp(args->value, "sleep"))
		return BUS_WAIT_SLEEP;
	cli_args_wrong(args, "--wait: '%s' is not spin, adaptive or sleep",
		       args->value);
}

static enum bus_slow parse_slow(const struct cli_args *args)
{
	if (!strcmp(args->value, "drop"))
		return BUS_SLOW_DROP;
	if (!strcmp(args->value, "block"))
		return BUS_SLOW_BLOCK;
	cli_args_wrong(args, "--slow: '%s' is not drop or block", args->value);
}

static void take_format(struct consume *c, const struct cli_args *args,
			const char *text)
{
	cli_format_free(&c->format);
	if (cli_format_parse(text, &c->format))
		cli_args_wrong(
			args,
			"--format: '%s' has a %% or \\ that means nothing; "
			"the help lists those that do",
			text);
}

static void take_option(struct consume *c, struct cli_args *args, int code)
{
	switch (code) {
	case 'o':
		c->options.start = parse_offset(args);
		break;
	case 'p':
		parse_partitions(c, args);
		break;
	case 'c':
		c->count = cli_args_number(args, 1, UINT64_MAX);
		break;
	case 'e':
		c->until_end = true;
		break;
	case 'f':
		take_format(c, args, args->value);
		break;
	case CLI_JSON:
		c->json = true;
		break;
	case OPTION_WAIT:
		c->options.wait = parse_wait(args);
		break;
	case OPTION_SLOW:
		c->options.slow = parse_slow(args);
		break;
	case OPTION_TIMEOUT:
		c->timeout = cli_args_duration(args);
		break;
	case 'u':
		c->unbuffered = true;
		break;
	case 'v':
		c->verbose = true;
		break;
	}
}

static void parse(struct consume *c, struct cli_args *args, int argc,
		  char **argv)
{
	int code;

	cli_args_init(args, &usage, argc, argv);
	while ((code = cli_args_next(args)) >= 0)
		take_option(c, args, code);
	if (c->json && c->format.text)
		cli_args_wrong(args, "either --format or --json, not both");
	if (!c->format.text)
		take_format(c, args, "%s\\n");
	c->topic = args->words[0];
}

/* ---- Where it ends ---------------------------------------------------- */

static uint32_t partition(const struct consume *c, uint32_t i)
{
	return c->options.partitions ? c->partitions[i] : i;
}

static void note_ends(struct consume *c)
{
	for (uint32_t i = 0; i < bus_consumer_partitions(c->consumer); i++) {
		uint32_t p = partition(c, i);

		c->ends[p] = bus_consumer_position(c->consumer, p) +
			     bus_consumer_lag(c->consumer, p);
	}
}

static bool at_ends(const struct consume *c)
{
	for (uint32_t i = 0; i < bus_consumer_partitions(c->consumer); i++) {
		uint32_t p = partition(c, i);

		if (bus_consumer_position(c->consumer, p) < c->ends[p])
			return false;
	}
	return true;
}

/* Whoever read our output has left; found out without writing. */
static bool reader_left(void)
{
	struct pollfd p = { .fd = STDOUT_FILENO };

	return poll(&p, 1, 0) > 0 && p.revents & (POLLERR | POLLNVAL);
}

/* ---- Reading ---------------------------------------------------------- */

/* Say what was lost, once it is known how much it is in one piece. */
static void say_lost(struct consume *c)
{
	struct bus_lost *l = &c->lost;

	if (l->next == l->first)
		return;
	cli_error("%s partition %u: lost %" PRId64 " records, offsets %" PRId64
		  " to %" PRId64 ": producers went over them",
		  c->topic, l->partition, l->next - l->first, l->first,
		  l->next - 1);
	if (!c->n_lost)
		cli_hint(
			"read faster, enlarge ring.bytes, or give --slow block");
	c->n_lost += (uint64_t)(l->next - l->first);
	*l = (struct bus_lost){ 0 };
}

/* A fast producer laps a reader again and again: join what is one piece. */
static void note_lost(struct consume *c)
{
	struct bus_lost l;

	if (bus_consumer_lost(c->consumer, &l) < 0)
		return;
	if (l.partition != c->lost.partition || l.first != c->lost.next) {
		say_lost(c);
		c->lost = l;
	}
	c->lost.next = l.next;
}

/* bus_poll_copy() into a buffer that grows as it must. */
static int poll_grown(struct consume *c, struct bus_record *ret,
		      int64_t timeout)
{
	for (;;) {
		int r = bus_poll_copy(c->consumer, ret, c->buffer,
				      c->buffer_size, timeout);
		size_t size;
		char *buffer;

		if (r != BUS_EMSGSIZE)
			return r;
		size = ret->key_size + ret->headers_size + ret->value_size + 64;
		buffer = realloc(c->buffer, size);
		if (!buffer)
			return BUS_ENOMEM;
		c->buffer = buffer;
		c->buffer_size = size;
	}
}

static int64_t time_left(const struct consume *c)
{
	return c->idle_since + c->timeout - cli_now(CLOCK_MONOTONIC);
}

/*
 * The next record; if there is none, what was printed is written out, and a
 * tick is spent waiting.
 */
static int next(struct consume *c, struct bus_record *ret)
{
	int64_t wait = TICK;
	int r = poll_grown(c, ret, BUS_NO_WAIT);

	if (r == 0) {
		if (!c->idle)
			c->idle_since = cli_now(CLOCK_MONOTONIC);
		c->idle = true;
		say_lost(c);
		if (fflush(stdout) || (c->until_end && at_ends(c)))
			return 0;
		if (c->timeout && time_left(c) < wait)
			wait = time_left(c);
		if (wait > 0)
			r = poll_grown(c, ret, wait);
	}
	if (r == 1)
		c->idle = false;
	return r;
}

static void print(struct consume *c, const struct bus_record *r)
{
	if (c->until_end && r->offset >= c->ends[r->partition])
		return;
	if (c->json)
		cli_format_json(c->topic, r);
	else
		cli_format_print(&c->format, c->topic, r);
	if (c->unbuffered)
		fflush(stdout);
	c->n_read++;
	c->bytes += r->key_size + r->value_size;
}

/* Return: the exit code, or below 0: go on. */
static int step(struct consume *c)
{
	struct bus_record record;
	int r = next(c, &record);

	if (r == 1)
		print(c, &record);
	else if (r == BUS_ELAPPED)
		note_lost(c);
	else if (r < 0 && r != BUS_EINTR)
		return cli_fail(r, c->topic, "cannot read '%s' any further",
				c->topic);
	if (cli_output_failed() || (r == 0 && reader_left()))
		return CLI_OK;
	if (c->count && c->n_read == c->count)
		return CLI_OK;
	if (c->until_end && at_ends(c))
		return CLI_OK;
	if (r == 0 && c->timeout && time_left(c) <= 0)
		return c->count || c->until_end ? CLI_SHORT : CLI_OK;
	return cli_signals_caught() ? CLI_OK : -1;
}

static void say_summary(const struct consume *c)
{
	fprintf(stderr, "read %s record%s (%s) of %s in %s",
		cli_count(c->n_read).s, c->n_read == 1 ? "" : "s",
		cli_bytes(c->bytes).s, c->topic,
		cli_span(cli_now(CLOCK_MONOTONIC) - c->started).s);
	if (c->n_lost)
		fprintf(stderr, "; lost %s", cli_count(c->n_lost).s);
	fputc('\n', stderr);
}

static int run(struct consume *c, struct bus *bus)
{
	int r = bus_consumer_open(bus, c->topic, &c->options, &c->consumer);

	if (r < 0)
		return cli_fail(r, c->topic, "cannot read '%s'", c->topic);
	setvbuf(stdout, out_buffer, _IOFBF, sizeof(out_buffer));
	cli_signals_catch();
	c->started = cli_now(CLOCK_MONOTONIC);
	if (c->until_end)
		note_ends(c);
	r = c->until_end && at_ends(c) ? CLI_OK : -1;
	while (r < 0)
		r = step(c);
	say_lost(c);
	if ((r == CLI_OK || r == CLI_SHORT) && c->n_lost)
		r = CLI_LOST;
	r = cli_finish(r);
	if (c->verbose || cli_signals_caught())
		say_summary(c);
	return r;
}

int cli_consume(int argc, char **argv)
{
	CLI_CLEANUP(cli_bus_closep) struct bus *bus = NULL;
	struct consume c = { .options = { .size = sizeof(c.options),
					  .start = BUS_END } };
	struct cli_args args;
	int r;

	parse(&c, &args, argc, argv);
	r = cli_open(args.dir, &bus);
	if (!r)
		r = run(&c, bus);
	bus_consumer_close(c.consumer);
	cli_format_free(&c.format);
	free(c.buffer);
	return r;
}
