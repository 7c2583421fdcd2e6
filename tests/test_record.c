/* SPDX-License-Identifier: MIT */
/*
 * test_record.c - records inside a frame: what goes in comes out, and bytes
 * that a hostile producer could leave there lead nowhere outside of them.
 *
 * The hostile part copies its bytes to the very end of an allocation, so that
 * AddressSanitizer and the check of each pointer see a read too far.
 */
#define _GNU_SOURCE
#include "util.h"

#include "record.h"

#define BUFFER 8192

static uint8_t buffer[BUFFER] __attribute__((aligned(64)));

static void check_bytes(const void *a, size_t a_size, const void *b,
			size_t b_size)
{
	check(!a, ==, !b);
	check(a_size, ==, b_size);
	if (a_size)
		check(memcmp(a, b, a_size), ==, 0);
}

static void check_headers(const struct bus_record *r,
			  const struct bus_message *m)
{
	struct bus_header h;

	for (size_t i = 0; i < m->n_headers; i++) {
		const struct bus_header *want = &m->headers[i];

		check(bus_record_header(r, i, &h), ==, 1);
		check(h.name_size, ==, want->name_size);
		check(memcmp(h.name, want->name, h.name_size), ==, 0);
		check_bytes(h.value, h.value_size, want->value,
			    want->value_size);
	}
	check(bus_record_header(r, m->n_headers, &h), ==, 0);
	check(bus_record_header(r, m->n_headers + 7, &h), ==, 0);
}

static void check_record(const struct bus_record *r,
			 const struct bus_message *m, bool times)
{
	check_bytes(r->value, r->value_size, m->value, m->value_size);
	check_bytes(r->key, r->key_size, m->key, m->key_size);
	check_headers(r, m);
	if (times)
		check(r->timestamp, ==, m->timestamp);
}

/* Encode some records in a row, and decode them. */
static void there_and_back(const struct bus_message *m, size_t n, bool times)
{
	uint8_t *to = buffer;
	const uint8_t *at = buffer;

	memset(buffer, 0xa5, sizeof(buffer));
	for (size_t i = 0; i < n; i++) {
		uint64_t size = bus_record_size(&m[i], times);
		uint8_t *end = bus_record_encode(to, &m[i], times, NULL);

		check(size, >=, 8);
		check(end - to, ==, size);
		to = end;
		check(*to, ==, 0xa5);
	}
	for (size_t i = 0; i < n; i++) {
		struct bus_record r = { 0 };

		at = bus_record_decode(at, to, times, &r);
		check_true(at);
		check_record(&r, &m[i], times);
	}
	check(at - to, ==, 0);
}

static const struct bus_header headers[] = {
	{ "trace", 5, "\0\1\2", 3 }, { "", 0, "", 0 },
	{ "none", 4, NULL, 0 },	     { "trace", 5, "again", 5 },
	{ "n\0l", 3, "\0", 1 },
};

static const struct bus_message messages[] = {
	{ .value = "v", .value_size = 1, .timestamp = 1 },
	{ .value = NULL, .value_size = 0, .timestamp = -1 },
	{ .value = "", .value_size = 0, .timestamp = INT64_MAX },
	{ .value = "v", .value_size = 1, .key = "", .key_size = 0 },
	{ .value = NULL, .key = "tombstone", .key_size = 9 },
	{ .value = "a\0b\0", .value_size = 4, .key = "\0\0", .key_size = 2 },
	{ .value = "12345678",
	  .value_size = 8,
	  .key = "12345678",
	  .key_size = 8,
	  .headers = headers,
	  .n_headers = 5 },
	{ .value = "1234567",
	  .value_size = 7,
	  .headers = headers,
	  .n_headers = 1,
	  .timestamp = INT64_MIN },
	{ .value = NULL, .headers = headers + 2, .n_headers = 1 },
};

static void a_record_comes_out_as_it_went_in(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(messages); i++)
		for (unsigned times = 0; times < 2; times++)
			there_and_back(&messages[i], 1, times);
}

static void records_follow_each_other(void **state)
{
	(void)state;
	there_and_back(messages, N_ELEMENTS(messages), false);
	there_and_back(messages, N_ELEMENTS(messages), true);
}

static void every_size_comes_out(void **state)
{
	static char bytes[512];
	uint64_t seed = 9;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)test_random(&seed);
	for (size_t value = 0; value < 300; value++) {
		struct bus_header h = { bytes, value / 2, bytes + 9, value };
		struct bus_message m = {
			.value = bytes,
			.value_size = value,
			.key = bytes + 7,
			.key_size = test_random(&seed) % 40,
			.headers = &h,
			.n_headers = value % 2,
		};

		there_and_back(&m, 1, value % 3 == 0);
	}
}

static void a_value_can_be_filled_in_later(void **state)
{
	struct bus_message m = { .value_size = 5, .key = "key", .key_size = 3 };
	struct bus_record r = { 0 };
	void *value = NULL;
	uint8_t *end = bus_record_encode(buffer, &m, false, &value);

	(void)state;
	check_true(value);
	memcpy(value, "later", 5);
	check_true(bus_record_decode(buffer, end, false, &r));
	check_bytes(r.value, r.value_size, "later", 5);
	check_bytes(r.key, r.key_size, "key", 3);
}

