/* SPDX-License-Identifier: MIT */
/*
 * up.c - bus up: start busd and come back when it serves.
 *
 * busd is detached, with nothing of the caller's terminal:
 * standard input is /dev/null, output goes to DIR/busd.log. It says on a pipe
 * that it is ready, or why it cannot be; that line is passed on as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "args.h"
#include "cli.h"
#include "report.h"
#include "units.h"

#define PATIENCE (10 * CLI_SECOND)
#define OPTION_FOREGROUND 256

static const struct cli_option options[] = {
	{ OPTION_FOREGROUND, "foreground", NULL,
	  "become busd: stay in the foreground, log to stderr" },
	{ 0 },
};

static const struct cli_usage usage = {
	.name = "up",
	.words = "",
	.about =
		"Start an instance of the bus, and return when clients can connect.\n"
		"It lives in one directory (mode 0700, made if it is missing): --dir, else\n"
		"BUS_DIR, else $XDG_RUNTIME_DIR/bus, else /run/bus. An instance that runs\n"
		"already is left alone. busd logs to DIR/busd.log.\n",
	.options = options,
	.examples = "  bus up\n"
		    "  bus up --dir /tmp/mybus && export BUS_DIR=/tmp/mybus\n"
		    "  bus up --foreground\n",
	.exits = "A bus that runs already is no error: 0.\n",
};

/* The busd that stands beside this program, else the one in PATH. */
static void find_busd(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (n > 0) {
		path[n] = '\0';
		slash = strrchr(path, '/');
		if (slash && slash - path + 6 < PATH_MAX) {
			strcpy(slash + 1, "busd");
			if (!access(path, X_OK))
				return;
		}
	}
	strcpy(path, "busd");
}

/* Make it, and its path absolute: busd does not stay in our directory, and
 * the line that says where the bus is holds everywhere. */
static int make_dir(char dir[PATH_MAX])
{
	char path[PATH_MAX];

	if ((!mkdir(dir, 0700) || errno == EEXIST) && realpath(dir, path)) {
		strcpy(dir, path);
		return 0;
	}
	cli_error("cannot create the directory %s: %s", dir, strerror(errno));
	cli_hint("choose another one: bus up --dir DIR (or set BUS_DIR)");
	return CLI_ERROR;
}

/* Where to start; with 0 and *ret an instance that runs there. */
static int find_instance(const char *dir, char path[PATH_MAX], struct bus **ret)
{
	struct bus_options options = { .size = sizeof(options), .dir = path };
	int r;

	r = bus_find_dir(dir, path, PATH_MAX);
	if (r < 0 && r != BUS_ENODIR)
		return cli_fail(r, NULL, "cannot start an instance");
	r = bus_open(&options, ret);
	if (r == 0 || r == BUS_ENODIR || r == BUS_ECONNREFUSED)
		return 0;
	return cli_fail(r, NULL, "cannot start an instance in %s", path);
}

static int say_running(struct bus *bus)
{
	struct bus_status status;
	int r = bus_status(bus, &status);

	if (r < 0)
		return cli_fail(r, NULL, "no status from busd in %s",
				bus_dir(bus));
	printf("bus is up already in %s (pid %u)\n", bus_dir(bus),
	       status.keeper_pid);
	return cli_finish(CLI_OK);
}

/* In the child: become busd. @ready_fd: -1 for the foreground. */
static void become_busd(const char *dir, int ready_fd)
{
	char path[PATH_MAX], number[16];
	const char *argv[6] = { "busd", "--dir", dir };

	if (ready_fd < 0) {
		argv[3] = "--foreground";
	} else {
		snprintf(number, sizeof(number), "%d", ready_fd);
		argv[3] = "--ready-fd";
		argv[4] = number;
	}
	find_busd(path);
	execvp(path, (char **)argv);
	dprintf(ready_fd < 0 ? STDERR_FILENO : ready_fd,
		"cannot run %s: %s; install busd beside bus or into PATH\n",
		path, strerror(errno));
	_exit(CLI_ERROR);
}

