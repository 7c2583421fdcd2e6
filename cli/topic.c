/* SPDX-License-Identifier: MIT */
/*
 * topic.c - bus topic create, list, describe, alter, delete.
 */
#include "topic.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "cli.h"
#include "json.h"
#include "report.h"
#include "table.h"
#include "units.h"

#define NO_TOPIC_EXIT "  4  no such topic\n"
#define SETTINGS                                                                           \
	"\nsettings:\n"                                                                    \
	"  ring.bytes=16M              of each partition; a power of two, 4096 to 1G\n"    \
	"  max.message.bytes=1048588   the largest record; up to a quarter of the ring\n"  \
	"  producers=many              one: a single producer at a time, faster\n"         \
	"  slow.consumer=drop          a consumer that is lapped is told what it lost;\n"  \
	"                              block: producers wait for it\n"                     \
	"  max.block.ms=60000          how long a send waits for room\n"                   \
	"  stall.fence.ms=1000         how long a stuck producer may hold up the others\n" \
	"  storage=memory              the topic lives as long as the instance\n"          \
	"  message.timestamp.type=CreateTime   as the sender says\n"

/* ---- Settings --------------------------------------------------------- */

int cli_setting_next(const char **text, struct cli_setting *ret)
{
	const char *p = *text, *line = strchrnul(p, '\n');

	*ret = (struct cli_setting){ 0 };
	if (sscanf(p, "%63[^=\n]=%63[^ \n] %15[^\n]", ret->name, ret->value,
		   ret->origin) < 1)
		return 0;
	*text = *line ? line + 1 : line;
	return 1;
}

uint64_t cli_setting_of(struct bus *bus, const char *topic, const char *name)
{
	struct bus_topic_info info;
	const char *text = info.settings;
	struct cli_setting s;
	uint64_t v;

	if (bus_topic_describe(bus, topic, &info) < 0)
		return 0;
	while (cli_setting_next(&text, &s))
		if (!strcmp(s.name, name) && !cli_parse_number(s.value, &v))
			return v;
	return 0;
}

/* ---- Create and alter ------------------------------------------------- */

static const struct cli_option create_options[] = {
	{ 'p', "partitions", "N", "how many, 1 to 128 (default 1)" },
	{ 0 },
};

static const struct cli_usage create_usage = {
	.name = "topic create",
	.words = "NAME [SETTING=VALUE]...",
	.min = 1,
	.max = -1,
	.about =
		"Create a topic, with all the memory that it needs. One that is there with\n"
		"just these settings is no error.\n" SETTINGS,
	.options = create_options,
	.examples =
		"  bus topic create greetings\n"
		"  bus topic create orders -p 4 ring.bytes=64M\n"
		"  bus topic create ticks producers=one slow.consumer=block\n",
};

static const struct cli_option alter_options[] = {
	{ 'p', "partitions", "N",
	  "how many it shall have: not less than there are" },
	{ 0 },
};

static const struct cli_usage alter_usage = {
	.name = "topic alter",
	.words = "NAME [SETTING=VALUE]...",
	.min = 1,
	.max = -1,
	.about =
		"Change settings of a topic, or add partitions. Whoever is attached goes on;\n"
		"ring.bytes, max.message.bytes and producers take a new ring, and what the old\n"
		"one held can still be read.\n" SETTINGS,
	.options = alter_options,
	.examples =
		"  bus topic alter orders --partitions 8\n"
		"  bus topic alter orders ring.bytes=64M max.message.bytes=2M\n",
	.exits = NO_TOPIC_EXIT,
};

static void say_done(struct bus *bus, const char *name, const char *what)
{
	struct bus_topic_info info;

	if (bus_topic_describe(bus, name, &info) < 0)
		printf("%s topic %s\n", what, name);
	else
		printf("%s topic %s: %u partition%s\n", what, name,
		       info.partitions, info.partitions == 1 ? "" : "s");
}

static uint32_t parse_topic(struct cli_args *args,
			    const struct cli_usage *usage, int argc,
			    char **argv)
{
	uint32_t partitions = 0;

	cli_args_init(args, usage, argc, argv);
	while (cli_args_next(args) >= 0)
		partitions =
			(uint32_t)cli_args_number(args, 1, BUS_PARTITIONS_MAX);
	for (int i = 1; i < args->n_words; i++)
		if (!strchr(args->words[i], '='))
			cli_args_wrong(args, "'%s' is not SETTING=VALUE",
				       args->words[i]);
	return partitions;
}

