/* SPDX-License-Identifier: MIT */
/*
 * down.c - bus down: end the instance and wait until it is gone.
 *
 * Both of busd's processes are held by pidfds before the signal is sent, so
 * that it cannot hit, nor the wait be for, anybody else.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "args.h"
#include "cli.h"
#include "report.h"
#include "units.h"

#define OPTION_TIMEOUT 256

static const struct cli_option options[] = {
	{ OPTION_TIMEOUT, "timeout", "TIME",
	  "how long to wait for it (default 10s)" },
	{ 0 },
};

static const struct cli_usage usage = {
	.name = "down",
	.words = "",
	.about =
		"End the instance: all its topics go, clients are told. Returns when busd is\n"
		"gone.\n",
	.options = options,
	.examples = "  bus down\n"
		    "  bus down --dir /tmp/mybus\n",
};

static int pidfd_open(uint32_t pid)
{
	return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0u);
}

static int pidfd_signal(int fd, int signal)
{
	return (int)syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0u);
}

/* A descriptor below 0: gone already; poll(2) skips it. */
static int wait_gone(const int fds[2], int64_t deadline)
{
	for (int i = 0; i < 2; i++) {
		struct pollfd p = { .fd = fds[i], .events = POLLIN };
		int64_t left = deadline - cli_now(CLOCK_MONOTONIC);

		if (left < 0)
			left = 0;
		if (fds[i] >= 0 && poll(&p, 1, (int)(left / CLI_MS) + 1) <= 0)
			return -ETIMEDOUT;
	}
	return 0;
}

static int end(const char *dir, const struct bus_status *s, int64_t timeout)
{
	int64_t begin = cli_now(CLOCK_MONOTONIC);
	int fds[2] = { pidfd_open(s->keeper_pid), pidfd_open(s->worker_pid) };
	/* Either of them ends the instance; the keeper first. */
	int r = pidfd_signal(fds[fds[0] < 0], SIGTERM);

	if (r < 0)
		r = cli_error("cannot signal busd (pid %u): %s", s->keeper_pid,
			      strerror(errno));
	else if (wait_gone(fds, begin + timeout))
		r = cli_error(
			"busd (pid %u) still runs after %s; see %s/busd.log",
			s->keeper_pid, cli_span(timeout).s, dir);
	else
		printf("bus is down in %s (took %s)\n", dir,
		       cli_span(cli_now(CLOCK_MONOTONIC) - begin).s);
	close(fds[0]);
	close(fds[1]);
	return cli_finish(r);
}

/* Like cli_open(), but the remedy is not to start it. */
static int open_instance(const char *dir, struct bus **ret)
{
	struct bus_options options = { .size = sizeof(options), .dir = dir };
	char path[PATH_MAX] = "";
	int r = bus_open(&options, ret);

	if (r != BUS_ENODIR && r != BUS_ECONNREFUSED)
		return r < 0 ? cli_fail(r, NULL, "cannot open the bus") : 0;
	bus_find_dir(dir, path, sizeof(path));
	cli_error("nothing to end: busd is not running in %s", path);
	if (!dir)
		cli_hint("if it is elsewhere: bus down --dir DIR");
	return CLI_NO_BUS;
}

int cli_down(int argc, char **argv)
{
	CLI_CLEANUP(cli_bus_closep) struct bus *bus = NULL;
	int64_t timeout = 10 * CLI_SECOND;
	struct bus_status status;
	struct cli_args args;
	int r;

	cli_args_init(&args, &usage, argc, argv);
	while (cli_args_next(&args) >= 0)
		timeout = cli_args_duration(&args);
	r = open_instance(args.dir, &bus);
	if (r)
		return r;
	r = bus_status(bus, &status);
	if (r < 0)
		return cli_fail(r, NULL, "no status from busd in %s",
				bus_dir(bus));
	return end(bus_dir(bus), &status, timeout);
}
