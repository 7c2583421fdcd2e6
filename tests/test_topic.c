/* SPDX-License-Identifier: MIT */
/* test_topic.c - topics are created, described, listed, altered, deleted. */
#define _GNU_SOURCE
#include "util.h"

#include <stdio.h>

/* ---- Create -------------------------------------------------------------- */

static void a_topic_is_there_once_created(void **state)
{
	struct test_bus *t = *state;
	struct bus_topic_info info;

	check(bus_topic_describe(t->bus, "orders", &info), ==, BUS_ENOENT);
	check_text(bus_detail(), "orders");
	check(bus_topic_create(t->bus, "orders", 0, NULL), ==, 0);
	check(bus_topic_describe(t->bus, "orders", &info), ==, 0);
	check(strcmp(info.name, "orders"), ==, 0);
	check(info.partitions, ==, 1);
	check(info.id, !=, 0);
	check_text(info.settings, "ring.bytes=");
	check_text(info.settings, "slow.consumer=drop default\n");
	check_text(info.settings, "producers=many default\n");
	check(test_status(t).n_topics, ==, 1);
}

static void settings_are_kept_as_they_were_given(void **state)
{
	struct test_bus *t = *state;
	struct bus_topic_info info;

	test_topic(t->bus, "t", 3,
		   SETTINGS("ring.bytes=64K", "max.message.bytes=1000",
			    "producers=one", "slow.consumer=block",
			    "max.block.ms=7", "stall.fence.ms=70"));
	check(bus_topic_describe(t->bus, "t", &info), ==, 0);
	check(info.partitions, ==, 3);
	check_text(info.settings, "ring.bytes=65536 set\n");
	check_text(info.settings, "max.message.bytes=1000 set\n");
	check_text(info.settings, "producers=one set\n");
	check_text(info.settings, "slow.consumer=block set\n");
	check_text(info.settings, "max.block.ms=7 set\n");
	check_text(info.settings, "stall.fence.ms=70 set\n");
}

static void creating_it_again_is_fine_only_if_it_is_the_same(void **state)
{
	struct test_bus *t = *state;
	struct bus_topic_info before, after;

	test_topic(t->bus, "t", 2, SETTINGS("ring.bytes=64K"));
	check(bus_topic_describe(t->bus, "t", &before), ==, 0);
	test_topic(t->bus, "t", 2, SETTINGS("ring.bytes=65536"));
	check(bus_topic_create(t->bus, "t", 2, SETTINGS("ring.bytes=128K")), ==,
	      BUS_EEXIST);
	check_text(bus_detail(), "ring.bytes");
	check(bus_topic_create(t->bus, "t", 3, SETTINGS("ring.bytes=64K")), ==,
	      BUS_EEXIST);
	check_text(bus_detail(), "partition");
	check(bus_topic_describe(t->bus, "t", &after), ==, 0);
	check(before.id, ==, after.id);
	check(strcmp(before.settings, after.settings), ==, 0);
}

static void illegal_names_are_refused(void **state)
{
	static const char *const bad[] = { "",	".hidden", "a b", "a/b",
					   "ä", "a\n",	   ".." };
	char name[140];
	struct test_bus *t = *state;

	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		check(bus_topic_create(t->bus, bad[i], 1, NULL), ==, BUS_ENAME);
	memset(name, 'x', sizeof(name));
	name[BUS_NAME_MAX + 1] = 0;
	check(bus_topic_create(t->bus, name, 1, NULL), ==, BUS_ENAME);
	check(test_status(t).n_topics, ==, 0);
	name[BUS_NAME_MAX] = 0;
	test_topic(t->bus, name, 1, SETTINGS("ring.bytes=4096"));
	test_topic(t->bus, "A-z_0.9", 1, SETTINGS("ring.bytes=4096"));
	check(bus_topic_delete(t->bus, name), ==, 0);
}

