/* SPDX-License-Identifier: MIT */
/*
 * produce.c - bus produce: lines of stdin, a file or the command line.
 *
 * What one read(2) gave is cut into records and sent in batches, then the next
 * read follows: nothing that is complete ever waits for more input. A batch
 * holds neighbours that go to one partition, so that the order of the input is
 * the order of sending. With --rate each record goes alone, at its time, by a
 * plan that does not slip when a send takes long.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "cli.h"
#include "input.h"
#include "report.h"
#include "signals.h"
#include "topic.h"
#include "units.h"

#define BATCH 64		/* default of --batch */
#define BATCH_BYTES (64 << 10)	/* a batch is not filled beyond */

enum { OPTION_NULL = 257 };

static const struct cli_option options[] = {
	{ 'f', "file", "FILE", "read FILE, not standard input" },
	{ 'D', "delimiter", "STR",
	  "what ends a record (default \\n; knows \\n \\t \\r \\0 \\xNN)" },
	{ 'K', "key-delimiter", "STR",
	  "what stands before it is the record's key" },
	{ 'k', "key", "KEY", "the key of every record" },
	{ 'H', "header", "NAME=VALUE",
	  "a header for every record; may be given again" },
	{ 'p', "partition", "N",
	  "to this partition (default: by key, else in turns)" },
	{ 'r', "rate", "N", "N records a second, in even steps" },
	{ 'b', "batch", "N", "at most N records at once (default 64)" },
	{ OPTION_NULL, "null", NULL,
	  "an empty value is a null value (a tombstone)" },
	{ 'T', "no-timestamp", NULL, "send no timestamps" },
	{ 'v', "verbose", NULL, "say at the end what was sent" },
	{ 0 },
};

static const struct cli_usage usage = {
	.name = "produce",
	.words = "TOPIC [VALUE]...",
	.min = 1,
	.max = -1,
	.about =
		"Send records: each VALUE or, without any, each line of standard input. Lines\n"
		"may hold any bytes; an empty line is an empty record; the last one counts with\n"
		"or without its newline. Each record bears the time at which it was sent.\n"
		"Ctrl-C ends it and says how much was sent.\n",
	.options = options,
	.examples = "  bus produce greetings hello\n"
		    "  seq 1000000 | bus produce numbers -v\n"
		    "  bus produce orders -K : -f orders.txt\n"
		    "  bus produce ticks -r 1000 -H source=test < ticks.txt\n"
		    "  find . -print0 | bus produce files -D '\\0'\n",
	.exits = "  4  no such topic\n",
};

struct produce {
	/* what was asked for */
	const char *dir, *topic, *file;
	char *delimiter, *key_delimiter;
	size_t delimiter_size, key_delimiter_size;
	struct bus_message base; /* what all records have in common */
	struct bus_header *headers;
	size_t batch_max;
	double rate;		/* 0: as fast as it goes */
	bool null_values, timestamps, verbose;

	struct bus *bus;
	struct bus_producer *producer;
	struct bus_message *batch;
	size_t n_batch, batch_bytes;
	int32_t batch_partition; /* -1: whichever is the sticky one */

	uint64_t n_sent, bytes;
	int64_t last_offset;
	uint32_t last_partition;
	int64_t started;	/* CLOCK_MONOTONIC */
	int64_t next_progress;	/* 0: no terminal */
	bool showed_progress;
};

/* ---- Options ---------------------------------------------------------- */

static void take_delimiter(struct cli_args *args, char **text, size_t *size)
{
	free(*text);
	*text = strdup(args->value);
	if (!*text)
		exit(cli_error("out of memory"));
	if (cli_unescape(args->value, *text, size) || !*size)
		cli_args_wrong(
			args,
			"'%s' is no delimiter: give one character or more; "
			"\\n \\t \\r \\0 \\\\ \\xNN are known",
			args->value);
}

