/* SPDX-License-Identifier: MIT */
/*
 * bus.c - connections and topics: the calls that ask busd and return.
 */
#include <bus/bus.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attach.h"
#include "conn.h"
#include "wait.h"

static_assert(BUS_TEXT_MAX == BUS_WIRE_TEXT_MAX, "texts fit");
static_assert(BUS_PRODUCERS_MAX == BUS_SLOTS, "slots");
static_assert(BUS_CONSUMERS_MAX == BUS_SLOTS, "lines");
static_assert(BUS_PARTITIONS_MAX <= BUS_BELLS_MAX, "one can sleep on all");

/* ---- Finding an instance ---------------------------------------------- */

static int has_instance(const char *dir)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, BUS_SOCKET_NAME);
	/* Where we may not look there may be one: connecting tells. */
	return !stat(path, &st) || errno == EACCES;
}

static int give(const char *dir, const char *sub, char *path, size_t size)
{
	int n = snprintf(path, size, "%s%s", dir, sub);

	if (n < 0 || (size_t)n >= size)
		return BUS_ENAMETOOLONG;
	return has_instance(path) ? 0 : BUS_ENODIR;
}

int bus_find_dir(const char *dir, char *path, size_t size)
{
	const char *env = getenv("BUS_DIR");
	const char *run = getenv("XDG_RUNTIME_DIR");
	int r;

	if (dir && *dir)
		return give(dir, "", path, size);
	if (env && *env)
		return give(env, "", path, size);
	if (run && *run) {
		r = give(run, "/bus", path, size);
		if (r != BUS_ENODIR || !has_instance("/run/bus"))
			return r;
	}
	return give("/run/bus", "", path, size);
}

/* ---- Connections ------------------------------------------------------ */

int bus_open(const struct bus_options *options, struct bus **ret)
{
	struct bus *bus;
	int r;

	if (options && options->size != sizeof(*options))
		return BUS_EINVAL;
	bus = calloc(1, sizeof(*bus));
	if (!bus)
		return BUS_ENOMEM;
	bus_detail_set("%s", "");
	r = bus_find_dir(options ? options->dir : NULL, bus->dir,
			 sizeof(bus->dir));
	if (!r)
		r = bus_conn_open(bus->dir, options ? options->timeout : 0,
				  &bus->conn);
	else if (r == BUS_ENODIR)
		bus_detail_set("no %s in %s", BUS_SOCKET_NAME, bus->dir);
	if (r < 0) {
		free(bus);
		return r;
	}
	bus->generation = bus_fork_generation;
	*ret = bus;
	return 0;
}

struct bus *bus_close(struct bus *bus)
{
	if (bus)
		bus_conn_close(bus->conn);
	free(bus);
	return NULL;
}

const char *bus_dir(const struct bus *bus)
{
	return bus->dir;
}

static int call(struct bus *bus, struct bus_msg *msg)
{
	if (bus_forked(bus->generation))
		return BUS_EFORKED;
	return bus_conn_call(bus->conn, msg, NULL);
}

int bus_status(struct bus *bus, struct bus_status *ret)
{
	struct bus_status s = { 0 };
	struct bus_msg msg;
	int r;

	bus_msg_init(&msg, BUS_MSG_STATUS, NULL);
	r = call(bus, &msg);
	if (r < 0)
		return r;
	s.worker_pid = (uint32_t)msg.arg[BUS_STATUS_WORKER_PID];
	s.keeper_pid = (uint32_t)msg.arg[BUS_STATUS_KEEPER_PID];
	s.n_topics = (uint32_t)msg.arg[BUS_STATUS_TOPICS];
	s.n_clients = (uint32_t)msg.arg[BUS_STATUS_CLIENTS];
	s.n_restarts = (uint32_t)msg.arg[BUS_STATUS_RESTARTS];
	s.n_repairs = msg.arg[BUS_STATUS_REPAIRS];
	s.memory = msg.arg[BUS_STATUS_MEMORY];
	s.started = (int64_t)msg.arg[BUS_STATUS_STARTED];
	snprintf(s.version, sizeof(s.version), "%.31s", msg.text);
	*ret = s;
	return 0;
}

/* ---- Topics ----------------------------------------------------------- */

/* "name=value" strings as lines of text. */
static int put_settings(struct bus_msg *msg, const char *const *settings)
{
	size_t used = 0;

	for (; settings && *settings; settings++) {
		size_t n = strlen(*settings);

		if (strchr(*settings, '\n') || used + n + 2 > BUS_WIRE_TEXT_MAX)
			return BUS_ESETTING;
		memcpy(msg->text + used, *settings, n);
		used += n;
		msg->text[used++] = '\n';
	}
	msg->text_size = (uint32_t)used;
	return 0;
}

static int ask_topic(struct bus *bus, enum bus_msg_type type, const char *name,
		     uint32_t partitions, const char *const *settings,
		     struct bus_msg *msg)
{
	int r;

	bus_detail_set("%s", "");
	if (strlen(name) > BUS_NAME_MAX)
		return BUS_ENAME;
	bus_msg_init(msg, type, name);
	msg->partition = partitions;
	r = put_settings(msg, settings);
	return r < 0 ? r : call(bus, msg);
}

int bus_topic_create(struct bus *bus, const char *name, uint32_t partitions,
		     const char *const *settings)
{
	struct bus_msg msg;

	return ask_topic(bus, BUS_MSG_CREATE, name, partitions, settings, &msg);
}

int bus_topic_alter(struct bus *bus, const char *name, uint32_t partitions,
		    const char *const *settings)
{
	struct bus_msg msg;

	return ask_topic(bus, BUS_MSG_ALTER, name, partitions, settings, &msg);
}

int bus_topic_delete(struct bus *bus, const char *name)
{
	struct bus_msg msg;

	return ask_topic(bus, BUS_MSG_DELETE, name, 0, NULL, &msg);
}

int bus_topic_next(struct bus *bus, const char *after,
		   char name[BUS_NAME_MAX + 1])
{
	struct bus_msg msg;
	int r = ask_topic(bus, BUS_MSG_NEXT_TOPIC, after ? after : "", 0, NULL,
			  &msg);

	if (r < 0 || !msg.topic[0])
		return r;
	snprintf(name, BUS_NAME_MAX + 1, "%.128s", msg.topic);
	return 1;
}

int bus_topic_describe(struct bus *bus, const char *name,
		       struct bus_topic_info *ret)
{
	struct bus_msg msg;
	int r = ask_topic(bus, BUS_MSG_DESCRIBE, name, 0, NULL, &msg);

	if (r < 0)
		return r;
	snprintf(ret->name, sizeof(ret->name), "%.128s", name);
	ret->partitions = msg.partition;
	ret->id = msg.arg[0];
	memcpy(ret->settings, msg.text, sizeof(ret->settings));
	return 0;
}
