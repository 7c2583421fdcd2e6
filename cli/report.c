/* SPDX-License-Identifier: MIT */
/*
 * report.c - errors in words: what, why, remedy; and the exit code for it.
 *
 * An error takes two lines on stderr, the second one being what to do:
 *
 *	bus: cannot read 'greetings': no such topic
 *	     create it: bus topic create greetings
 */
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct {
	int error;
	const char *cause, *remedy;
} causes[] = {
#define CAUSE(name, value, cause, remedy) { BUS_##name, cause, remedy },
	BUS_ERRORS(CAUSE)
#undef CAUSE
};

/* As the user gave it, for remedies that can be typed as they are. */
static const char *given_dir;

/* The first error of stdout. */
static int output_errno;

static void print(const char *prefix, const char *format, va_list args)
{
	fflush(stdout);
	fputs(prefix, stderr);
	vfprintf(stderr, format, args);
}

int cli_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print("bus: ", format, args);
	va_end(args);
	fputc('\n', stderr);
	return CLI_ERROR;
}

void cli_hint(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print("     ", format, args);
	va_end(args);
	fputc('\n', stderr);
}

static int exit_code(int error)
{
	switch (error) {
	case BUS_ENODIR:
	case BUS_ECONNREFUSED:
		return CLI_NO_BUS;
	case BUS_ENOENT:
	case BUS_EGONE:
		return CLI_NO_TOPIC;
	default:
		return CLI_ERROR;
	}
}

static void find_cause(int error, const char **cause, const char **remedy)
{
	*cause = strerror(-error);
	*remedy = "";
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		if (causes[i].error == error) {
			*cause = causes[i].cause;
			*remedy = causes[i].remedy;
		}
	}
}

/* A line that can be typed as it is, wherever there is one. */
static void print_remedy(int error, const char *topic, const char *remedy)
{
	const char *flag = given_dir ? " --dir " : "";
	const char *dir = given_dir ? given_dir : "";

	if (error == BUS_ENOENT && topic)
		cli_hint("create it: bus topic create %s%s%s", topic, flag,
			 dir);
	else if (error == BUS_ERANGE && topic)
		cli_hint("see what there is: bus stat %s%s%s", topic, flag,
			 dir);
	else if (error == BUS_EGONE)
		cli_hint("see what there is: bus status, bus topic list");
	else if (exit_code(error) == CLI_NO_BUS)
		cli_hint("start it: bus up%s%s", flag, dir);
	else if (*remedy)
		cli_hint("%s", remedy);
}

int cli_fail(int error, const char *topic, const char *format, ...)
{
	const char *detail = bus_detail();
	const char *cause, *remedy;
	va_list args;

	find_cause(error, &cause, &remedy);
	/* A detail says what is in range. */
	if (error == BUS_ERANGE && *detail)
		remedy = "";
	va_start(args, format);
	print("bus: ", format, args);
	va_end(args);
	if (!*detail || error == BUS_ENOENT)
		fprintf(stderr, ": %s\n", cause);
	else if (exit_code(error) == CLI_NO_BUS)
		fprintf(stderr, ": %s: %s\n", cause, detail);
	else
		fprintf(stderr, ": %s\n", detail);
	print_remedy(error, topic, remedy);
	return exit_code(error);
}

int cli_open(const char *dir, struct bus **ret)
{
	struct bus_options options = { .size = sizeof(options), .dir = dir };
	int r;

	given_dir = dir;
	r = bus_open(&options, ret);
	if (r < 0)
		return cli_fail(r, NULL, "cannot open the bus%s%s",
				dir ? " in " : "", dir ? dir : "");
	return 0;
}

void cli_bus_closep(struct bus **bus)
{
	bus_close(*bus);
}

bool cli_output_failed(void)
{
	/* errno is only worth something right after the call that failed. */
	if (ferror(stdout) && !output_errno)
		output_errno = errno ? errno : EIO;
	return output_errno;
}

int cli_finish(int code)
{
	fflush(stdout);
	if (!cli_output_failed())
		return code;
	if (output_errno == EPIPE)
		return CLI_OK;
	return cli_error("cannot write to standard output: %s",
			 strerror(output_errno));
}