static void take_header(struct produce *p, struct cli_args *args)
{
	const char *equals = strchr(args->value, '=');
	size_t n = p->base.n_headers;
	struct bus_header *h;

	if (!equals)
		cli_args_wrong(args, "'%s' is not NAME=VALUE", args->value);
	h = reallocarray(p->headers, n + 1, sizeof(*h));
	if (!h)
		exit(cli_error("out of memory"));
	h[n] = (struct bus_header){
		.name = args->value,
		.name_size = (size_t)(equals - args->value),
		.value = equals + 1,
		.value_size = strlen(equals + 1),
	};
	p->headers = h;
	p->base.headers = h;
	p->base.n_headers = n + 1;
}

static void take_option(struct produce *p, struct cli_args *args, int code)
{
	switch (code) {
	case 'f':
		p->file = args->value;
		break;
	case 'D':
		take_delimiter(args, &p->delimiter, &p->delimiter_size);
		break;
	case 'K':
		take_delimiter(args, &p->key_delimiter, &p->key_delimiter_size);
		break;
	case 'k':
		p->base.key = args->value;
		p->base.key_size = strlen(args->value);
		break;
	case 'H':
		take_header(p, args);
		break;
	case 'p':
		p->base.partition =
			(int32_t)cli_args_number(args, 0, INT32_MAX);
		break;
	case 'r':
		p->rate = cli_args_rate(args);
		break;
	case 'b':
		p->batch_max = cli_args_number(args, 1, BUS_BATCH_MAX);
		break;
	case OPTION_NULL:
		p->null_values = true;
		break;
	case 'T':
		p->timestamps = false;
		break;
	case 'v':
		p->verbose = true;
		break;
	}
}

static void parse(struct produce *p, struct cli_args *args, int argc,
		  char **argv)
{
	int code;

	cli_args_init(args, &usage, argc, argv);
	while ((code = cli_args_next(args)) >= 0)
		take_option(p, args, code);
	if (p->file && args->n_words > 1)
		cli_args_wrong(args, "either VALUE or --file, not both");
	if (p->base.key && p->key_delimiter)
		cli_args_wrong(args,
			       "either --key or --key-delimiter, not both");
	if (p->rate > 0)
		p->batch_max = 1;
	p->dir = args->dir;
	p->topic = args->words[0];
}

/* ---- What was done ---------------------------------------------------- */

static void show_progress(struct produce *p)
{
	int64_t now;
	double seconds;

	if (!p->next_progress)
		return;
	now = cli_now(CLOCK_MONOTONIC);
	if (now < p->next_progress)
		return;
	p->next_progress = now + CLI_SECOND;
	p->showed_progress = true;
	seconds = (double)(now - p->started) / 1e9;
	fprintf(stderr, "\r\033[Ksent %s records, %s, %s/s",
		cli_count(p->n_sent).s, cli_bytes(p->bytes).s,
		cli_count((uint64_t)((double)p->n_sent / seconds)).s);
}

static void end_progress(struct produce *p)
{
	if (p->showed_progress)
		fputs("\r\033[K", stderr);
	p->showed_progress = false;
}

static void say_summary(const struct produce *p)
{
	int64_t span = cli_now(CLOCK_MONOTONIC) - p->started;

	fprintf(stderr, "sent %s record%s (%s) to %s in %s",
		cli_count(p->n_sent).s, p->n_sent == 1 ? "" : "s",
		cli_bytes(p->bytes).s, p->topic, cli_span(span).s);
	if (p->n_sent)
		fprintf(stderr, "; %s partition %u, offset %" PRId64,
			p->n_sent == 1 ? "it is in" : "the last one is in",
			p->last_partition, p->last_offset);
	fputc('\n', stderr);
}

static void say_sent_before(const struct produce *p)
{
	if (p->n_sent)
		cli_hint("the %s record%s before it %s sent",
			 cli_count(p->n_sent).s, p->n_sent == 1 ? "" : "s",
			 p->n_sent == 1 ? "was" : "were");
	else
		cli_hint("nothing was sent");
}

/* A power of two that holds @size four times, its header included. */
static uint64_t ring_for(uint64_t size)
{
	uint64_t ring = 4096;

	while (ring / 4 < size + 128)
		ring *= 2;
	return ring;
}