/* What is out of range here is a setting, and the detail says all about it. */
static int fail(int error, const char *name, const char *what)
{
	const char *topic = error == BUS_ENOENT ? name : NULL;

	return cli_fail(error, topic, "cannot %s topic '%s'", what, name);
}

int cli_topic_create(int argc, char **argv)
{
	CLI_CLEANUP(cli_bus_closep) struct bus *bus = NULL;
	struct bus_topic_info info;
	struct cli_args args;
	uint32_t partitions = parse_topic(&args, &create_usage, argc, argv);
	const char *name = args.words[0];
	bool was_there;
	int r;

	r = cli_open(args.dir, &bus);
	if (r)
		return r;
	was_there = !bus_topic_describe(bus, name, &info);
	r = bus_topic_create(bus, name, partitions,
			     (const char *const *)args.words + 1);
	if (r < 0)
		return fail(r, name, "create");
	say_done(bus, name, was_there ? "there already:" : "created");
	return cli_finish(CLI_OK);
}

int cli_topic_alter(int argc, char **argv)
{
	CLI_CLEANUP(cli_bus_closep) struct bus *bus = NULL;
	struct cli_args args;
	uint32_t partitions = parse_topic(&args, &alter_usage, argc, argv);
	const char *name = args.words[0];
	int r;

	if (!partitions && args.n_words == 1)
		cli_args_wrong(
			&args,
			"nothing to change: give --partitions or SETTING=VALUE");
	r = cli_open(args.dir, &bus);
	if (r)
		return r;
	r = bus_topic_alter(bus, name, partitions,
			    (const char *const *)args.words + 1);
	if (r < 0)
		return fail(r, name, "alter");
	say_done(bus, name, "altered");
	return cli_finish(CLI_OK);
}

/* ---- Delete ----------------------------------------------------------- */

static const struct cli_usage delete_usage = {
	.name = "topic delete",
	.words = "NAME...",
	.min = 1,
	.max = -1,
	.about =
		"Delete topics and all their records. Whoever is attached is told.\n",
	.options = (const struct cli_option[]){ { 0 } },
	.examples = "  bus topic delete greetings\n",
	.exits = NO_TOPIC_EXIT,
};

int cli_topic_delete(int argc, char **argv)
{
	CLI_CLEANUP(cli_bus_closep) struct bus *bus = NULL;
	struct cli_args args;
	int r;

	cli_args_parse(&args, &delete_usage, argc, argv, NULL);
	r = cli_open(args.dir, &bus);
	if (r)
		return r;
	for (int i = 0; i < args.n_words; i++) {
		const char *name = args.words[i];
		int e = bus_topic_delete(bus, name);

		if (e == BUS_ENOENT) {
			r = CLI_NO_TOPIC;
			cli_error("cannot delete topic '%s': no such topic",
				  name);
			cli_hint("see which there are: bus topic list");
		} else if (e < 0) {
			r = cli_fail(e, name, "cannot delete topic '%s'", name);
		} else {
			printf("deleted topic %s\n", name);
		}
	}
	return cli_finish(r);
}

/* ---- List and describe ------------------------------------------------ */

static const struct cli_usage list_usage = {
	.name = "topic list",
	.words = "",
	.about = "List the topics in the order of their names.\n",
	.options = (const struct cli_option[]){ CLI_OPTION_JSON, { 0 } },
	.examples = "  bus topic list\n"
		    "  bus topic list --json | jq -r '.[].name'\n",
};

static const struct cli_usage describe_usage = {
	.name = "topic describe",
	.words = "NAME...",
	.min = 1,
	.max = -1,
	.about =
		"Show the settings of topics, and whether somebody chose them.\n",
	.options = (const struct cli_option[]){ CLI_OPTION_JSON, { 0 } },
	.examples = "  bus topic describe orders\n"
		    "  bus topic describe orders --json | jq '.[0].settings'\n",
	.exits = NO_TOPIC_EXIT,
};

