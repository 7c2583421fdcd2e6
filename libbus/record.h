/* SPDX-License-Identifier: MIT */
/* record.h - records inside a frame: layout.h says how they look. */
#ifndef BUS_RECORD_H
#define BUS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bus/bus.h>

#include "copy.h"
#include "layout.h"

static inline uint64_t bus_pad8(uint64_t size)
{
	return (size + 7) & ~UINT64_C(7);
}

/* A record that is nothing but its value needs no encoding. */
static inline bool bus_message_bare(const struct bus_message *m)
{
	return !m->key && !m->n_headers && (m->value || m->value_size);
}

/* A record that is a value and nothing else, also within a batch: the common
 * case, which is handled inline. */
static inline bool bus_message_plain(const struct bus_message *m)
{
	return !m->key && !m->n_headers && m->value;
}

/* encoding */

/*
 * Bytes of an encoded record. @times: with a timestamp of its own.
 * Return: the size, at least 8; 0 if a part of it is larger than can be said.
 */
uint64_t bus_record_size_any(const struct bus_message *m, bool times);

static inline uint64_t bus_record_size(const struct bus_message *m, bool times)
{
	if (likely(!times && bus_message_plain(m) &&
		   m->value_size <= BUS_RECORD_SIZE_MASK))
		return 8 + bus_pad8(m->value_size);
	return bus_record_size_any(m, times);
}

/*
 * Encode at @to, a multiple of 8, where bus_record_size() bytes are free.
 * @times:    with a timestamp of its own.
 * @value_at: NULL, or gets where the value begins, and it is not copied.
 * Return: the end, a multiple of 8.
 */
uint8_t *bus_record_encode(uint8_t *to, const struct bus_message *m, bool times,
			   void **value_at);

/* The same for a plain one without a timestamp, at a place that is left. */
static inline uint8_t *bus_record_encode_plain(uint8_t *to,
					       const struct bus_message *m)
{
	uint64_t word = m->value_size;

	bus_copy(to, &word, sizeof(word));
	bus_copy(to + 8, m->value, m->value_size);
	return to + 8 + bus_pad8(m->value_size);
}

/* decoding */

/*
 * Decode the record at @at; nothing at or behind @end is looked at.
 * @ret: value, key, headers, their sizes, and the timestamp if @times.
 * Return: where the next record begins, or NULL if it does not fit.
 */
const uint8_t *bus_record_decode_any(const uint8_t *at, const uint8_t *end,
				     bool times, struct bus_record *ret);

static inline const uint8_t *bus_record_decode(const uint8_t *at,
					       const uint8_t *end, bool times,
					       struct bus_record *ret)
{
	uint64_t left = (uint64_t)(end - at);
	uint64_t word;

	if (likely(left >= 8 && !times)) {
		/* loaded once: the sender may change it */
		word = bus_load((const uint64_t *)(const void *)at);
		if (likely(word <= BUS_RECORD_SIZE_MASK &&
			   bus_pad8(word) <= left - 8)) {
			ret->value = at + 8;
			ret->value_size = word;
			ret->key = NULL;
			ret->key_size = 0;
			ret->headers = NULL;
			ret->headers_size = 0;
			return at + 8 + bus_pad8(word);
		}
	}
	return bus_record_decode_any(at, end, times, ret);
}

#endif
