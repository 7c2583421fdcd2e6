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
__attribute__((no_sanitize("thread"), noinline)) static void
bus_copy(void *to, const void *from, size_t size)
{
	volatile uint8_t *t = to;
	const volatile uint8_t *f = from;

	while (size--)
		*t++ = *f++;
}
#else
/*
 * Most records are small: two overlapping moves of a fixed size each beat the
 * call of memcpy, which has to find the size out anew.
 */
static inline void bus_copy(void *to, const void *from, size_t size)
{
	uint8_t *t = to;
	const uint8_t *f = from;

#define TWO_MOVES(n)                                                           \
	do {                                                                   \
		struct {                                                       \
			uint8_t b[n];                                          \
		} first, last;                                                 \
		memcpy(&first, f, n);                                          \
		memcpy(&last, f + size - (n), n);                              \
		memcpy(t, &first, n);                                          \
		memcpy(t + size - (n), &last, n);                              \
	} while (0)

	if (size > 64)
		memcpy(t, f, size);
	else if (size >= 32)
		TWO_MOVES(32);
	else if (size >= 16)
		TWO_MOVES(16);
	else if (size >= 8)
		TWO_MOVES(8);
	else if (size >= 4)
		TWO_MOVES(4);
	else if (size >= 2)
		TWO_MOVES(2);
	else if (size)
		*t = *f;
#undef TWO_MOVES
}
#endif

#endif
