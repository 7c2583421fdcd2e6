/* SPDX-License-Identifier: MIT */
/*
 * setting.c - a topic's settings.
 *
 * One table says all about each: what form its value has, which are allowed,
 * what holds if nobody says. Names and words are Kafka's where it has them.
 * Words that Kafka or a later version knows and this one cannot do are in the
 * table too, with the reason.
 */
#include "setting.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bus/errors.h>

#define MESSAGE_DEFAULT 1048588 /* Kafka's */

enum form { NUMBER, SIZE, WORD };

static const struct setting {
	const char *name;
	enum form form;
	uint64_t min, max, initial;
	const char *word[2]; /* WORD: names of initial-or-above values */
	uint64_t word_value[2];
	const char *refused; /* a word that is known, */
	const char *reason; /* and why it cannot be had */
} table[BUSD_SETTINGS] = {
	[BUSD_RING_BYTES] = {
		.name = "ring.bytes", .form = SIZE,
		.min = BUS_PAGE, .max = UINT64_C(1) << 30,
		.initial = UINT64_C(16) << 20,
	},
	/* not set: as large as the ring allows, up to Kafka's default */
	[BUSD_MAX_MESSAGE_BYTES] = {
		.name = "max.message.bytes", .form = SIZE,
		.min = 1,
		.max = BUS_FRAME_LENGTH_MAX - BUS_LINE - BUSD_FRAME_OVERHEAD,
		.initial = 0,
	},
	[BUSD_PRODUCERS] = {
		.name = "producers", .form = WORD,
		.initial = BUS_PRODUCERS_MANY,
		.word = { "many", "one" },
		.word_value = { BUS_PRODUCERS_MANY, BUS_PRODUCERS_ONE },
	},
	[BUSD_SLOW_CONSUMER] = {
		.name = "slow.consumer", .form = WORD,
		.initial = BUS_SLOW_IS_DROP,
		.word = { "drop", "block" },
		.word_value = { BUS_SLOW_IS_DROP, BUS_SLOW_IS_BLOCK },
		.refused = "spill",
		.reason = "needs a log, which this version does not have",
	},
	[BUSD_MAX_BLOCK_MS] = {
		.name = "max.block.ms", .form = NUMBER,
		.min = 0, .max = INT32_MAX, .initial = 60000,
	},
	[BUSD_STALL_FENCE_MS] = {
		.name = "stall.fence.ms", .form = NUMBER,
		.min = 10, .max = 600000, .initial = 1000,
	},
	[BUSD_STORAGE] = {
		.name = "storage", .form = WORD,
		.word = { "memory" },
		.refused = "disk",
		.reason = "needs a log, which this version does not have",
	},
	[BUSD_TIMESTAMP_TYPE] = {
		.name = "message.timestamp.type", .form = WORD,
		.word = { "CreateTime" },
		.refused = "LogAppendTime",
		.reason = "needs a log, which this version does not have",
	},
};

/* ---- Values as text --------------------------------------------------- */

static void print_size(uint64_t n, char *text, size_t size)
{
	static const char unit[] = "\0KMG";
	unsigned i = 0;

	while (n && n % 1024 == 0 && i < 3) {
		n /= 1024;
		i++;
	}
	snprintf(text, size, "%llu%.1s", (unsigned long long)n, unit + i);
}

static void print_value(const struct setting *t, uint64_t value, char *text,
			size_t size)
{
	if (t->form != WORD) {
		snprintf(text, size, "%llu", (unsigned long long)value);
		return;
	}
	snprintf(text, size, "%s",
		 value == t->word_value[0] || !t->word[1] ? t->word[0] :
							    t->word[1]);
}

/* Digits, and for sizes one of K, M, G. Return: false if it is neither. */
static bool parse_number(const struct setting *t, const char *text,
			 uint64_t *ret)
{
	static const char unit[] = "KMG";
	const char *u;
	char *end;
	uint64_t n;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		n = UINT64_MAX;
	if (t->form == SIZE && *end) {
		u = strchr(unit, toupper((unsigned char)*end));
		if (!u || end[1])
			return false;
		n = n >> 33 ? UINT64_MAX : n << (10 * (u - unit + 1));
	} else if (*end) {
		return false;
	}
	*ret = n;
	return true;
}

