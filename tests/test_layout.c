/* SPDX-License-Identifier: MIT */
/*
 * test_layout.c - docs/layout.md and libbus/layout.h say the same.
 *
 * The tables of the document name "struct.member | offset | size". Each line
 * must be true of the header, and each member that is not padding must have
 * its line; the list below is what the compiler makes of the header.
 */
#define _GNU_SOURCE
#include "util.h"

#include <stdio.h>

#include "layout.h"

#define MEMBER(s, m)                                                           \
	{                                                                      \
#s "." #m, offsetof(struct s, m), sizeof(((struct s *)0)->m)   \
	}

static const struct member {
	const char *name;
	size_t offset, size;
} members[] = {
	MEMBER(bus_frame, word0),
	MEMBER(bus_frame, word1),
	MEMBER(bus_frame, word2),
	MEMBER(bus_frame, word3),
	MEMBER(bus_ring_control, tail),
	MEMBER(bus_ring_control, closing),
	MEMBER(bus_ring_control, free),
	MEMBER(bus_ring_control, mark),
	MEMBER(bus_slot, pin),
	MEMBER(bus_slot, want_size),
	MEMBER(bus_slot, want_off),
	MEMBER(bus_slot, last),
	MEMBER(bus_slot, phase),
	MEMBER(bus_slot, records),
	MEMBER(bus_slot, bytes),
	MEMBER(bus_slot, mutex),
	MEMBER(bus_slot, epoch),
	MEMBER(bus_slot, tid),
	MEMBER(bus_stats, waits),
	MEMBER(bus_stats, wakes),
	MEMBER(bus_stats, lost),
	MEMBER(bus_stats, laps),
	MEMBER(bus_stats, bucket),
	MEMBER(bus_bells, magic),
	MEMBER(bus_bells, version),
	MEMBER(bus_bells, partition),
	MEMBER(bus_bells, topic_id),
	MEMBER(bus_bells, data),
	MEMBER(bus_bells, room),
	MEMBER(bus_consumer_line, pos),
	MEMBER(bus_consumer_line, off),
	MEMBER(bus_consumer_line, phase),
	MEMBER(bus_consumer_line, records),
	MEMBER(bus_consumer_line, bytes),
	MEMBER(bus_topic_page, magic),
	MEMBER(bus_topic_page, version),
	MEMBER(bus_topic_page, partitions),
	MEMBER(bus_topic_page, signature),
	MEMBER(bus_topic_page, topic_id),
	MEMBER(bus_topic_page, name),
	MEMBER(bus_topic_page, max_message_bytes),
	MEMBER(bus_topic_page, ring_bytes),
	MEMBER(bus_topic_page, max_block_ms),
	MEMBER(bus_topic_page, stall_fence_ms),
	MEMBER(bus_topic_page, slow_consumer),
	MEMBER(bus_topic_page, producers),
	MEMBER(bus_topic_page, settings_set),
	MEMBER(bus_owner, client),
	MEMBER(bus_owner, request),
	MEMBER(bus_owner, epoch),
	MEMBER(bus_owner, producer_id),
	MEMBER(bus_owner, pid),
	MEMBER(bus_owner, given),
	MEMBER(bus_partition_page, written),
	MEMBER(bus_partition_page, durable),
	MEMBER(bus_partition_page, reserved),
	MEMBER(bus_partition_page, consumers_used),
	MEMBER(bus_partition_page, consumer),
	MEMBER(bus_verdict, pos),
	MEMBER(bus_verdict, next_pos),
	MEMBER(bus_verdict, next_off),
	MEMBER(bus_ring_head, magic),
	MEMBER(bus_ring_head, version),
	MEMBER(bus_ring_head, partition),
	MEMBER(bus_ring_head, signature),
	MEMBER(bus_ring_head, topic_id),
	MEMBER(bus_ring_head, ring_id),
	MEMBER(bus_ring_head, ring_seq),
	MEMBER(bus_ring_head, ring_bytes),
	MEMBER(bus_ring_head, mirror_bytes),
	MEMBER(bus_ring_head, frame_max),
	MEMBER(bus_ring_head, salt),
	MEMBER(bus_ring_head, first_pos),
	MEMBER(bus_ring_head, first_off),
	MEMBER(bus_ring_head, one),
	MEMBER(bus_ring_head, has_log),
	MEMBER(bus_ring_head, owner),
	MEMBER(bus_ring_head, slots_used),
	MEMBER(bus_ring_head, closed),
	MEMBER(bus_ring_head, complete),
	MEMBER(bus_ring_head, n_verdict),
	MEMBER(bus_ring_head, gone),
	MEMBER(bus_ring_head, end),
	MEMBER(bus_ring_head, verdict),
	MEMBER(bus_ring_head, slot),
};