static void topic_json(struct cli_json *j, const struct bus_topic_info *info)
{
	const char *text = info->settings;
	struct cli_setting s;
	char id[24];
	uint64_t v;

	/* As text: it has 64 bits, and many readers of JSON keep 53. */
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)info->id);
	cli_json_open(j, NULL, '{');
	cli_json_string(j, "name", info->name);
	cli_json_unsigned(j, "partitions", info->partitions);
	cli_json_string(j, "id", id);
	cli_json_open(j, "settings", '{');
	while (cli_setting_next(&text, &s)) {
		cli_json_open(j, s.name, '{');
		if (cli_parse_number(s.value, &v))
			cli_json_string(j, "value", s.value);
		else
			cli_json_unsigned(j, "value", v);
		cli_json_string(j, "origin", s.origin);
		cli_json_close(j, '}');
	}
	cli_json_close(j, '}');
	cli_json_close(j, '}');
}

static void list_row(struct cli_table *t, const struct bus_topic_info *info)
{
	const char *text = info->settings;
	struct cli_setting s;
	uint64_t ring = 0;
	char producers[64] = "", slow[64] = "";

	while (cli_setting_next(&text, &s)) {
		if (!strcmp(s.name, "ring.bytes"))
			cli_parse_number(s.value, &ring);
		else if (!strcmp(s.name, "producers"))
			strcpy(producers, s.value);
		else if (!strcmp(s.name, "slow.consumer"))
			strcpy(slow, s.value);
	}
	cli_table_add(t, "%s", info->name);
	cli_table_add(t, "%u", info->partitions);
	cli_table_add(t, "%s", cli_bytes(ring).s);
	cli_table_add(t, "%s", producers);
	cli_table_add(t, "%s", slow);
}

/* Every topic to @j or, if that is NULL, to @t. */
static int list_topics(struct bus *bus, struct cli_json *j, struct cli_table *t)
{
	char name[BUS_NAME_MAX + 1] = "";
	struct bus_topic_info info;
	int r;

	while ((r = bus_topic_next(bus, name, name)) > 0) {
		r = bus_topic_describe(bus, name, &info);
		if (r == BUS_ENOENT)
			continue; /* deleted since */
		if (r < 0)
			break;
		if (j)
			topic_json(j, &info);
		else
			list_row(t, &info);
	}
	return r < 0 ? cli_fail(r, NULL, "cannot list the topics") : 0;
}

int cli_topic_list(int argc, char **argv)
{
	CLI_CLEANUP(cli_bus_closep) struct bus *bus = NULL;
	struct cli_table t = CLI_TABLE("lrrll");
	struct cli_json j = { 0 };
	struct cli_args args;
	bool json = false;
	int r;

	cli_args_parse(&args, &list_usage, argc, argv, &json);
	r = cli_open(args.dir, &bus);
	if (r)
		return r;
	if (json) {
		cli_json_open(&j, NULL, '[');
		r = list_topics(bus, &j, NULL);
		cli_json_close(&j, ']');
		putchar('\n');
	} else {
		cli_table_heads(
			&t, "TOPIC|PARTITIONS|RING|PRODUCERS|SLOW CONSUMER");
		r = list_topics(bus, NULL, &t);
		cli_table_print(&t, 0);
	}
	return cli_finish(r);
}

static void describe_table(const struct bus_topic_info *info)
{
	struct cli_table t = CLI_TABLE("lll");
	const char *text = info->settings;
	struct cli_setting s;

	printf("topic %s: %u partition%s, id %016llx\n", info->name,
	       info->partitions, info->partitions == 1 ? "" : "s",
	       (unsigned long long)info->id);
	while (cli_setting_next(&text, &s)) {
		cli_table_add(&t, "%s", s.name);
		cli_table_add(&t, "%s", s.value);
		cli_table_add(&t, "%s", s.origin);
	}
	cli_table_print(&t, 2);
}

int cli_topic_describe(int argc, char **argv)
{
	CLI_CLEANUP(cli_bus_closep) struct bus *bus = NULL;
	struct bus_topic_info info;
	struct cli_json j = { 0 };
	struct cli_args args;
	bool json = false;
	int r, e;

	cli_args_parse(&args, &describe_usage, argc, argv, &json);
	r = cli_open(args.dir, &bus);
	if (r)
		return r;
	if (json)
		cli_json_open(&j, NULL, '[');
	for (int i = 0; i < args.n_words; i++) {
		e = bus_topic_describe(bus, args.words[i], &info);
		if (e < 0)
			r = cli_fail(e, args.words[i],
				     "cannot describe topic '%s'",
				     args.words[i]);
		else if (json)
			topic_json(&j, &info);
		else
			describe_table(&info);
	}
	if (json) {
		cli_json_close(&j, ']');
		putchar('\n');
	}
	return cli_finish(r);
}