static int set_number(const struct setting *t, const char *text, uint64_t *ret,
		      char *why, size_t why_size)
{
	char min[32], max[32];
	uint64_t n;

	if (!parse_number(t, text, &n)) {
		snprintf(why, why_size, "%s=%s: a number is wanted%s", t->name,
			 text,
			 t->form == SIZE ? ", or one with K, M or G" : "");
		return BUS_ESETTING;
	}
	if (n >= t->min && n <= t->max) {
		*ret = n;
		return 0;
	}
	print_size(t->min, min, sizeof(min));
	print_size(t->max, max, sizeof(max));
	if (t->form == NUMBER) {
		snprintf(min, sizeof(min), "%llu", (unsigned long long)t->min);
		snprintf(max, sizeof(max), "%llu", (unsigned long long)t->max);
	}
	snprintf(why, why_size, "%s=%s is out of range: %s to %s is allowed",
		 t->name, text, min, max);
	return BUS_ERANGE;
}

static int set_word(const struct setting *t, const char *text, uint64_t *ret,
		    char *why, size_t why_size)
{
	for (unsigned i = 0; i < 2 && t->word[i]; i++) {
		if (!strcmp(text, t->word[i])) {
			*ret = t->word_value[i];
			return 0;
		}
	}
	if (t->refused && !strcmp(text, t->refused))
		snprintf(why, why_size, "%s=%s %s; allowed: %s%s%s", t->name,
			 text, t->reason, t->word[0], t->word[1] ? ", " : "",
			 t->word[1] ? t->word[1] : "");
	else
		snprintf(why, why_size, "%s=%s: no such value; allowed: %s%s%s",
			 t->name, text, t->word[0], t->word[1] ? ", " : "",
			 t->word[1] ? t->word[1] : "");
	return BUS_ESETTING;
}

/* ---- All of them ------------------------------------------------------ */

/* What is not set and depends on what is. */
static void derive(struct busd_settings *s)
{
	uint64_t most = s->value[BUSD_RING_BYTES] / 4 - BUSD_FRAME_OVERHEAD;

	if (s->set & 1u << BUSD_MAX_MESSAGE_BYTES)
		return;
	s->value[BUSD_MAX_MESSAGE_BYTES] =
		most < MESSAGE_DEFAULT ? most : MESSAGE_DEFAULT;
}

void busd_settings_init(struct busd_settings *s)
{
	s->set = 0;
	for (unsigned i = 0; i < BUSD_SETTINGS; i++)
		s->value[i] = table[i].initial;
	derive(s);
}

uint64_t busd_settings_frame_max(const struct busd_settings *s)
{
	return (s->value[BUSD_MAX_MESSAGE_BYTES] + BUSD_FRAME_OVERHEAD +
		BUS_FRAME_ALIGN - 1) &
	       ~(uint64_t)(BUS_FRAME_ALIGN - 1);
}

static int check_together(const struct busd_settings *s, char *why,
			  size_t why_size)
{
	uint64_t ring = s->value[BUSD_RING_BYTES];
	uint64_t need = busd_settings_frame_max(s) * 4, power = BUS_PAGE;

	if (ring & (ring - 1)) {
		snprintf(why, why_size,
			 "ring.bytes=%llu is out of range: a power of two "
			 "from 4K to 1G is allowed",
			 (unsigned long long)ring);
		return BUS_ERANGE;
	}
	if (need <= ring)
		return 0;
	while (power < need)
		power *= 2;
	snprintf(why, why_size,
		 "max.message.bytes=%llu is out of range for ring.bytes=%llu: "
		 "a message may take a quarter of the ring; choose "
		 "max.message.bytes=%llu or ring.bytes=%llu",
		 (unsigned long long)s->value[BUSD_MAX_MESSAGE_BYTES],
		 (unsigned long long)ring,
		 (unsigned long long)(ring / 4 - BUSD_FRAME_OVERHEAD),
		 (unsigned long long)power);
	return BUS_ERANGE;
}

