/* SPDX-License-Identifier: MIT */
/*
 * signals.c - Ctrl-C as a clean end, and waiting that it interrupts.
 */
#include "signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "units.h"

static volatile sig_atomic_t caught;

static void on_signal(int signal)
{
	(void)signal;
	caught = 1;
}

void cli_signals_catch(void)
{
	/* Without SA_RESTART, so that calls end; with SA_RESETHAND, so that
	 * the second one kills. */
	struct sigaction action = { .sa_handler = on_signal,
				    .sa_flags = (int)SA_RESETHAND };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

bool cli_signals_caught(void)
{
	return caught;
}

static int wait_blocked(int fd, int64_t deadline, const sigset_t *open)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct timespec t;

	for (;;) {
		int64_t left = deadline - cli_now(CLOCK_MONOTONIC);
		int r;

		if (caught)
			return -EINTR;
		if (deadline >= 0 && left < 0)
			left = 0;
		t.tv_sec = left / CLI_SECOND;
		t.tv_nsec = left % CLI_SECOND;
		r = ppoll(&p, 1, deadline >= 0 ? &t : NULL, open);
		if (r >= 0)
			return r;
		if (errno != EINTR)
			return 1; /* let read(2) say what is wrong */
	}
}

int cli_wait_until(int fd, int64_t deadline)
{
	sigset_t ends, old;
	int r;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, &old);
	r = wait_blocked(fd, deadline, &old);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}