static int fail_too_large(struct produce *p, size_t size)
{
	uint64_t max = cli_setting_of(p->bus, p->topic, "max.message.bytes");
	uint64_t ring = cli_setting_of(p->bus, p->topic, "ring.bytes");

	cli_error("record %" PRIu64
		  " has %zu bytes, topic '%s' takes up to %" PRIu64
		  " (max.message.bytes)",
		  p->n_sent + 1, size, p->topic, max);
	if (size > CLI_INPUT_MAX - 256)
		cli_hint(
			"no topic takes 4 MiB: cut it into parts (is --delimiter right?)");
	else if (ring < ring_for(size))
		cli_hint(
			"raise it: bus topic alter %s max.message.bytes=%zu ring.bytes=%" PRIu64,
			p->topic, size, ring_for(size));
	else
		cli_hint("raise it: bus topic alter %s max.message.bytes=%zu",
			 p->topic, size);
	say_sent_before(p);
	return CLI_ERROR;
}

static size_t message_size(const struct bus_message *m)
{
	size_t size = m->key_size + m->value_size;

	for (size_t i = 0; i < m->n_headers; i++)
		size += 6 + m->headers[i].name_size + m->headers[i].value_size;
	return size;
}

static int fail_send(struct produce *p, const struct bus_message *m, int error)
{
	int r;

	if (error == BUS_EMSGSIZE)
		return fail_too_large(p, message_size(m));
	end_progress(p);
	r = cli_fail(error, p->topic, "cannot send record %" PRIu64 " to '%s'",
		     p->n_sent + 1, p->topic);
	say_sent_before(p);
	return r;
}

/* ---- Sending ---------------------------------------------------------- */

/* Send neighbours together. Return: 0, or an error with nothing sent. */
static int64_t send_some(struct produce *p, const struct bus_message *m,
			 size_t n)
{
	int64_t r;

	do {
		r = n == 1 ? bus_send_message(p->producer, m,
					      &p->last_partition) :
			     bus_send_batch(p->producer, m, n,
					    &p->last_partition);
	} while (r == BUS_EFENCED || (r == BUS_EINTR && !cli_signals_caught()));
	if (r < 0)
		return r;
	p->last_offset = r + (int64_t)n - 1;
	p->n_sent += n;
	for (size_t i = 0; i < n; i++)
		p->bytes += m[i].key_size + m[i].value_size;
	return 0;
}

/*
 * Send the batch. Together it may be too large, or have lost its common
 * partition because somebody added some: then each record goes alone.
 * Return: 0, -EINTR if the end was asked for, or the exit code.
 */
static int flush(struct produce *p)
{
	size_t n = p->n_batch, i = 0;
	int64_t r = 0;

	p->n_batch = 0;
	p->batch_bytes = 0;
	if (n > 1) {
		r = send_some(p, p->batch, n);
		if (r == 0)
			i = n;
		else if (r == BUS_EMSGSIZE || r == BUS_EINVAL)
			r = 0;
	}
	while (i < n && r == 0) {
		r = send_some(p, &p->batch[i], 1);
		i += r == 0;
	}
	if (r == BUS_EINTR)
		return -EINTR;
	if (r < 0)
		return fail_send(p, &p->batch[i], (int)r);
	show_progress(p);
	return 0;
}

static int32_t partition_of(struct produce *p, const struct bus_message *m)
{
	if (m->partition >= 0 || !m->key)
		return m->partition;
	return (int32_t)bus_partition_of(m->key, m->key_size,
					 bus_producer_partitions(p->producer));
}

/* With --rate: wait until the next record is due. */
static int wait_due(struct produce *p)
{
	double due = (double)p->n_sent / p->rate * 1e9;

	return cli_wait_until(-1, p->started + (int64_t)due);
}

static void make_message(const struct produce *p, const char *text, size_t size,
			 struct bus_message *ret)
{
	struct bus_message m = p->base;
	const char *cut = NULL;

	if (p->key_delimiter)
		cut = memmem(text, size, p->key_delimiter,
			     p->key_delimiter_size);
	if (cut) {
		m.key = text;
		m.key_size = (size_t)(cut - text);
		size -= m.key_size + p->key_delimiter_size;
		text = cut + p->key_delimiter_size;
	}
	m.value = size || !p->null_values ? text : NULL;
	m.value_size = size;
	if (p->timestamps)
		m.timestamp = cli_now(CLOCK_REALTIME);
	*ret = m;
}

