/* SPDX-License-Identifier: MIT */
/*
 * main.c - busd: options, and which of the two halves this process is.
 *
 * What a user starts becomes the keeper. --role, --channel and --peer are how
 * one half starts the other; they are not for users.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bus/bus.h>

#include "hold.h"
#include "keeper.h"
#include "log.h"
#include "wire.h"
#include "worker.h"

static const char usage[] =
	"Usage: busd --dir DIR [--foreground] [--ready-fd N]\n"
	"\n"
	"Run an instance of the bus in DIR, which is created if it is not there.\n"
	"Two processes work together: a keeper, which holds all descriptors, and\n"
	"a worker, which does the rest; each starts the other again. SIGTERM or\n"
	"SIGINT to either ends the instance. Usually `bus up` starts busd.\n"
	"\n"
	"  --dir DIR      where socket, lock and log are\n"
	"  --foreground   log to stderr, not to DIR/busd.log\n"
	"  --ready-fd N   write \"ready\" to descriptor N when clients can connect,\n"
	"                 or a line that says why they never will\n"
	"  --help         this text\n"
	"  --version      the version\n"
	"\n"
	"Exit status: 0 after a clean end, 1 after an error, 2 for wrong usage.\n"
	"\n"
	"Example: busd --dir /run/bus --foreground\n";

enum {
	OPT_DIR = 1,
	OPT_FOREGROUND,
	OPT_READY,
	OPT_ROLE,
	OPT_CHANNEL,
	OPT_PEER,
	OPT_HELP,
	OPT_VERSION
};

static const struct option options[] = {
	{ "dir", required_argument, NULL, OPT_DIR },
	{ "foreground", no_argument, NULL, OPT_FOREGROUND },
	{ "ready-fd", required_argument, NULL, OPT_READY },
	{ "role", required_argument, NULL, OPT_ROLE },
	{ "channel", required_argument, NULL, OPT_CHANNEL },
	{ "peer", required_argument, NULL, OPT_PEER },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static int wrong_usage(const char *text)
{
	fprintf(stderr, "busd: %s; see busd --help\n", text);
	return 2;
}

static int number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	return *text && !*end && n >= 0 && n <= INT_MAX ? (int)n : -1;
}

/* Return: -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct busd_options *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == OPT_DIR)
			o->dir = optarg;
		else if (c == OPT_FOREGROUND)
			o->foreground = true;
		else if (c == OPT_READY)
			o->ready_fd = number(optarg);
		else if (c == OPT_ROLE)
			o->role = optarg;
		else if (c == OPT_CHANNEL)
			o->channel = number(optarg);
		else if (c == OPT_PEER)
			o->peer = number(optarg);
		else if (c == OPT_HELP)
			return fputs(usage, stdout) < 0;
		else if (c == OPT_VERSION)
			return puts("busd " BUS_VERSION) < 0;
		else
			return 2;
		/* the worker must not hold it open */
		if (c == OPT_READY &&
		    fcntl(o->ready_fd, F_SETFD, FD_CLOEXEC) < 0)
			return wrong_usage("--ready-fd wants a descriptor");
	}
	if (optind < argc)
		return wrong_usage("too many arguments");
	if (!o->dir || !*o->dir)
		return wrong_usage("--dir DIR is missing");
	/* Room for the longest name below it. */
	if (strlen(o->dir) > PATH_MAX - 32)
		return wrong_usage("DIR is too long");
	return -1;
}

/* Signals are read from descriptors; a broken pipe is an error like others. */
static void set_up_process(struct busd_options *o)
{
	struct rlimit limit;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	umask(0077);
	/* Whoever reads it shall see its end: the other half must not have it. */
	if (o->ready_fd > STDERR_FILENO)
		fcntl(o->ready_fd, F_SETFD, FD_CLOEXEC);
	else if (o->ready_fd >= 0)
		o->ready_fd = fcntl(o->ready_fd, F_DUPFD_CLOEXEC, 3);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* What both halves need before they can say anything in the log. */
static int open_log(const struct busd_options *o)
{
	char path[PATH_MAX];
	int e = 0;

	if (mkdir(o->dir, 0700) < 0 && errno != EEXIST)
		e = -errno;
	snprintf(path, sizeof(path), "%s/%s", o->dir, BUS_LOG_NAME);
	if (!e && !o->foreground)
		e = busd_log_open(path);
	if (!e)
		return 0;
	dprintf(o->ready_fd >= 0 ? o->ready_fd : STDERR_FILENO,
		"%s: %s: choose a directory that can be made and written to\n",
		o->dir, strerror(-e));
	return e;
}

int main(int argc, char **argv)
{
	struct busd_options o = { .ready_fd = -1, .channel = -1 };
	int r = parse(argc, argv, &o);

	if (r >= 0)
		return r;
	set_up_process(&o);
	if (open_log(&o) < 0)
		return EXIT_FAILURE;
	if (o.role && !strcmp(o.role, "worker"))
		return busd_worker_run(&o);
	return busd_keeper_run(&o);
}