static void bad_settings_say_which_and_what_is_allowed(void **state)
{
	static const struct {
		const char *setting, *said;
	} bad[] = {
		{ "ring.byte=1", "ring.byte" },
		{ "ring.bytes", "ring.bytes" },
		{ "ring.bytes=", "ring.bytes" },
		{ "ring.bytes=5000", "power of two" },
		{ "ring.bytes=2048", "4K" },
		{ "ring.bytes=2G", "ring.bytes" },
		{ "ring.bytes=-4096", "ring.bytes" },
		{ "ring.bytes=99999999999999999999999", "ring.bytes" },
		{ "ring.bytes=4096x", "ring.bytes" },
		{ "max.message.bytes=5M", "max.message.bytes" },
		{ "producers=two", "many" },
		{ "slow.consumer=spill", "log" },
		{ "slow.consumer=never", "block" },
		{ "stall.fence.ms=1", "10" },
		{ "storage=disk", "storage" },
		{ "message.timestamp.type=LogAppendTime", "log" },
		{ "=", "" },
	};
	struct test_bus *t = *state;

	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		int e = bus_topic_create(t->bus, "t", 1,
					 SETTINGS(bad[i].setting));

		check_true(e == BUS_ESETTING || e == BUS_ERANGE);
		check_text(bus_detail(), bad[i].said);
	}
	check(test_status(t).n_topics, ==, 0);
}

static void a_message_must_fit_a_quarter_of_the_ring(void **state)
{
	struct test_bus *t = *state;
	int e = bus_topic_create(t->bus, "t", 1,
				 SETTINGS("ring.bytes=4096",
					  "max.message.bytes=1024"));

	check_true(e == BUS_ESETTING || e == BUS_ERANGE);
	check_text(bus_detail(), "max.message.bytes");
	test_topic(t->bus, "t", 1,
		   SETTINGS("ring.bytes=4096", "max.message.bytes=800"));
}

static void partitions_have_a_limit(void **state)
{
	struct test_bus *t = *state;
	const char *const *small = SETTINGS("ring.bytes=4096");

	check(bus_topic_create(t->bus, "t", BUS_PARTITIONS_MAX + 1, small), ==,
	      BUS_ERANGE);
	check_text(bus_detail(), "128");
	check(bus_topic_create(t->bus, "t", UINT32_MAX, small), ==, BUS_ERANGE);
	check(test_status(t).n_topics, ==, 0);
	test_topic(t->bus, "t", 5, small);
}

/* ---- List, delete --------------------------------------------------------- */

static void topics_are_listed_by_name(void **state)
{
	static const char *const names[] = { "b", "a.2", "c", "a" };
	static const char *const sorted[] = { "a", "a.2", "b", "c" };
	char name[BUS_NAME_MAX + 1] = "";
	struct test_bus *t = *state;

	check(bus_topic_next(t->bus, NULL, name), ==, 0);
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		test_topic(t->bus, names[i], 1, SETTINGS("ring.bytes=4096"));
	for (size_t i = 0; i < N_ELEMENTS(sorted); i++) {
		check(bus_topic_next(t->bus, name, name), ==, 1);
		check(strcmp(name, sorted[i]), ==, 0);
	}
	check(bus_topic_next(t->bus, name, name), ==, 0);
	check(bus_topic_next(t->bus, "aa", name), ==, 1);
	check(strcmp(name, "b"), ==, 0);
}

static void a_deleted_topic_is_gone_with_its_memory(void **state)
{
	struct test_bus *t = *state;
	struct bus_status before = test_status(t), there, after;
	uint64_t id = 0;

	for (unsigned i = 0; i < 5; i++) {
		struct bus_topic_info info;

		test_topic(t->bus, "t", 4, SETTINGS("ring.bytes=1M"));
		there = test_status(t);
		check(there.memory, >=, before.memory + 4 * (1 << 20));
		check(bus_topic_describe(t->bus, "t", &info), ==, 0);
		check(info.id, !=, id);
		id = info.id;
		check(bus_topic_delete(t->bus, "t"), ==, 0);
		check(bus_topic_delete(t->bus, "t"), ==, BUS_ENOENT);
		after = test_status(t);
		check(after.memory, ==, before.memory);
		check(after.n_topics, ==, 0);
	}
}