/* Put a record into the batch, which goes when it is full. */
static int add(struct produce *p, const char *text, size_t size)
{
	struct bus_message m;
	int32_t partition;
	int r;

	if (p->rate > 0 && wait_due(p) < 0)
		return -EINTR;
	make_message(p, text, size, &m);
	partition = partition_of(p, &m);
	if (p->n_batch && (partition != p->batch_partition ||
			   p->batch_bytes + size > BATCH_BYTES)) {
		r = flush(p);
		if (r)
			return r;
	}
	p->batch[p->n_batch++] = m;
	p->batch_bytes += size;
	p->batch_partition = partition;
	return p->n_batch == p->batch_max ? flush(p) : 0;
}

static int send_words(struct produce *p, char **words, int n)
{
	int r = 0;

	for (int i = 0; i < n && !r; i++)
		r = add(p, words[i], strlen(words[i]));
	return r ? r : flush(p);
}

/* Everything that has been read. */
static int send_read(struct produce *p, struct cli_input *in)
{
	const char *text;
	size_t size;
	int r = 0;

	while (!r && !cli_signals_caught() && cli_input_next(in, &text, &size))
		r = add(p, text, size);
	return r ? r : flush(p);
}

static int send_input(struct produce *p, int fd)
{
	CLI_CLEANUP(cli_input_free)
	struct cli_input in = {
		.fd = fd,
		.delimiter = p->delimiter ? p->delimiter : "\n",
		.delimiter_size = p->delimiter ? p->delimiter_size : 1,
	};
	int r;

	for (;;) {
		if (cli_wait_until(fd, -1) < 0)
			return -EINTR;
		r = cli_input_fill(&in);
		if (r == -EINTR)
			continue;
		if (r == -EMSGSIZE)
			return fail_too_large(p, in.end - in.begin);
		if (r < 0)
			return cli_error("cannot read %s: %s",
					 p->file ? p->file : "standard input",
					 strerror(-r));
		if (r == 0)
			return 0;
		r = send_read(p, &in);
		if (r)
			return r;
	}
}

static int send_file(struct produce *p)
{
	int fd, r;

	if (!p->file || !strcmp(p->file, "-"))
		return send_input(p, STDIN_FILENO);
	fd = open(p->file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return cli_error("cannot open %s: %s", p->file,
				 strerror(errno));
	r = send_input(p, fd);
	close(fd);
	return r;
}

static int run(struct produce *p, struct cli_args *args)
{
	int r = cli_open(p->dir, &p->bus);

	if (r)
		return r;
	r = bus_producer_open(p->bus, p->topic, NULL, &p->producer);
	if (r < 0)
		return cli_fail(r, p->topic, "cannot produce to '%s'",
				p->topic);
	cli_signals_catch();
	p->started = cli_now(CLOCK_MONOTONIC);
	if (isatty(STDERR_FILENO) && (p->file || !isatty(STDIN_FILENO)))
		p->next_progress = p->started + CLI_SECOND;
	if (args->n_words > 1)
		r = send_words(p, args->words + 1, args->n_words - 1);
	else
		r = send_file(p);
	end_progress(p);
	if (r == -EINTR || (p->verbose && !r))
		say_summary(p);
	return r == -EINTR ? CLI_OK : r;
}

int cli_produce(int argc, char **argv)
{
	struct produce p = { .base = BUS_MESSAGE,
			     .batch_max = BATCH,
			     .timestamps = true };
	struct cli_args args;
	int r;

	parse(&p, &args, argc, argv);
	p.batch = calloc(p.batch_max, sizeof(*p.batch));
	r = p.batch ? run(&p, &args) : cli_error("out of memory");
	bus_producer_close(p.producer);
	bus_close(p.bus);
	free(p.batch);
	free(p.headers);
	free(p.delimiter);
	free(p.key_delimiter);
	return r;
}
