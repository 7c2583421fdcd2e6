/* SPDX-License-Identifier: MIT */
/*
 * signals.h - Ctrl-C as a clean end, and waiting that it interrupts.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

/* From now on the first SIGINT or SIGTERM asks for the end, the second one
 * kills; a closed pipe is an error of write(2), not a signal. */
void cli_signals_catch(void);

/* Whether the end was asked for. */
bool cli_signals_caught(void);

/*
 * Sleep until @fd can be read (-1: no descriptor), or the time of
 * CLOCK_MONOTONIC has come (-1: never), or the end was asked for; no signal
 * slips in between a look at cli_signals_caught() and the sleep.
 * Return: 1 readable, 0 time is up, -EINTR the end was asked for.
 */
int cli_wait_until(int fd, int64_t deadline);

#endif
