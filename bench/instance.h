/* SPDX-License-Identifier: MIT */
/* instance.h - a busd of our own, in a directory that goes with it. */
#ifndef BENCH_INSTANCE_H
#define BENCH_INSTANCE_H

#include <signal.h>
#include <sys/types.h>

struct bench_instance {
	pid_t pid;		/* 0: none */
	char dir[32];
};

/*
 * Start the busd beside this program, else the one in PATH, and wait until it
 * serves. @mask: the signal mask that it gets. Return: 0, or an error after
 * bench_fail(); bench_instance_stop() is to be called in both cases.
 */
int bench_instance_start(struct bench_instance *ret, const sigset_t *mask);

/* End it, wait for its end, remove its directory. */
int bench_instance_stop(struct bench_instance *instance);

#endif
