/* SPDX-License-Identifier: MIT */
/*
 * key.c - which partition a key goes to: as Kafka's default partitioner does.
 *
 * murmur2 is Austin Appleby's MurmurHash2 (public domain) in the variant with
 * the seed that Kafka uses; the sign bit is dropped, then modulo. Records with
 * one key are in order only as long as every client agrees on this function,
 * also those that reach the topic through a gateway.
 */
#include <bus/bus.h>

#include <string.h>

#define SEED UINT32_C(0x9747b28c)
#define M UINT32_C(0x5bd1e995)
#define R 24

static uint32_t murmur2(const uint8_t *p, size_t size)
{
	uint32_t h = SEED ^ (uint32_t)size;

	for (; size >= 4; p += 4, size -= 4) {
		uint32_t k = (uint32_t)p[0] | (uint32_t)p[1] << 8 |
			     (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

		k *= M;
		k ^= k >> R;
		k *= M;
		h = h * M ^ k;
	}
	if (size >= 3)
		h ^= (uint32_t)p[2] << 16;
	if (size >= 2)
		h ^= (uint32_t)p[1] << 8;
	if (size >= 1)
		h = (h ^ p[0]) * M;
	h ^= h >> 13;
	h *= M;
	return h ^ h >> 15;
}

uint32_t bus_partition_of(const void *key, size_t key_size, uint32_t partitions)
{
	if (partitions <= 1)
		return 0;
	return (murmur2(key, key_size) & INT32_MAX) % partitions;
}