/* What the loader or a sanitizer has to say goes where busd's log goes. */
static void detach(const char *dir)
{
	char log[PATH_MAX + 16];
	int in = open("/dev/null", O_RDWR), out;

	setsid();
	if (chdir("/")) /* do not keep a file system from being unmounted */
		perror("/");
	snprintf(log, sizeof(log), "%s/busd.log", dir);
	out = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (out < 0)
		out = in;
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	if (in > STDERR_FILENO)
		close(in);
}

static pid_t spawn(const char *dir, int *ret_fd)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0) {
		fcntl(fds[1], F_SETFD, 0);
		detach(dir);
		become_busd(dir, fds[1]);
	}
	close(fds[1]);
	if (pid < 0)
		close(fds[0]);
	else
		*ret_fd = fds[0];
	return pid;
}

/* Read what busd says until the end of the line, of the pipe or of patience. */
static bool read_answer(int fd, char *text, size_t size)
{
	int64_t deadline = cli_now(CLOCK_MONOTONIC) + PATIENCE;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	while (n < size - 1 && !memchr(text, '\n', n)) {
		int64_t left = deadline - cli_now(CLOCK_MONOTONIC);
		ssize_t r;

		if (left <= 0 || poll(&p, 1, (int)(left / CLI_MS) + 1) == 0)
			break;
		r = read(fd, text + n, size - 1 - n);
		if (r == 0)
			break;
		if (r > 0)
			n += (size_t)r;
		else if (errno != EINTR)
			break;
	}
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return n > 0;
}

/* Somebody else may be starting one at the same time: the one who holds the
 * lock serves in a moment. */
static struct bus *open_other(const char *dir)
{
	struct bus_options options = { .size = sizeof(options), .dir = dir };
	char lock[PATH_MAX + 16];
	struct bus *bus;

	snprintf(lock, sizeof(lock), "%s/busd.lock", dir);
	for (int i = 0; i < 25 && !access(lock, F_OK); i++) {
		if (bus_open(&options, &bus) == 0)
			return bus;
		usleep(20000);
	}
	return NULL;
}

static int say_failed(pid_t pid, const char *dir, const char *text)
{
	CLI_CLEANUP(cli_bus_closep) struct bus *bus = NULL;
	int status;

	if (*text) {
		waitpid(pid, &status, 0);
		bus = open_other(dir);
		return bus ? say_running(bus) : cli_error("%s", text);
	}
	if (waitpid(pid, &status, WNOHANG) == pid)
		cli_error("busd ended with %s %d before it was ready",
			  WIFSIGNALED(status) ? "signal" : "status",
			  WIFSIGNALED(status) ? WTERMSIG(status) :
						WEXITSTATUS(status));
	else
		cli_error("busd (pid %d) is not ready after %s", pid,
			  cli_span(PATIENCE).s);
	cli_hint("see %s/busd.log", dir);
	return CLI_ERROR;
}

static int start(const char *dir)
{
	int64_t begin = cli_now(CLOCK_MONOTONIC);
	char text[1024];
	bool answered;
	int fd;
	pid_t pid = spawn(dir, &fd);

	if (pid < 0)
		return cli_error("cannot start busd: %s", strerror(errno));
	answered = read_answer(fd, text, sizeof(text));
	close(fd);
	if (!answered || strcmp(text, "ready"))
		return say_failed(pid, dir, text);
	printf("bus is up in %s (pid %d, ready after %s)\n", dir, pid,
	       cli_span(cli_now(CLOCK_MONOTONIC) - begin).s);
	return cli_finish(CLI_OK);
}

int cli_up(int argc, char **argv)
{
	CLI_CLEANUP(cli_bus_closep) struct bus *bus = NULL;
	struct cli_args args;
	bool foreground = false;
	char dir[PATH_MAX];
	int r;

	cli_args_parse(&args, &usage, argc, argv, &foreground);
	r = find_instance(args.dir, dir, &bus);
	if (r)
		return r;
	if (bus)
		return say_running(bus);
	r = make_dir(dir);
	if (r)
		return r;
	if (foreground)
		become_busd(dir, -1);
	return start(dir);
}