static const struct member *member_of(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(members); i++)
		if (!strcmp(members[i].name, name))
			return &members[i];
	return NULL;
}

static FILE *open_document(void)
{
	FILE *f = fopen("docs/layout.md", "re");

	if (!f)
		test_skip("docs/layout.md is not here: run it from the top of "
			  "the tree");
	return f;
}

static void the_document_tells_the_truth(void **state)
{
	char line[1024], name[128];
	FILE *f = open_document();
	size_t n = 0;

	(void)state;
	while (fgets(line, sizeof(line), f)) {
		const struct member *m;
		size_t offset, size;

		if (sscanf(line, "| %127[a-z0-9_.] | %zu | %zu |", name,
			   &offset, &size) != 3)
			continue;
		m = member_of(name);
		if (!m)
			fprintf(stderr, "not in layout.h: %s\n", name);
		check_true(m);
		if (m->offset != offset || m->size != size)
			fprintf(stderr, "not so: %s", line);
		check(m->offset, ==, offset);
		check(m->size, ==, size);
		n++;
	}
	fclose(f);
	check(n, ==, N_ELEMENTS(members));
}

static void the_document_tells_the_sizes(void **state)
{
	static const struct {
		const char *name;
		size_t size;
	} sizes[] = {
		{ "struct bus_frame", sizeof(struct bus_frame) },
		{ "struct bus_ring_control", sizeof(struct bus_ring_control) },
		{ "struct bus_slot", sizeof(struct bus_slot) },
		{ "struct bus_stats", sizeof(struct bus_stats) },
		{ "struct bus_bells", sizeof(struct bus_bells) },
		{ "struct bus_consumer_line",
		  sizeof(struct bus_consumer_line) },
		{ "struct bus_topic_page", sizeof(struct bus_topic_page) },
		{ "struct bus_owner", sizeof(struct bus_owner) },
		{ "struct bus_partition_page",
		  sizeof(struct bus_partition_page) },
		{ "struct bus_verdict", sizeof(struct bus_verdict) },
		{ "struct bus_ring_head", sizeof(struct bus_ring_head) },
	};
	char text[65536], want[128];
	FILE *f = open_document();
	size_t n = fread(text, 1, sizeof(text) - 1, f);

	(void)state;
	fclose(f);
	text[n] = 0;
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		snprintf(want, sizeof(want), "`sizeof(%s)` = %zu",
			 sizes[i].name, sizes[i].size);
		check_text(text, want);
	}
}

static void magic_numbers_are_words(void **state)
{
	static const struct {
		uint64_t magic;
		const char *word;
	} magics[] = { { BUS_MAGIC_TOPIC, "busto" },
		       { BUS_MAGIC_PART, "buspa" },
		       { BUS_MAGIC_HEAD, "bushe" } };

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(magics); i++)
		check(memcmp(&magics[i].magic, magics[i].word, 6), ==, 0);
}

/* Whoever changes the layout changes this number here, on purpose. */
static void the_signature_is_that_of_this_version(void **state)
{
	(void)state;
	check(BUS_LAYOUT_VERSION, ==, 1);
	check(bus_layout_signature(), ==, UINT64_C(0x16aa74c9b903a524));
}

/* Words of different writers are lines apart, those of different rights pages. */
static void writers_do_not_share_lines(void **state)
{
	(void)state;
	check(offsetof(struct bus_ring_control, closing) -
		      offsetof(struct bus_ring_control, tail),
	      >=, 2 * BUS_LINE);
	check(offsetof(struct bus_slot, mutex) % BUS_LINE, ==, 0);
	check(sizeof(struct bus_slot) % BUS_LINE, ==, 0);
	check(sizeof(struct bus_consumer_line) % BUS_LINE, ==, 0);
	check(offsetof(struct bus_bells, data) % BUS_LINE, ==, 0);
	check(BUS_PART_LINES % BUS_PAGE, ==, 0);
	check(BUS_PART_STATS % BUS_PAGE, ==, 0);
	check(BUS_RING_SLOTS % BUS_PAGE, ==, 0);
	check(BUS_RING_STATS % BUS_PAGE, ==, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_document_tells_the_truth),
		cmocka_unit_test(the_document_tells_the_sizes),
		cmocka_unit_test(magic_numbers_are_words),
		cmocka_unit_test(the_signature_is_that_of_this_version),
		cmocka_unit_test(writers_do_not_share_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
