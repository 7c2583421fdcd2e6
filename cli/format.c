/* SPDX-License-Identifier: MIT */
/*
 * format.c - how bus consume prints a record: kcat's percent signs, or JSON.
 */
#include "format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "units.h"

#define LETTERS "sSkKoptTh%"

int cli_format_parse(const char *text, struct cli_format *ret)
{
	struct cli_format f = { .text = strdup(text) };

	if (!f.text)
		return -ENOMEM;
	if (cli_unescape(text, f.text, &f.size))
		goto bad;
	for (const char *p = f.text, *end = p + f.size;
	     (p = memchr(p, '%', (size_t)(end - p))); p += 2) {
		if (p + 1 == end || !p[1] || !strchr(LETTERS, p[1]))
			goto bad;
	}
	*ret = f;
	return 0;
bad:
	free(f.text);
	return -EINVAL;
}

void cli_format_free(struct cli_format *f)
{
	free(f->text);
	f->text = NULL;
}

static void put(const void *data, size_t size)
{
	if (size)
		fwrite(data, 1, size, stdout);
}

static void print_headers(const struct bus_record *r)
{
	struct bus_header h;

	for (size_t i = 0; bus_record_header(r, i, &h) == 1; i++) {
		if (i)
			putchar(',');
		put(h.name, h.name_size);
		putchar('=');
		put(h.value, h.value_size);
	}
}

static void print_size(const void *data, size_t size)
{
	if (data)
		printf("%zu", size);
	else
		fputs("-1", stdout);
}

static void print_part(char what, const char *topic, const struct bus_record *r)
{
	switch (what) {
	case 's':
		put(r->value, r->value_size);
		break;
	case 'S':
		print_size(r->value, r->value_size);
		break;
	case 'k':
		put(r->key, r->key_size);
		break;
	case 'K':
		print_size(r->key, r->key_size);
		break;
	case 'o':
		printf("%" PRId64, r->offset);
		break;
	case 'p':
		printf("%" PRIu32, r->partition);
		break;
	case 't':
		fputs(topic, stdout);
		break;
	case 'T':
		printf("%" PRId64, r->timestamp);
		break;
	case 'h':
		print_headers(r);
		break;
	default:
		putchar('%');
		break;
	}
}

void cli_format_print(const struct cli_format *f, const char *topic,
		      const struct bus_record *r)
{
	const char *p = f->text, *end = f->text + f->size;

	while (p < end) {
		const char *percent = memchr(p, '%', (size_t)(end - p));

		put(p, (size_t)((percent ? percent : end) - p));
		if (!percent)
			return;
		print_part(percent[1], topic, r);
		p = percent + 2;
	}
}

static void json_headers(struct cli_json *j, const struct bus_record *r)
{
	struct bus_header h;

	cli_json_open(j, "headers", '[');
	for (size_t i = 0; bus_record_header(r, i, &h) == 1; i++) {
		cli_json_open(j, NULL, '{');
		cli_json_bytes(j, "name", h.name, h.name_size);
		cli_json_bytes(j, "value", h.value, h.value_size);
		cli_json_close(j, '}');
	}
	cli_json_close(j, ']');
}

void cli_format_json(const char *topic, const struct bus_record *r)
{
	struct cli_json j = { 0 };

	cli_json_open(&j, NULL, '{');
	cli_json_string(&j, "topic", topic);
	cli_json_unsigned(&j, "partition", r->partition);
	cli_json_number(&j, "offset", r->offset);
	if (r->timestamp == BUS_NO_TIMESTAMP)
		cli_json_null(&j, "timestamp");
	else
		cli_json_number(&j, "timestamp", r->timestamp);
	cli_json_bytes(&j, "key", r->key, r->key_size);
	json_headers(&j, r);
	cli_json_bytes(&j, "value", r->value, r->value_size);
	cli_json_close(&j, '}');
	putchar('\n');
}
