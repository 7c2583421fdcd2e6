/* SPDX-License-Identifier: MIT */
/*
 * record.c - encoding and decoding of records inside a frame.
 *
 * The encoder trusts its caller's memory; the decoder trusts nobody's: the
 * bytes are another process's, and may change while it looks. Each size is
 * loaded once, checked against what is left of the frame, and only then used.
 * What a hostile producer can reach is a record that is garbage inside its own
 * frame.
 */
#include "record.h"

#include <string.h>

#define HEADER_FIXED 6 /* 2 bytes size of the name, 4 of the value */
#define HEADER_NULL UINT32_MAX

static uint64_t headers_size(const struct bus_message *m)
{
	uint64_t size = 0;

	for (size_t i = 0; i < m->n_headers; i++) {
		const struct bus_header *h = &m->headers[i];

		if (h->name_size > UINT16_MAX ||
		    h->value_size > BUS_HEADERS_MAX)
			return UINT64_MAX;
		size += HEADER_FIXED + h->name_size + h->value_size;
		if (size > BUS_HEADERS_MAX)
			return UINT64_MAX;
	}
	return size;
}

uint64_t bus_record_size_any(const struct bus_message *m, bool times)
{
	uint64_t headers = headers_size(m);

	if (headers == UINT64_MAX || m->value_size > BUS_RECORD_SIZE_MASK ||
	    m->key_size > BUS_RECORD_SIZE_MASK)
		return 0;
	return UINT64_C(8) * (1u + times + !!m->n_headers) +
	       bus_pad8(m->key_size) + bus_pad8(headers) +
	       bus_pad8(m->value_size);
}

static uint8_t *put(uint8_t *to, const void *from, size_t size)
{
	bus_copy(to, from, size);
	return to + size;
}

static uint8_t *put_word(uint8_t *to, uint64_t word)
{
	return put(to, &word, sizeof(word));
}

static uint8_t *put_headers(uint8_t *to, const struct bus_message *m)
{
	uint8_t *begin = to;

	for (size_t i = 0; i < m->n_headers; i++) {
		const struct bus_header *h = &m->headers[i];
		uint16_t name = (uint16_t)h->name_size;
		uint32_t value = h->value || h->value_size ?
					 (uint32_t)h->value_size :
					 HEADER_NULL;

		to = put(to, &name, sizeof(name));
		to = put(to, &value, sizeof(value));
		to = put(to, h->name, h->name_size);
		to = put(to, h->value, h->value_size);
	}
	return begin + bus_pad8((uint64_t)(to - begin));
}

uint8_t *bus_record_encode(uint8_t *to, const struct bus_message *m, bool times,
			   void **value_at)
{
	uint64_t word = m->value_size | m->key_size << BUS_RECORD_SIZE_BITS;

	if (m->key)
		word |= BUS_RECORD_KEY;
	if (m->n_headers)
		word |= BUS_RECORD_HEADERS;
	if (!m->value && !m->value_size && !value_at)
		word |= BUS_RECORD_NULL;
	to = put_word(to, word);
	if (times)
		to = put_word(to, (uint64_t)m->timestamp);
	if (m->n_headers)
		to = put_word(to, headers_size(m));
	bus_copy(to, m->key, m->key_size);
	to += bus_pad8(m->key_size);
	if (m->n_headers)
		to = put_headers(to, m);
	if (value_at)
		*value_at = to;
	else
		bus_copy(to, m->value, m->value_size);
	return to + bus_pad8(m->value_size);
}

/* A word at @at, loaded once; the caller has checked that it is inside. */
static uint64_t word_at(const uint8_t *at)
{
	return bus_load((const uint64_t *)(const void *)at);
}

const uint8_t *bus_record_decode_any(const uint8_t *at, const uint8_t *end,
				     bool times, struct bus_record *ret)
{
	uint64_t left = (uint64_t)(end - at), word, value, key, headers = 0;
	uint64_t fixed = 8 + (times ? 8 : 0);

	if (left < fixed)
		return NULL;
	word = word_at(at);
	if (times)
		ret->timestamp = (int64_t)word_at(at + 8);
	if (word & BUS_RECORD_HEADERS) {
		fixed += 8;
		if (left < fixed)
			return NULL;
		headers = word_at(at + fixed - 8);
		if (headers > BUS_HEADERS_MAX)
			return NULL;
	}
	value = word & BUS_RECORD_SIZE_MASK;
	key = word >> BUS_RECORD_SIZE_BITS & BUS_RECORD_SIZE_MASK;
	if (left - fixed < bus_pad8(key) + bus_pad8(headers) + bus_pad8(value))
		return NULL;
	at += fixed;
	ret->key = word & BUS_RECORD_KEY ? at : NULL;
	ret->key_size = key;
	at += bus_pad8(key);
	ret->headers = at;
	ret->headers_size = headers;
	at += bus_pad8(headers);
	ret->value = word & BUS_RECORD_NULL ? NULL : at;
	ret->value_size = word & BUS_RECORD_NULL ? 0 : value;
	return at + bus_pad8(value);
}

/* The header at @at. Return: the next one; NULL if it does not fit. */
static const uint8_t *header_at(const uint8_t *at, size_t left,
				struct bus_header *ret)
{
	uint16_t name;
	uint32_t value;

	if (left < HEADER_FIXED)
		return NULL;
	bus_copy(&name, at, sizeof(name));
	bus_copy(&value, at + 2, sizeof(value));
	at += HEADER_FIXED;
	left -= HEADER_FIXED;
	if (name > left)
		return NULL;
	ret->name = (const char *)at;
	ret->name_size = name;
	at += name;
	left -= name;
	ret->value = value == HEADER_NULL ? NULL : at;
	if (value == HEADER_NULL)
		value = 0;
	if (value > left)
		return NULL;
	ret->value_size = value;
	return at + value;
}

int bus_record_header(const struct bus_record *record, size_t i,
		      struct bus_header *ret)
{
	const uint8_t *at = record->headers;
	const uint8_t *end = at + record->headers_size;
	struct bus_header h;

	do {
		if (at == end)
			return 0;
		at = header_at(at, (size_t)(end - at), &h);
		if (!at)
			return BUS_ECORRUPT;
	} while (i--);
	*ret = h;
	return 1;
}