static int apply_line(struct busd_settings *s, char *line, char *why,
		      size_t why_size)
{
	char *value = strchr(line, '=');
	unsigned i;
	int r;

	if (!value) {
		snprintf(why, why_size, "%.100s: name=value is wanted", line);
		return BUS_ESETTING;
	}
	*value++ = '\0';
	for (i = 0; i < BUSD_SETTINGS; i++)
		if (!strcmp(line, table[i].name))
			break;
	if (i == BUSD_SETTINGS) {
		int n = snprintf(why, why_size,
				 "%.100s: no such setting; there are", line);

		for (i = 0; i < BUSD_SETTINGS && n < (int)why_size; i++)
			n += snprintf(why + n, why_size - (size_t)n, " %s",
				      table[i].name);
		return BUS_ESETTING;
	}
	if (strlen(value) > 100)
		value[100] = '\0'; /* no legal one is as long */
	r = table[i].form == WORD ?
		    set_word(&table[i], value, &s->value[i], why, why_size) :
		    set_number(&table[i], value, &s->value[i], why, why_size);
	if (r == 0)
		s->set |= 1u << i;
	return r;
}

int busd_settings_apply(struct busd_settings *s, char *text, char *why,
			size_t why_size)
{
	char *line;
	int r;

	while ((line = strsep(&text, "\n"))) {
		r = *line ? apply_line(s, line, why, why_size) : 0;
		if (r < 0)
			return r;
	}
	derive(s);
	return check_together(s, why, why_size);
}

void busd_settings_load(struct busd_settings *s,
			const struct bus_topic_page *page)
{
	busd_settings_init(s);
	s->set = page->settings_set;
	s->value[BUSD_RING_BYTES] = page->ring_bytes;
	s->value[BUSD_MAX_MESSAGE_BYTES] = page->max_message_bytes;
	s->value[BUSD_PRODUCERS] = page->producers;
	s->value[BUSD_SLOW_CONSUMER] = page->slow_consumer;
	s->value[BUSD_MAX_BLOCK_MS] = page->max_block_ms;
	s->value[BUSD_STALL_FENCE_MS] = page->stall_fence_ms;
}

void busd_settings_store(const struct busd_settings *s,
			 struct bus_topic_page *page)
{
	bus_store(&page->settings_set, s->set);
	bus_store(&page->ring_bytes, s->value[BUSD_RING_BYTES]);
	bus_store(&page->max_message_bytes, s->value[BUSD_MAX_MESSAGE_BYTES]);
	bus_store(&page->producers, (uint32_t)s->value[BUSD_PRODUCERS]);
	bus_store(&page->slow_consumer, (uint32_t)s->value[BUSD_SLOW_CONSUMER]);
	bus_store(&page->max_block_ms, s->value[BUSD_MAX_BLOCK_MS]);
	bus_store(&page->stall_fence_ms, s->value[BUSD_STALL_FENCE_MS]);
}

size_t busd_settings_print(const struct busd_settings *s, char *text,
			   size_t size)
{
	char value[32];
	size_t n = 0;

	for (unsigned i = 0; i < BUSD_SETTINGS; i++) {
		print_value(&table[i], s->value[i], value, sizeof(value));
		n += (size_t)snprintf(text + n, size - n, "%s=%s %s\n",
				      table[i].name, value,
				      s->set & 1u << i ? "set" : "default");
	}
	return n;
}

bool busd_settings_differ(const struct busd_settings *have,
			  const struct busd_settings *want, char *why,
			  size_t why_size)
{
	char a[32], b[32];

	for (unsigned i = 0; i < BUSD_SETTINGS; i++) {
		if (have->value[i] == want->value[i])
			continue;
		print_value(&table[i], have->value[i], a, sizeof(a));
		print_value(&table[i], want->value[i], b, sizeof(b));
		snprintf(why, why_size, "%s is %s, not %s", table[i].name, a,
			 b);
		return true;
	}
	return false;
}