static void what_is_too_large_has_no_size(void **state)
{
	static char name[BUS_HEADERS_MAX + 2];
	struct bus_header h = { name, 65535, NULL, 0 };
	struct bus_message m = { .value = name, .value_size = 1 };
	struct bus_header many[3] = { { name, 30000, NULL, 0 },
				      { name, 30000, NULL, 0 },
				      { name, 30000, NULL, 0 } };

	(void)state;
	m.headers = &h;
	m.n_headers = 1;
	check(bus_record_size(&m, false), ==, 0); /* six bytes too many */
	h.name_size = 65535 - 6;
	check(bus_record_size(&m, false), >, 65535);
	h.name_size = 65536;
	check(bus_record_size(&m, false), ==, 0);
	h = (struct bus_header){ name, 1, name, (size_t)UINT32_MAX + 1 };
	check(bus_record_size(&m, false), ==, 0);
	m.headers = many;
	m.n_headers = 3;
	check(bus_record_size(&m, false), ==, 0);
	m.n_headers = 0;
	m.key = name;
	m.key_size = (size_t)1 << 40;
	check(bus_record_size(&m, false), ==, 0);
	m.key_size = 0;
	m.value_size = BUS_RECORD_SIZE_MASK + 1;
	check(bus_record_size(&m, false), ==, 0);
}

/* ---- Hostile bytes ------------------------------------------------------- */

static void check_inside(const void *p, size_t size, const uint8_t *begin,
			 const uint8_t *end)
{
	if (!p)
		return;
	check((const uint8_t *)p - begin, >=, 0);
	check(end - (const uint8_t *)p, >=, size);
}

/* Read all that the bytes claim to be; it must lie inside of them. */
static void read_all(const uint8_t *begin, const uint8_t *end, bool times)
{
	const uint8_t *at = begin;
	struct bus_record r = { 0 };
	struct bus_header h;

	while (at != end && (at = bus_record_decode(at, end, times, &r))) {
		check_inside(at, 0, begin, end);
		check_inside(r.value, r.value_size, begin, end);
		check_inside(r.key, r.key_size, begin, end);
		check_inside(r.headers, r.headers_size, begin, end);
		for (size_t i = 0; bus_record_header(&r, i, &h) == 1; i++) {
			check_inside(h.name, h.name_size, begin, end);
			check_inside(h.value, h.value_size, begin, end);
		}
	}
}

static void garbage_leads_nowhere_outside(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		size_t size = test_random(&seed) % 25 * 8;
		uint8_t *bytes = malloc(size + 1);
		uint64_t mask = ~UINT64_C(0);

		/* mostly small numbers, or all would fail at once */
		if (round % 4)
			mask = BUS_RECORD_HEADERS | BUS_RECORD_KEY |
			       UINT64_C(0x3f) << BUS_RECORD_SIZE_BITS | 0x3f;
		for (size_t i = 0; i < size; i += 8) {
			uint64_t word = test_random(&seed) & mask;

			memcpy(bytes + i, &word, 8);
		}
		read_all(bytes, bytes + size, round & 1);
		free(bytes);
	}
}

static void a_record_cut_short_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(messages); i++) {
		uint8_t *end =
			bus_record_encode(buffer, &messages[i], true, NULL);

		for (const uint8_t *e = buffer; e < end; e += 8) {
			struct bus_record r = { 0 };

			check_true(!bus_record_decode(buffer, e, true, &r));
			read_all(buffer, e, true);
		}
	}
}

/* One word changed to anything: whole or refused, never outside. */
static void a_flipped_word_leads_nowhere_outside(void **state)
{
	uint64_t seed = 77;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		uint8_t *end = buffer, *copy;
		size_t size, at;
		uint64_t word;

		for (size_t i = 0; i < N_ELEMENTS(messages); i++)
			end = bus_record_encode(end, &messages[i], false, NULL);
		size = (size_t)(end - buffer);
		copy = malloc(size);
		memcpy(copy, buffer, size);
		at = test_random(&seed) % size & ~(size_t)7;
		word = UINT64_C(1) << test_random(&seed) % 64;
		if (round & 1)
			word = test_random(&seed);
		for (size_t i = 0; i < 8; i++)
			copy[at + i] ^= (uint8_t)(word >> 8 * i);
		read_all(copy, copy + size, false);
		free(copy);
	}
}

static void headers_cut_short_are_corrupt(void **state)
{
	struct bus_message m = { .headers = headers,
				 .n_headers = 5,
				 .value = "v",
				 .value_size = 1 };
	struct bus_record r = { 0 };
	struct bus_header h = { 0 };
	uint8_t *end = bus_record_encode(buffer, &m, false, NULL);

	(void)state;
	check_true(bus_record_decode(buffer, end, false, &r));
	r.headers_size--;
	check(bus_record_header(&r, 3, &h), ==, 1);
	check_bytes(h.value, h.value_size, "again", 5);
	check(bus_record_header(&r, 4, &h), ==, BUS_ECORRUPT);
	check_bytes(h.value, h.value_size, "again", 5);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_comes_out_as_it_went_in),
		cmocka_unit_test(records_follow_each_other),
		cmocka_unit_test(every_size_comes_out),
		cmocka_unit_test(a_value_can_be_filled_in_later),
		cmocka_unit_test(what_is_too_large_has_no_size),
		cmocka_unit_test(garbage_leads_nowhere_outside),
		cmocka_unit_test(a_record_cut_short_is_refused),
		cmocka_unit_test(a_flipped_word_leads_nowhere_outside),
		cmocka_unit_test(headers_cut_short_are_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
