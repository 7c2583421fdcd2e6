/* SPDX-License-Identifier: MIT */
/*
 * test_key.c - keys go to the partitions that Kafka's clients choose.
 *
 * The vectors were computed by kafka-python 3.0.12, an independent client:
 *
 *	from kafka.partitioner.default import murmur2
 *	h = murmur2(key) & 0xffffffff
 *	partition = (h & 0x7fffffff) % partitions
 *
 * Those of "21" up to "abc" also stand in the tests of Kafka's own Java client.
 */
#define _GNU_SOURCE
#include "util.h"

static const struct vector {
	const char *key;
	size_t size;
	uint32_t hash;
	uint32_t of_3, of_12, of_256;
} vectors[] = {
	{ "", 0, 0x106e08d9, 0, 9, 217 },
	{ "\013", 1, 0x14a1b3bb, 1, 7, 187 },
	{ "\026\073", 2, 0x2586e82a, 1, 10, 42 },
	{ "\041Fk", 3, 0x41bad224, 2, 8, 36 },
	{ "\054Qv\233", 4, 0x17ee62d0, 0, 0, 208 },
	{ "7\134\201\246\313", 5, 0xb5f28edd, 1, 1, 221 },
	{ "Bg\214\261\326\373", 6, 0x95353357, 2, 11, 87 },
	{ "Mr\227\274\341\006\053", 7, 0x2b40fb8f, 0, 3, 143 },
	{ "X\175\242\307\354\0216\133", 8, 0x33cb5de8, 0, 0, 232 },
	{ "c\210\255\322\367\034Af\213", 9, 0x4d2e72da, 2, 2, 218 },
	{ "n\223\270\335\002\047Lq\226\273", 10, 0x99c7488c, 1, 4, 140 },
	{ "y\236\303\350\0152W\174\241\306\353", 11, 0x4813739f, 2, 11, 159 },
	{ "\204\251\316\363\030\075b\207\254\321\366\033", 12, 0x413bf0a6, 2, 2,
	  166 },
	{ "\217\264\331\376\043Hm\222\267\334\001\046K", 13, 0x1bf1e024, 0, 0,
	  36 },
	{ "\232\277\344\011\056Sx\235\302\347\0141V\173", 14, 0x814786bb, 0, 3,
	  187 },
	{ "\245\312\357\0249\136\203\250\315\362\027\074a\206\253", 15,
	  0x45eccd0f, 0, 3, 15 },
	{ "\260\325\372\037Di\216\263\330\375\042Gl\221\266\333", 16,
	  0xbfffb757, 0, 3, 87 },
	{ "\273\340\005\052Ot\231\276\343\010-Rw\234\301\346\013", 17,
	  0x4cb73546, 1, 10, 70 },
	{ "\306\353\0205Z\177\244\311\356\0238\135\202\247\314\361"
	  "\026\073",
	  18, 0x3e16a850, 2, 8, 80 },
	{ "\321\366\033\100e\212\257\324\371\036Ch\215\262\327\374"
	  "\041Fk",
	  19, 0xbf5a5aa2, 0, 6, 162 },
	{ "\334\001\046Kp\225\272\337\004\051Ns\230\275\342\007\054"
	  "Qv\233",
	  20, 0x55cc99ff, 1, 7, 255 },
	{ "21", 2, 0xc5f2f8ec, 0, 0, 236 },
	{ "foobar", 6, 0xd0e47bbe, 0, 6, 190 },
	{ "a-little-bit-long-string", 24, 0xc53b1da0, 2, 8, 160 },
	{ "a-little-bit-longer-string", 26, 0xa768c9c3, 2, 11, 195 },
	{ "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 48, 0xfc7d49cd, 2,
	  5, 205 },
	{ "abc", 3, 0x1c94221b, 0, 3, 27 },
	{ "customer-1", 10, 0x739be9c1, 0, 9, 193 },
	{ "customer-2", 10, 0x758a1886, 2, 2, 134 },
	{ "\305\274\303\263\305\202\304\207", 8, 0x1c53c761, 2, 5, 97 },
	{ "\346\227\245\346\234\254\350\252\236", 9, 0x555873ca, 1, 10, 202 },
	{ "\360\237\232\214", 4, 0x2d2bbc4c, 1, 4, 76 },
	{ "\000", 1, 0x166197bc, 2, 8, 188 },
	{ "\000\000\000\000", 4, 0x32b89340, 1, 4, 64 },
	{ "a\000b", 3, 0xfed14e49, 0, 9, 73 },
	{ "\377\377\377\377\377\377\377", 7, 0xfbc02593, 1, 7, 147 },
	{ "\200\201\202", 3, 0x8a3e2003, 2, 11, 3 },
};

static void keys_go_where_kafka_sends_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(vectors); i++) {
		const struct vector *v = &vectors[i];

		check(bus_partition_of(v->key, v->size, 3), ==, v->of_3);
		check(bus_partition_of(v->key, v->size, 12), ==, v->of_12);
		check(bus_partition_of(v->key, v->size, 256), ==, v->of_256);
	}
}

/* With so many partitions the hash itself shows, but for its sign. */
static void the_hash_is_murmur2(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(vectors); i++)
		check(bus_partition_of(vectors[i].key, vectors[i].size,
				       UINT32_C(0x80000000)),
		      ==, vectors[i].hash & 0x7fffffff);
}

static void one_partition_takes_all(void **state)
{
	(void)state;
	check(bus_partition_of("21", 2, 1), ==, 0);
	check(bus_partition_of("21", 2, 0), ==, 0);
	check(bus_partition_of(NULL, 0, 1), ==, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_go_where_kafka_sends_them),
		cmocka_unit_test(the_hash_is_murmur2),
		cmocka_unit_test(one_partition_takes_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
