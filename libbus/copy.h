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
typedef long long bus_vector
	__attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t bus_copy_word __attribute__((aligned(1), may_alias));

/*
 * 32 bytes, in words. What is sent was mostly filled in a moment ago, field by
 * field, and is in the store buffer still. A load that lies within one of
 * those stores is served from there; one that spans several, as a vector does,
 * waits until all of them are in the cache, and so are all stores before them:
 * those into the last frame, whose line is on its way from another core. The
 * asm keeps the compiler from making vectors of it.
 */
static inline void bus_copy_32(uint8_t *to, const uint8_t *from)
{
	const bus_copy_word *f = (const bus_copy_word *)from;
	bus_copy_word *t = (bus_copy_word *)to;
	uint64_t a = f[0], b = f[1], c = f[2], d = f[3];

	__asm__("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
	t[0] = a;
	t[1] = b;
	t[2] = c;
	t[3] = d;
}

static inline void bus_copy_16(uint8_t *to, const uint8_t *from)
{
	const bus_copy_word *f = (const bus_copy_word *)from;
	bus_copy_word *t = (bus_copy_word *)to;
	uint64_t a = f[0], b = f[1];

	__asm__("" : "+r"(a), "+r"(b));
	t[0] = a;
	t[1] = b;
}

/* 32 bytes that were not written just now. */
static inline void bus_copy_vector(uint8_t *to, const uint8_t *from)
{
	const bus_vector *f = (const bus_vector *)from;
	bus_vector *t = (bus_vector *)to;
	bus_vector a = f[0], b = f[1];

	t[0] = a;
	t[1] = b;
}

/* More than 64 bytes. Up to 512 a loop beats the call of memcpy. */
static __attribute__((noinline, unused)) void
bus_copy_large(uint8_t *to, const uint8_t *from, size_t size)
{
	size_t i;

	bus_copy_32(to, from);
	bus_copy_32(to + 32, from + 32);
	if (size > 512) {
		memcpy(to + 64, from + 64, size - 64);
		return;
	}
	for (i = 64; i < size - 32; i += 32)
		bus_copy_vector(to + i, from + i);
	bus_copy_vector(to + size - 32, from + size - 32);
}

/* Fewer than 16 bytes. */
static __attribute__((noinline, unused)) void
bus_copy_tiny(uint8_t *to, const uint8_t *from, size_t size)
{
	if (size >= 8) {
		*(bus_copy_word *)to = *(const bus_copy_word *)from;
		*(bus_copy_word *)(to + size - 8) =
			*(const bus_copy_word *)(from + size - 8);
		return;
	}
	while (size--)
		*to++ = *from++;
}

/* Most records are small: a few moves, the last ones overlapping, are faster
 * than the call of memcpy, which has to find the size out anew. */
static inline __attribute__((always_inline)) void
bus_copy(void *to, const void *from, size_t size)
{
	uint8_t *t = to;
	const uint8_t *f = from;

	if (unlikely(size > 64)) {
		bus_copy_large(t, f, size);
	} else if (size >= 32) {
		bus_copy_32(t, f);
		if (size > 32)
			bus_copy_32(t + size - 32, f + size - 32);
	} else if (size >= 16) {
		bus_copy_16(t, f);
		bus_copy_16(t + size - 16, f + size - 16);
	} else if (size == 8) {
		memcpy(t, f, 8);
	} else if (size) {
		bus_copy_tiny(t, f, size);
	}
}
#endif

#endif
