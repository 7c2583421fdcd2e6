/* SPDX-License-Identifier: MIT */
/*
 * copy.h - payload to and from a ring.
 *
 * A reader that does not block may copy while a producer goes over the same
 * bytes; it finds out afterwards and drops the copy (ring.c, guarantee D).
 * ThreadSanitizer would call that a race, so its build copies in a function
 * that it does not look into.
 */
#ifndef BUS_COPY_H
#define BUS_COPY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "atomic.h"

#ifdef BUS_TSAN
__attribute__((no_sanitize("thread"), noinline, unused)) static void
bus_copy(void *to, const void *from, size_t size)
{
	volatile uint8_t *t = to;
	const volatile uint8_t *f = from;

	while (size--)
		*t++ = *f++;
}
#else
/* 16 bytes at any address, in a register. */
typedef long long bus_vector
	__attribute__((vector_size(16), aligned(1), may_alias));

/*
 * Most records are small: two overlapping moves of a fixed size each beat the
 * call of memcpy, which has to find the size out anew.
 */
static inline void bus_copy(void *to, const void *from, size_t size)
{
	uint8_t *t = to;
	const uint8_t *f = from;

#define TWO_MOVES(type)                                                        \
	do {                                                                   \
		type first, last;                                              \
		memcpy(&first, f, sizeof(type));                               \
		memcpy(&last, f + size - sizeof(type), sizeof(type));          \
		memcpy(t, &first, sizeof(type));                               \
		memcpy(t + size - sizeof(type), &last, sizeof(type));          \
	} while (0)

	if (size > 64) {
		memcpy(t, f, size);
	} else if (size >= 32) {
		bus_vector a = *(const bus_vector *)f;
		bus_vector b = *(const bus_vector *)(f + 16);
		bus_vector c = *(const bus_vector *)(f + size - 32);
		bus_vector d = *(const bus_vector *)(f + size - 16);

		*(bus_vector *)t = a;
		*(bus_vector *)(t + 16) = b;
		*(bus_vector *)(t + size - 32) = c;
		*(bus_vector *)(t + size - 16) = d;
	} else if (size >= 16) {
		TWO_MOVES(bus_vector);
	} else if (size >= 8) {
		TWO_MOVES(uint64_t);
	} else if (size >= 4) {
		TWO_MOVES(uint32_t);
	} else if (size >= 2) {
		TWO_MOVES(uint16_t);
	} else if (size) {
		*t = *f;
	}
#undef TWO_MOVES
}
#endif

#endif
