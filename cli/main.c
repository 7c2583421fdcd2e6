/* SPDX-License-Identifier: MIT */
/*
 * main.c - the bus command: finds the verb and hands over.
 *
 * bus [--dir DIR] VERB [OPTION]... A verb is one word or two ("topic list").
 * --dir may stand before any of them; it is put behind the verb, where the
 * verb's own parser finds it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "report.h"

struct verb {
	const char *name, *sub;
	int (*run)(int argc, char **argv);
	const char *summary;
};

static int help(int argc, char **argv);
static int version(int argc, char **argv);

static const struct verb verbs[] = {
	{ "up", NULL, cli_up, "start an instance of the bus" },
	{ "down", NULL, cli_down, "end it" },
	{ "status", NULL, cli_status, "say how it is" },
	{ "topic", "create", cli_topic_create, "create a topic" },
	{ "topic", "list", cli_topic_list, "list the topics" },
	{ "topic", "describe", cli_topic_describe, "show a topic's settings" },
	{ "topic", "alter", cli_topic_alter,
	  "change settings, add partitions" },
	{ "topic", "delete", cli_topic_delete, "delete a topic" },
	{ "produce", NULL, cli_produce,
	  "send lines of stdin, a file or the command line" },
	{ "consume", NULL, cli_consume, "print records as they come" },
	{ "stat", NULL, cli_stat, "counters, lag, latency, who is attached" },
	{ "bench", NULL, cli_bench, "measure this machine" },
	{ "doctor", NULL, cli_doctor, "look for what makes this machine slow" },
	{ "help", NULL, help, "this text, or a verb's: bus help topic create" },
	{ "version", NULL, version, "print the version" },
};
#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void print_usage(FILE *out)
{
	fputs("usage: bus [--dir DIR] VERB [OPTION]...\n\n"
	      "A message bus in shared memory: topics, partitions, offsets.\n\n"
	      "verbs:\n",
	      out);
	for (size_t i = 0; i < N_VERBS; i++) {
		const struct verb *v = &verbs[i];

		fprintf(out, "  %s%s%-*s  %s\n", v->name, v->sub ? " " : "",
			(int)(15 - strlen(v->name) - (v->sub ? 1 : 0)),
			v->sub ? v->sub : "", v->summary);
	}
	fputs("\nhello world:\n"
	      "  bus up\n"
	      "  bus topic create greetings\n"
	      "  bus produce greetings hello\n"
	      "  bus consume greetings -o beginning -e\n"
	      "  bus down\n\n"
	      "exit codes:\n"
	      "  0  done, also after Ctrl-C\n"
	      "  1  an error; stderr says what, why, and what to do\n"
	      "  2  wrong usage\n"
	      "  3  no instance of the bus, or busd is not running\n"
	      "  4  no such topic, or it was deleted\n"
	      "  5  consume: less than --count in the time of --timeout\n"
	      "  6  consume: records were lost before they were read\n\n"
	      "Each verb has examples: bus VERB --help\n",
	      out);
}

static const struct verb *find(const char *name, const char *sub)
{
	for (size_t i = 0; i < N_VERBS; i++) {
		const struct verb *v = &verbs[i];

		if (!strcmp(v->name, name) &&
		    (!v->sub || (sub && !strcmp(v->sub, sub))))
			return v;
	}
	return NULL;
}

static int unknown(const char *name, const char *sub)
{
	const char *sep = "the verbs are:";
	size_t i;

	for (i = 0; i < N_VERBS && strcmp(verbs[i].name, name); i++)
		;
	if (i == N_VERBS) {
		cli_error("no such verb: '%s'", name);
		cli_hint("try: bus help");
		return CLI_USAGE;
	}
	if (sub)
		cli_error("no such verb: '%s %s'", name, sub);
	else
		cli_error("'%s' needs a second word", name);
	fputs("     ", stderr);
	for (; i < N_VERBS && !strcmp(verbs[i].name, name); i++) {
		fprintf(stderr, "%s %s %s", sep, name, verbs[i].sub);
		sep = ",";
	}
	fputc('\n', stderr);
	return CLI_USAGE;
}

static int run(const struct verb *v, const char *dir, int argc, char **argv)
{
	char name[32];
	char **args = calloc((size_t)argc + 4, sizeof(*args));
	int n = 0, r;

	if (!args)
		return cli_error("out of memory");
	snprintf(name, sizeof(name), "%s%s%s", v->name, v->sub ? " " : "",
		 v->sub ? v->sub : "");
	args[n++] = name;
	if (dir) {
		args[n++] = (char *)"--dir";
		args[n++] = (char *)dir;
	}
	while (argc--)
		args[n++] = *argv++;
	r = v->run(n, args);
	free(args);
	return r;
}

static int help(int argc, char **argv)
{
	static char option[] = "--help";
	char *args[] = { option, NULL };
	const char *word[3] = { NULL };
	const struct verb *v;
	int n = 0;

	for (int i = 1; i < argc && n < 2; i++) {
		if (!strcmp(argv[i], "--dir"))
			i++;
		else if (*argv[i] != '-')
			word[n++] = argv[i];
	}
	if (!n) {
		print_usage(stdout);
		return cli_finish(CLI_OK);
	}
	v = find(word[0], word[1]);
	if (!v)
		return unknown(word[0], word[1]);
	if (v->run == help || v->run == version)
		return help(1, argv);
	return run(v, NULL, 1, args);
}

static int version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("bus " BUS_VERSION);
	return cli_finish(CLI_OK);
}

/* Take an option that stands before the verb. Return: how many words it is;
 * 0 if this is no option; -1 if it ends here, with *code. */
static int global_option(char **argv, const char **dir, int *code)
{
	const char *word = argv[0];

	if (!word || *word != '-')
		return 0;
	if (!strncmp(word, "--dir=", 6)) {
		*dir = word + 6;
		return 1;
	}
	if (!strcmp(word, "--dir") && argv[1]) {
		*dir = argv[1];
		return 2;
	}
	if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
		*code = help(0, NULL);
		return -1;
	}
	if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
		*code = version(0, NULL);
		return -1;
	}
	if (!strcmp(word, "--dir"))
		cli_error("option --dir needs a value");
	else
		cli_error("no such option before a verb: %s", word);
	cli_hint("try: bus help");
	*code = CLI_USAGE;
	return -1;
}

/*
 * A descriptor 0 to 2 that is closed would be given to the next socket or
 * file, and our output go there. Open each the wrong way round, so that using
 * it fails.
 */
static void occupy_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null",
			 fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			_exit(CLI_ERROR);
}

int main(int argc, char **argv)
{
	const char *dir = NULL, *name;
	const struct verb *v;
	int i = 1, n, code;

	occupy_standard_fds();
	while ((n = global_option(argv + i, &dir, &code)) > 0)
		i += n;
	if (n < 0)
		return code;
	if (i >= argc) {
		print_usage(stderr);
		return CLI_USAGE;
	}
	name = argv[i++];
	if (find(name, NULL))
		return run(find(name, NULL), dir, argc - i, argv + i);
	while ((n = global_option(argv + i, &dir, &code)) > 0)
		i += n;
	if (n < 0)
		return code;
	v = find(name, argv[i]);
	if (!v)
		return unknown(name, argv[i]);
	return run(v, dir, argc - i - 1, argv + i + 1);
}
