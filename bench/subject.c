/* SPDX-License-Identifier: MIT */
/*
 * subject.c - what subjects have in common: topics, shared memory, children,
 * and the way a process says why it ends.
 */
#include "subject.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Errors ------------------------------------------------------------ */

static char *error_text; /* shared by all processes of a run */

int bench_error_init(void)
{
	void *p = mmap(NULL, BENCH_TEXT, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	error_text = p;
	return 0;
}

const char *bench_error(void)
{
	return error_text;
}

/* The first one is the cause, what comes later is its consequence. */
static void set_error(const char *why, const char *format, va_list args)
{
	int n;

	if (*error_text)
		return;
	n = vsnprintf(error_text, BENCH_TEXT, format, args);
	if (why && n < BENCH_TEXT)
		snprintf(error_text + n, (size_t)(BENCH_TEXT - n), ": %s", why);
}

int bench_fail(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_error(error == -ECANCELED ? NULL : bus_strerror(error), format,
		  args);
	va_end(args);
	return error;
}

int bench_fail_errno(const char *format, ...)
{
	int error = errno;
	va_list args;

	va_start(args, format);
	set_error(strerror(error), format, args);
	va_end(args);
	return -error;
}

/* ---- Processes and memory ----------------------------------------------- */

pid_t bench_fork(void)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1); /* it died before we asked to be told */
	return 0;
}

int bench_in_child(int (*function)(void *), void *arg)
{
	pid_t pid = bench_fork();
	int status;

	if (pid < 0)
		return bench_fail_errno("cannot fork");
	if (!pid)
		_exit(function(arg) < 0);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return bench_fail_errno("cannot wait for a child");
	return status ? bench_fail(-ECANCELED, "a child failed") : 0;
}

void *bench_state(struct bench_part *part, size_t size)
{
	size_t whole = (size + BENCH_LINE - 1) / BENCH_LINE * BENCH_LINE;

	part->state = aligned_alloc(BENCH_LINE, whole);
	if (part->state)
		memset(part->state, 0, whole);
	else
		bench_fail(BUS_ENOMEM, "%zu bytes of memory", whole);
	return part->state;
}

int bench_share(struct bench_part *part, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return bench_fail_errno("%zu bytes of shared memory", size);
	madvise(p, size, MADV_HUGEPAGE); /* if it may be */
	memset(p, 0, size);
	part->shared = p;
	part->shared_size = size;
	return 0;
}

/* ---- Topics -------------------------------------------------------------- */

static void topic_prefix(pid_t owner, char name[BUS_NAME_MAX + 1])
{
	snprintf(name, BUS_NAME_MAX + 1, "bench.%d.", (int)owner);
}

void bench_topic(const struct bench_part *part, const char *suffix,
		 char name[BUS_NAME_MAX + 1])
{
	snprintf(name, BUS_NAME_MAX + 1, "bench.%d.%u.%s", (int)part->owner,
		 part->number, suffix);
}

static int connect_dir(const char *dir, struct bus **ret)
{
	const struct bus_options options = { .size = sizeof(options),
					     .dir = dir };
	int r = bus_open(&options, ret);

	return r < 0 ? bench_fail(r, "cannot connect to %s", dir) : 0;
}

int bench_connect(const struct bench_part *part, struct bus **ret)
{
	return connect_dir(part->dir, ret);
}

int bench_create(const struct bench_part *part, struct bus *bus,
		 const char *suffix, const char *slow)
{
	char name[BUS_NAME_MAX + 1], ring[48], path[32], consumer[32];
	const char *settings[] = { ring, path, consumer, NULL };

	bench_topic(part, suffix, name);
	snprintf(ring, sizeof(ring), "ring.bytes=%llu",
		 (unsigned long long)part->params.ring_bytes);
	snprintf(path, sizeof(path), "producers=%s", part->params.path);
	snprintf(consumer, sizeof(consumer), "slow.consumer=%s", slow);

	int r = bus_topic_create(bus, name, 1, settings);

	return r < 0 ? bench_fail(r, "cannot create %s (%s)", name,
				  bus_detail()) :
		       0;
}

int bench_producer(const struct bench_part *part, struct bus *bus,
		   const char *suffix, struct bus_producer **ret)
{
	char name[BUS_NAME_MAX + 1];

	bench_topic(part, suffix, name);

	int r = bus_producer_open(bus, name, NULL, ret);

	return r < 0 ? bench_fail(r, "cannot send to %s (%s)", name,
				  bus_detail()) :
		       0;
}

int bench_consumer(const struct bench_part *part, struct bus *bus,
		   const char *suffix, struct bus_consumer **ret)
{
	bool sleeps = !strcmp(part->params.wait, "sleep");
	const struct bus_consumer_options options = {
		.size = sizeof(options),
		.start = BUS_BEGINNING,
		.wait = sleeps ? BUS_WAIT_SLEEP : BUS_WAIT_SPIN,
	};
	char name[BUS_NAME_MAX + 1];

	bench_topic(part, suffix, name);

	int r = bus_consumer_open(bus, name, &options, ret);

	return r < 0 ? bench_fail(r, "cannot read %s (%s)", name,
				  bus_detail()) :
		       0;
}

struct sweep {
	const char *dir;
	pid_t owner;
};

static int sweep(void *arg)
{
	const struct sweep *what = arg;
	char prefix[BUS_NAME_MAX + 1], name[BUS_NAME_MAX + 1] = "";
	struct bus *bus;
	int r = connect_dir(what->dir, &bus);

	topic_prefix(what->owner, prefix);
	while (r >= 0 && (r = bus_topic_next(bus, name, name)) > 0)
		if (!strncmp(name, prefix, strlen(prefix)))
			r = bus_topic_delete(bus, name);
	return r;
}

/* In a child, so that this process stays without threads and mappings. */
int bench_sweep(const char *dir, pid_t owner)
{
	struct sweep what = { .dir = dir, .owner = owner };

	return bench_in_child(sweep, &what);
}
