/* SPDX-License-Identifier: MIT */
/*
 * report.h - errors in words: what, why, remedy; and the exit code for it.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdbool.h>

#include <bus/bus.h>

/* Print "bus: ..." on stderr. Return: CLI_ERROR, to be returned in turn. */
int cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print "     ...", a line that goes on after cli_error(): the remedy. */
void cli_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Print what was tried, why libbus refused it, and the remedy.
 * @topic: NULL, or the topic that it was about.
 * Return: the exit code that fits @error.
 */
int cli_fail(int error, const char *topic, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Connect, or say why not.
 * @dir: the value of --dir, or NULL.
 * Return: 0, or the exit code.
 */
int cli_open(const char *dir, struct bus **ret);

/* For CLI_CLEANUP */
void cli_bus_closep(struct bus **bus);

/* Whether stdout has failed; to be asked right after writing to it. */
bool cli_output_failed(void);

/*
 * Write out what stdout still holds. Nobody reads it any more (EPIPE) is a
 * good end; everything else is an error and said.
 * Return: @code, or CLI_OK after EPIPE, or CLI_ERROR.
 */
int cli_finish(int code);

#endif
