/* SPDX-License-Identifier: MIT */
/*
 * args.c - options of a verb: one table for parsing and for --help.
 *
 * Every verb takes --dir and --help besides its own options; options may stand
 * before or after the words, and "--" ends them. getopt_long(3) does the work,
 * but keeps silent: what is said is said here, in one way.
 */
#include "args.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "report.h"
#include "units.h"

#define OPTION_DIR 512
static const struct cli_option common[] = {
	{ OPTION_DIR, "dir", "DIR",
	  "the instance (else BUS_DIR, $XDG_RUNTIME_DIR/bus, /run/bus)" },
	{ 'h', "help", NULL, "print this text" },
	{ 0 },
};

static void print_options(const struct cli_option *o)
{
	for (; o->name; o++) {
		const char *arg = o->arg ? o->arg : "";
		const char *sep = !o->arg ? "" : *arg == '[' ? "" : " ";
		char left[40];

		snprintf(left, sizeof(left), "%s%s%s", o->name, sep, arg);
		if (o->code < 256)
			printf("  -%c, --%-24s %s\n", o->code, left, o->help);
		else
			printf("      --%-24s %s\n", left, o->help);
	}
}

static _Noreturn void print_help(const struct cli_usage *u)
{
	printf("usage: bus %s [OPTION]...%s%s\n\n%s\noptions:\n", u->name,
	       *u->words ? " " : "", u->words, u->about);
	print_options(u->options);
	print_options(common);
	printf("\nexamples:\n%s\nexit codes:\n"
	       "  0  done\n"
	       "  1  an error; stderr says what, why, and what to do\n"
	       "  2  wrong usage\n"
	       "  3  no instance of the bus, or busd is not running\n%s",
	       u->examples, u->exits ? u->exits : "");
	exit(cli_finish(CLI_OK));
}

void cli_args_wrong(const struct cli_args *args, const char *format, ...)
{
	va_list list;

	fprintf(stderr, "bus %s: ", args->usage->name);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fprintf(stderr, "\n     try: bus %s --help\n", args->usage->name);
	exit(CLI_USAGE);
}

static void add_options(struct cli_args *args, const struct cli_option *o,
			size_t *n)
{
	char *s = args->shorts + strlen(args->shorts);

	for (; o->name; o++) {
		bool may = o->arg && *o->arg == '[';

		if (*n >= CLI_OPTIONS_MAX - 1)
			abort();
		args->longs[(*n)++] = (struct option){
			.name = o->name,
			.has_arg = may	  ? optional_argument :
				   o->arg ? required_argument :
					    no_argument,
			.val = o->code,
		};
		if (o->code < 256)
			s += sprintf(s, "%c%s", o->code,
				     may    ? "::" :
				     o->arg ? ":" :
					      "");
	}
}

void cli_args_init(struct cli_args *args, const struct cli_usage *usage,
		   int argc, char **argv)
{
	size_t n = 0;

	*args = (struct cli_args){ .usage = usage, .argc = argc, .argv = argv };
	strcpy(args->shorts, ":");
	add_options(args, usage->options, &n);
	add_options(args, common, &n);
	opterr = 0;
}

static const struct cli_option *find_option(const struct cli_option *o,
					    int code)
{
	while (o->name && o->code != code)
		o++;
	return o->name ? o : NULL;
}

static void take_words(struct cli_args *args)
{
	const struct cli_usage *u = args->usage;

	args->words = args->argv + optind;
	args->n_words = args->argc - optind;
	if (args->n_words < u->min)
		cli_args_wrong(args, "it takes %s", u->words);
	if (u->max >= 0 && args->n_words > u->max)
		cli_args_wrong(args, "one word too many: '%s'",
			       args->words[u->max]);
}

/* What getopt_long() stumbled over: a known option used in a wrong way has its
 * code in optopt, an unknown short one its letter, an unknown long one 0. */
static _Noreturn void wrong_option(const struct cli_args *args,
				   const char *problem)
{
	const struct cli_option *o = find_option(args->usage->options, optopt);

	if (!o)
		o = find_option(common, optopt);
	if (o)
		cli_args_wrong(args, "option --%s %s", o->name, problem);
	if (optopt)
		cli_args_wrong(args, "unknown option: -%c", optopt);
	cli_args_wrong(args, "unknown option: %s", args->argv[optind - 1]);
}

int cli_args_next(struct cli_args *args)
{
	for (;;) {
		int code = getopt_long(args->argc, args->argv, args->shorts,
				       args->longs, NULL);

		args->value = optarg;
		switch (code) {
		case -1:
			take_words(args);
			return -1;
		case '?':
			wrong_option(args, "takes no value");
		case ':':
			wrong_option(args, "needs a value");
		case 'h':
			print_help(args->usage);
		case OPTION_DIR:
			if (!*optarg)
				cli_args_wrong(args, "--dir: no directory");
			args->dir = optarg;
			break;
		default:
			args->option = find_option(args->usage->options, code);
			/* -w=2 is meant as --watch=2 is. */
			if (optarg && *args->option->arg == '[')
				args->value += *optarg == '=';
			return code;
		}
	}
}

void cli_args_parse(struct cli_args *args, const struct cli_usage *usage,
		    int argc, char **argv, bool *json)
{
	cli_args_init(args, usage, argc, argv);
	while (cli_args_next(args) >= 0)
		if (json)
			*json = true;
}

uint64_t cli_args_number(const struct cli_args *args, uint64_t min,
			 uint64_t max)
{
	uint64_t v;

	if (cli_parse_number(args->value, &v) || v < min || v > max)
		cli_args_wrong(args,
			       "--%s: '%s' is not a number from %llu to %llu",
			       args->option->name, args->value,
			       (unsigned long long)min,
			       (unsigned long long)max);
	return v;
}

double cli_args_rate(const struct cli_args *args)
{
	char *end;
	double v = strtod(args->value, &end);

	if (end == args->value || *end || !(v > 0 && v <= 1e9))
		cli_args_wrong(args, "--%s: '%s' is not a number above 0",
			       args->option->name, args->value);
	return v;
}

int64_t cli_args_duration(const struct cli_args *args)
{
	int64_t v;

	if (cli_parse_duration(args->value, &v))
		cli_args_wrong(
			args, "--%s: '%s' is not a time such as 500ms, 10s, 2m",
			args->option->name, args->value);
	return v;
}