static void creating_and_deleting_leaves_no_descriptor(void **state)
{
	struct test_bus *t = *state;
	struct bus_status s = test_status(t);
	int worker = test_count_fds((pid_t)s.worker_pid);
	int keeper = test_count_fds((pid_t)s.keeper_pid);

	for (unsigned i = 0; i < 20; i++) {
		test_topic(t->bus, "t", 3, SETTINGS("ring.bytes=4096"));
		check(bus_topic_create(t->bus, "u", 1, SETTINGS("no=1")), <, 0);
		check(bus_topic_delete(t->bus, "t"), ==, 0);
	}
	wait_until(test_count_fds((pid_t)s.worker_pid) == worker);
	wait_until(test_count_fds((pid_t)s.keeper_pid) == keeper);
}

/* ---- Alter ---------------------------------------------------------------- */

static void altering_changes_what_describe_says(void **state)
{
	struct test_bus *t = *state;
	struct bus_topic_info info;

	check(bus_topic_alter(t->bus, "t", 0, SETTINGS("max.block.ms=5")), ==,
	      BUS_ENOENT);
	test_topic(t->bus, "t", 2, SETTINGS("ring.bytes=64K"));
	check(bus_topic_alter(t->bus, "t", 4,
			      SETTINGS("max.block.ms=5", "ring.bytes=128K")),
	      ==, 0);
	check(bus_topic_describe(t->bus, "t", &info), ==, 0);
	check(info.partitions, ==, 4);
	check_text(info.settings, "max.block.ms=5 set\n");
	check_text(info.settings, "ring.bytes=131072 set\n");
	for (uint32_t p = 0; p < 4; p++) {
		struct bus_partition_stat s = test_stat(t->bus, "t", p);

		check(s.ring_bytes, ==, 131072);
		bus_partition_stat_free(&s);
	}
}

static void a_bad_alter_changes_nothing(void **state)
{
	struct test_bus *t = *state;
	struct bus_topic_info before, after;
	int e;

	test_topic(t->bus, "t", 3, SETTINGS("ring.bytes=64K"));
	check(bus_topic_describe(t->bus, "t", &before), ==, 0);
	check(bus_topic_alter(t->bus, "t", 2, NULL), <, 0);
	check_text(bus_detail(), "partition");
	e = bus_topic_alter(t->bus, "t", 0,
			    SETTINGS("max.block.ms=5", "ring.bytes=7"));
	check_true(e == BUS_ESETTING || e == BUS_ERANGE);
	e = bus_topic_alter(t->bus, "t", 0, SETTINGS("max.message.bytes=60K"));
	check_true(e == BUS_ESETTING || e == BUS_ERANGE);
	check(bus_topic_describe(t->bus, "t", &after), ==, 0);
	check(after.partitions, ==, 3);
	check(strcmp(before.settings, after.settings), ==, 0);
}

static void a_partition_that_is_not_there_is_out_of_range(void **state)
{
	struct test_bus *t = *state;
	struct bus_partition_stat s;

	check(bus_partition_stat(t->bus, "t", 0, &s), ==, BUS_ENOENT);
	test_topic(t->bus, "t", 2, SETTINGS("ring.bytes=4096"));
	check(bus_partition_stat(t->bus, "t", 2, &s), ==, BUS_ERANGE);
	check_text(bus_detail(), "partitions 0 to 1");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_topic_is_there_once_created),
		TEST(settings_are_kept_as_they_were_given),
		TEST(creating_it_again_is_fine_only_if_it_is_the_same),
		TEST(illegal_names_are_refused),
		TEST(bad_settings_say_which_and_what_is_allowed),
		TEST(a_message_must_fit_a_quarter_of_the_ring),
		TEST(partitions_have_a_limit),
		TEST(topics_are_listed_by_name),
		TEST(a_deleted_topic_is_gone_with_its_memory),
		TEST(creating_and_deleting_leaves_no_descriptor),
		TEST(altering_changes_what_describe_says),
		TEST(a_bad_alter_changes_nothing),
		TEST(a_partition_that_is_not_there_is_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
