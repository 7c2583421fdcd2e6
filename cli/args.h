/* SPDX-License-Identifier: MIT */
/*
 * args.h - options of a verb: one table for parsing and for --help.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#define CLI_OPTIONS_MAX 24

struct cli_option {
	int code;		/* the short letter, or above 255: none */
	const char *name;	/* long */
	const char *arg;	/* NULL: takes none; "[X]": may take one */
	const char *help;
};

#define CLI_JSON 256
#define CLI_OPTION_JSON                                                        \
	{                                                                      \
		CLI_JSON, "json", NULL, "print JSON, not a table"              \
	}

struct cli_usage {
	const char *name;	/* of the verb: "topic create" */
	const char *words;	/* what follows the options: "TOPIC [VALUE]..." */
	int min, max;		/* how many of them; max -1: any number */
	const char *about;	/* what it does: whole lines */
	const struct cli_option *options; /* ends with an empty one */
	const char *examples;	/* whole lines */
	const char *exits;	/* codes besides 0 to 3: whole lines, or NULL */
};

struct cli_args {
	const struct cli_usage *usage;
	const char *dir;	/* of --dir, or NULL */
	const char *value;	/* of the last option, or NULL */
	char **words;		/* what is left after the options */
	int n_words;
	/* private */
	int argc;
	char **argv;
	const struct cli_option *option;
	struct option longs[CLI_OPTIONS_MAX];
	char shorts[3 * CLI_OPTIONS_MAX];
};

/* Parsing. What is wrong ends the program with CLI_USAGE, --help with 0. */

void cli_args_init(struct cli_args *args, const struct cli_usage *usage,
		   int argc, char **argv);

/* Return: the code of the next option; -1 when only words are left. */
int cli_args_next(struct cli_args *args);

/* Say what is wrong with the command line and end. */
_Noreturn void cli_args_wrong(const struct cli_args *args, const char *format,
			      ...) __attribute__((format(printf, 2, 3)));

/* Values of the option that cli_args_next() just returned */

uint64_t cli_args_number(const struct cli_args *args, uint64_t min,
			 uint64_t max);
double cli_args_rate(const struct cli_args *args);
int64_t cli_args_duration(const struct cli_args *args);

/* For a verb without options of its own: words only. */
void cli_args_parse(struct cli_args *args, const struct cli_usage *usage,
		    int argc, char **argv, bool *json);

#endif
