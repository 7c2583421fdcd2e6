/* SPDX-License-Identifier: MIT */
/*
 * test_cli.c - the bus command as a user types it, through a shell.
 *
 * Each test has a busd of its own, named by BUS_DIR; the command stands first
 * in PATH. What a line prints goes to files beside the socket, is looked at,
 * and goes with the directory.
 */
#define _GNU_SOURCE
#include "util.h"

#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- Running a line ---------------------------------------------------------- */

struct result {
	int code; /* exit status; -1: a signal */
	char out[65536];
	size_t out_size;
	char err[8192];
};

static struct result result; /* of the last line that was run */

static size_t read_file(const char *dir, const char *name, char *ret,
			size_t size)
{
	char path[256];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	check_true(f);
	n = fread(ret, 1, size - 1, f);
	ret[n] = 0;
	fclose(f);
	unlink(path);
	return n;
}

/* Run a line of shell; what comes of it stands in `result`. */
static int run(const struct test_bus *t, const char *line)
{
	char command[4096];
	int status;

	setenv("BUS_DIR", t->dir, 1);
	snprintf(command, sizeof(command),
		 "cd %s && exec >out 2>err </dev/null; %s", t->dir, line);
	status = system(command);
	result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	result.out_size =
		read_file(t->dir, "out", result.out, sizeof(result.out));
	read_file(t->dir, "err", result.err, sizeof(result.err));
	return result.code;
}

/* It must end with @code; shows what it said if it does not. */
#define run_expect(t, line, want)                                              \
	do {                                                                   \
		if (run((t), (line)) != (want))                                \
			fprintf(stderr, "$ %s\n%s%s", (line), result.out,      \
				result.err);                                   \
		check(result.code, ==, (want));                                \
	} while (0)

/* Put build/ first in PATH, so that a line says just "bus". */
static void find_command(void)
{
	char path[8192], dir[4096];

	strcpy(dir, test_program("bus"));
	*strrchr(dir, '/') = 0;
	snprintf(path, sizeof(path), "%s:%s", dir, getenv("PATH"));
	setenv("PATH", path, 1);
}

/* ---- JSON --------------------------------------------------------------------- */

/* Behind a JSON value, or NULL if it is not one. */
static const char *json(const char *p);

static const char *json_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static const char *json_string(const char *p)
{
	if (*p++ != '"')
		return NULL;
	for (; *p != '"'; p++) {
		if ((unsigned char)*p < 0x20)
			return NULL;
		if (*p == '\\' && !strchr("\"\\/bfnrtu", *++p))
			return NULL;
	}
	return p + 1;
}

static const char *json_list(const char *p, char close)
{
	p = json_space(p + 1);
	if (*p == close)
		return p + 1;
	for (;; p++) {
		if (close == '}') {
			p = json_string(json_space(p));
			if (!p || *(p = json_space(p)) != ':')
				return NULL;
			p++;
		}
		p = json(p);
		if (!p)
			return NULL;
		if (*p == close)
			return p + 1;
		if (*p != ',')
			return NULL;
	}
}

static const char *json(const char *p)
{
	static const char *const words[] = { "true", "false", "null" };
	char *end;

	p = json_space(p);
	if (*p == '{' || *p == '[') {
		p = json_list(p, *p == '{' ? '}' : ']');
	} else if (*p == '"') {
		p = json_string(p);
	} else if (*p == '-' || isdigit((unsigned char)*p)) {
		strtod(p, &end);
		p = end;
	} else {
		const char *word = p;

		for (size_t i = 0; i < N_ELEMENTS(words); i++)
			if (!strncmp(p, words[i], strlen(words[i])))
				p = word + strlen(words[i]);
		if (p == word)
			return NULL;
	}
	return p ? json_space(p) : NULL;
}

/* All of the output is @n values of JSON, one after the other. */
static void check_json(unsigned n)
{
	const char *p = result.out;

	for (; n--; p = json(p))
		check_true(json(p));
	check(*p, ==, 0);
}

/* ---- Records -------------------------------------------------------------------- */

static void hello_world_works_across_processes(void **state)
{
	struct test_bus *t = *state;

	run_expect(t, "bus topic create greetings", 0);
	run_expect(t, "bus produce greetings hello", 0);
	run_expect(t, "echo world | bus produce greetings", 0);
	check(result.out_size, ==, 0);
	run_expect(t, "bus consume greetings -o beginning -e", 0);
	check(strcmp(result.out, "hello\nworld\n"), ==, 0);
	check(strcmp(result.err, ""), ==, 0);
}

static void lines_come_out_as_they_went_in(void **state)
{
	static const struct {
		const char *in, *want;
	} lines[] = {
		{ "printf 'a\\nb'", "a\nb\n" }, /* no last newline */
		{ "printf ''", "" }, /* nothing at all */
		{ "printf '\\n\\na\\n\\n'", "\n\na\n\n" }, /* empty ones */
		{ "printf 'cr\\r\\n'", "cr\r\n" },
		{ "printf '\\303\\251\\377\\200\\n'", "\303\251\377\200\n" },
	};
	struct test_bus *t = *state;

	for (size_t i = 0; i < N_ELEMENTS(lines); i++) {
		char line[256];

		run_expect(t, "bus topic create t ring.bytes=64K", 0);
		snprintf(line, sizeof(line), "%s | bus produce t", lines[i].in);
		run_expect(t, line, 0);
		run_expect(t, "bus consume t -o beginning -e", 0);
		check(result.out_size, ==, strlen(lines[i].want));
		check(strcmp(result.out, lines[i].want), ==, 0);
		run_expect(t, "bus topic delete t", 0);
	}
}

static void binary_values_are_not_touched(void **state)
{
	struct test_bus *t = *state;

	run_expect(t, "bus topic create t", 0);
	run_expect(t, "printf 'a\\0b\\n\\0\\0\\n' | bus produce t", 0);
	run_expect(t, "bus consume t -o beginning -e", 0);
	check(result.out_size, ==, 7);
	check(memcmp(result.out, "a\0b\n\0\0\n", 7), ==, 0);
	run_expect(t, "bus consume t -o beginning -e -f '%S '", 0);
	check(strcmp(result.out, "3 2 "), ==, 0);
	/* a large one, through and through */
	run_expect(t,
		   "head -c 900000 /dev/urandom | tr -d '\\n' >in; "
		   "bus produce t -f in; "
		   "bus consume t -o -1 -e | head -c -1 | cmp - in; "
		   "e=$?; rm in; exit $e",
		   0);
}

static void keys_headers_and_partitions_are_kept(void **state)
{
	struct test_bus *t = *state;

	run_expect(t, "bus topic create t -p 4 ring.bytes=64K", 0);
	run_expect(t,
		   "printf '21:one\\n:empty\\nnone\\n' | "
		   "bus produce t -K : -H source=test -H x=",
		   0);
	run_expect(t,
		   "bus consume t -o beginning -e "
		   "-f '%k|%K|%s|%h\\n' | sort",
		   0);
	check_text(result.out, "21|2|one|source=test,x=\n");
	check_text(result.out, "|0|empty|source=test,x=\n");
	check_text(result.out, "|-1|none|source=test,x=\n");
	run_expect(t, "bus produce t -p 3 -k key -T 'in three'", 0);
	run_expect(t, "bus consume t -p 3 -o -1 -e -f '%t %p %T %k %%%s'", 0);
	check(strcmp(result.out, "t 3 -1 key %in three"), ==, 0);
	run_expect(t, "bus produce t -p 4 x", 1);
	check_text(result.err, "4");
}

static void null_is_told_from_empty(void **state)
{
	struct test_bus *t = *state;

	run_expect(t, "bus topic create t", 0);
	run_expect(t, "printf 'k:\\n' | bus produce t -K : --null", 0);
	run_expect(t, "printf 'k:\\n' | bus produce t -K :", 0);
	run_expect(t, "bus consume t -o beginning -e -f '%S,'", 0);
	check(strcmp(result.out, "-1,0,"), ==, 0);
}

static void offsets_and_counts_choose_what_is_read(void **state)
{
	static const struct {
		const char *options, *want;
	} cases[] = {
		{ "-o beginning -c 2", "0 1 " },
		{ "-o 7 -e", "7 8 9 " },
		{ "-o -3 -e", "7 8 9 " },
		{ "-o -3 -c 1", "7 " },
		{ "-o end -e", "" },
		{ "-e", "" },
		{ "-o 10 -e", "" },
	};
	struct test_bus *t = *state;

	run_expect(t, "bus topic create t", 0);
	run_expect(t, "seq 10 | bus produce t", 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		char line[256];

		snprintf(line, sizeof(line), "bus consume t %s -f '%%o '",
			 cases[i].options);
		run_expect(t, line, 0);
		check(strcmp(result.out, cases[i].want), ==, 0);
	}
	run_expect(t, "bus consume t -o 11 -e", 1);
	check_text(result.err, "11");
	run_expect(t, "bus consume t -o end -c 1 --timeout 20ms", 5);
}

static void what_was_lost_is_said(void **state)
{
	struct test_bus *t = *state;

	run_expect(t, "bus topic create t ring.bytes=4096", 0);
	/* stopped while the ring goes over it more than once */
	run_expect(t,
		   "bus consume t -o beginning -u -c 2 >lines 2>err2 & p=$!; "
		   "bus produce t first; "
		   "until [ -s lines ]; do sleep 0.01; done; "
		   "kill -STOP $p; seq 1000 | bus produce t; kill -CONT $p; "
		   "wait $p; e=$?; cat err2 >&2; rm lines err2; exit $e",
		   6);
	check_text(result.err, "1 ");
	check_text(result.err, "lost");
}

static void a_closed_pipe_is_a_good_end(void **state)
{
	struct test_bus *t = *state;

	run_expect(t, "bus topic create t", 0);
	run_expect(t, "seq 100000 | bus produce t", 0);
	run_expect(t,
		   "(bus consume t -o beginning -e; echo $? >code) | "
		   "head -1; cat code; rm code",
		   0);
	check(strcmp(result.out, "1\n0\n"), ==, 0);
	check(strcmp(result.err, ""), ==, 0);
	run_expect(t, "bus consume t -o beginning -e >&-", 1);
	check_true(*result.err);
	run_expect(t, "bus consume t -o beginning -e >/dev/full", 1);
	check_text(result.err, "No space left");
	run_expect(t, "bus topic list >/dev/full", 1);
}

/* Ctrl-C: a clean end that says what was done. */
static void an_interrupt_ends_cleanly(void **state)
{
	struct test_bus *t = *state;

	run_expect(t, "bus topic create t", 0);
	run_expect(t, "bus produce t a b c", 0);
	run_expect(t,
		   "bus consume t -o beginning -u >lines 2>err2 & p=$!; "
		   "until [ $(wc -l <lines) = 3 ]; do sleep 0.01; done; "
		   "kill -INT $p; wait $p; e=$?; cat err2 >&2; cat lines; "
		   "rm lines err2; exit $e",
		   0);
	check(strcmp(result.out, "a\nb\nc\n"), ==, 0);
	check_text(result.err, "3 records");
	run_expect(t,
		   "mkfifo gate; bus produce t <gate 2>err2 & p=$!; "
		   "exec 9>gate; echo x >&9; "
		   "until [ $(bus consume t -o beginning -e | wc -l) = 4 ]; "
		   "do sleep 0.01; done; "
		   "kill -INT $p; wait $p; e=$?; cat err2 >&2; "
		   "rm gate err2; exit $e",
		   0);
	check_text(result.err, "1 record");
	run_expect(t, "bus consume t -o -1 -e", 0);
	check(strcmp(result.out, "x\n"), ==, 0);
}

static void a_line_too_long_is_named_and_the_rest_was_sent(void **state)
{
	struct test_bus *t = *state;

	run_expect(t, "bus topic create t max.message.bytes=1000", 0);
	run_expect(t,
		   "(echo one; echo two; seq 5000 | tr -d '\\n'; echo; "
		   "echo four) | bus produce t",
		   1);
	check_text(result.err, "record 3");
	check_text(result.err, "max.message.bytes");
	run_expect(t, "bus consume t -o beginning -e", 0);
	check(strncmp(result.out, "one\ntwo\n", 8), ==, 0);
}

/* ---- Topics, status -------------------------------------------------------------- */

static void an_unknown_topic_shows_the_line_to_type(void **state)
{
	struct test_bus *t = *state;

	run_expect(t, "echo x | bus produce nowhere", 4);
	check_text(result.err, "bus topic create nowhere");
	run_expect(t, "bus consume nowhere -e", 4);
	check_text(result.err, "bus topic create nowhere");
	run_expect(t, "bus topic describe nowhere", 4);
	run_expect(t, "bus topic delete nowhere", 4);
	run_expect(t, "bus topic alter nowhere ring.bytes=4096", 4);
	run_expect(t, "bus stat nowhere", 4);
	check(test_status(t).n_topics, ==, 0);
}

static void topics_are_managed(void **state)
{
	struct test_bus *t = *state;

	run_expect(t, "bus topic create b -p 2 ring.bytes=64K", 0);
	run_expect(t, "bus topic create b -p 2 ring.bytes=64K", 0);
	run_expect(t, "bus topic create b", 1);
	run_expect(t, "bus topic create a ring.bytes=4K", 0);
	run_expect(t, "bus topic list", 0);
	check_text(result.out, "a ");
	check_true(strstr(result.out, "a ") < strstr(result.out, "b "));
	run_expect(t, "bus topic alter b -p 3 max.block.ms=9", 0);
	run_expect(t, "bus topic describe b", 0);
	check_text(result.out, "max.block.ms");
	check_text(result.out, "9");
	run_expect(t, "bus topic create c ring.bytes=5000", 1);
	check_text(result.err, "power of two");
	run_expect(t, "bus topic create 'a/b'", 1);
	run_expect(t, "bus topic create c -p 1000", 2);
	check_text(result.err, "128");
	run_expect(t, "bus topic delete b", 0);
	run_expect(t, "bus topic delete a", 0);
	check(test_status(t).n_topics, ==, 0);
}

static void tables_are_json_on_request(void **state)
{
	struct test_bus *t = *state;

	run_expect(t, "bus topic list --json", 0);
	check_json(1);
	run_expect(t, "bus topic create t -p 2 ring.bytes=64K", 0);
	run_expect(t,
		   "printf '\"q\"\\\\\\t\\001\\n\\377\\n' | "
		   "bus produce t -k 'k\"' -H 'h\"=v\"'",
		   0);
	run_expect(t, "bus status --json", 0);
	check_json(1);
	run_expect(t, "bus topic list --json", 0);
	check_json(1);
	run_expect(t, "bus topic describe t --json", 0);
	check_json(1);
	run_expect(t, "bus stat --json", 0);
	check_json(1);
	check_text(result.out, "\"t\"");
	run_expect(t, "bus consume t -o beginning -e --json", 0);
	check_json(2);
	run_expect(t, "bus doctor --json; [ $? -le 1 ]", 0);
	check_json(1);
	run_expect(t, "bus stat t", 0);
	check_true(result.out_size);
	run_expect(t, "bus status", 0);
	check_text(result.out, t->dir);
}

static void a_topic_deleted_while_it_is_read_ends_the_reader(void **state)
{
	struct test_bus *t = *state;

	run_expect(t, "bus topic create t", 0);
	run_expect(t,
		   "bus produce t x; bus consume t -o beginning -u >lines & "
		   "p=$!; until [ -s lines ]; do sleep 0.01; done; "
		   "bus topic delete t >&2; wait $p; e=$?; cat lines; "
		   "rm lines; exit $e",
		   4);
	check(strcmp(result.out, "x\n"), ==, 0);
}

/* ---- Help, usage ------------------------------------------------------------------- */

static void every_verb_has_help(void **state)
{
	static const char *const verbs[] = {
		"up",	      "down",		"status",      "topic create",
		"topic list", "topic describe", "topic alter", "topic delete",
		"produce",    "consume",	"stat",	       "bench",
		"doctor",
	};
	struct test_bus *t = *state;
	char line[128];

	for (size_t i = 0; i < N_ELEMENTS(verbs); i++) {
		snprintf(line, sizeof(line), "bus %s --help", verbs[i]);
		run_expect(t, line, 0);
		check_text(result.out, "usage: bus ");
		check_text(result.out, verbs[i]);
		check_text(result.out, "examples:\n");
		check_text(result.out, "exit codes:\n");
		check(strcmp(result.err, ""), ==, 0);
		snprintf(line, sizeof(line), "bus %s --no-such-option",
			 verbs[i]);
		run_expect(t, line, 2);
		check_true(*result.err);
		check(result.out_size, ==, 0);
	}
	run_expect(t, "bus help", 0);
	run_expect(t, "bus version", 0);
	check_text(result.out, BUS_VERSION);
	run_expect(t, "bus", 2);
	run_expect(t, "bus nonsense", 2);
	check_text(result.err, "nonsense");
	run_expect(t, "bus topic", 2);
	run_expect(t, "bus produce", 2);
	run_expect(t, "bus consume t -c x", 2);
	run_expect(t, "bus consume t -o x", 2);
}

/* ---- Up and down -------------------------------------------------------------------- */

static void up_and_down_again(void **state)
{
	struct test_bus *t = *state;
	char line[256];

	/* the test's own is there already */
	run_expect(t, "bus up", 0);
	check_text(result.out, "already");
	snprintf(line, sizeof(line),
		 "bus --dir %s/b up && bus --dir %s/b topic create t && "
		 "BUS_DIR=%s/b bus topic list && bus down --dir %s/b",
		 t->dir, t->dir, t->dir, t->dir);
	run_expect(t, line, 0);
	check_text(result.out, "t ");
	run_expect(t, "test -e b/busd.sock", 1);
	run_expect(t, "grep -q ' up in ' b/busd.log", 0);
	run_expect(t, "bus --dir b status", 3);
	check_text(result.err, "bus up");
	run_expect(t, "bus --dir b topic list", 3);
	run_expect(t, "echo x | bus --dir b produce t", 3);
	run_expect(t, "rm b/busd.lock b/busd.log && rmdir b", 0);
	test_status(t);
}

static void up_says_why_it_cannot(void **state)
{
	struct test_bus *t = *state;
	char line[512];

	run_expect(t, "bus up --dir /proc/none", 1);
	check_text(result.err, "/proc/none");
	snprintf(line, sizeof(line), "mkdir %0120d && bus up --dir $PWD/%0120d",
		 1, 1);
	run_expect(t, line, 1);
	check_text(result.err, "long");
	snprintf(line, sizeof(line), "rm -r %0120d", 1);
	run_expect(t, line, 0);
	run_expect(t, "touch file; bus up --dir file", 1);
	run_expect(t, "rm file", 0);
}

static int teardown(void **state)
{
	unsetenv("BUS_DIR");
	return test_teardown(state);
}

#define CLI(f) cmocka_unit_test_setup_teardown(f, test_setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CLI(hello_world_works_across_processes),
		CLI(lines_come_out_as_they_went_in),
		CLI(binary_values_are_not_touched),
		CLI(keys_headers_and_partitions_are_kept),
		CLI(null_is_told_from_empty),
		CLI(offsets_and_counts_choose_what_is_read),
		CLI(what_was_lost_is_said),
		CLI(a_closed_pipe_is_a_good_end),
		CLI(an_interrupt_ends_cleanly),
		CLI(a_line_too_long_is_named_and_the_rest_was_sent),
		CLI(an_unknown_topic_shows_the_line_to_type),
		CLI(topics_are_managed),
		CLI(tables_are_json_on_request),
		CLI(a_topic_deleted_while_it_is_read_ends_the_reader),
		CLI(every_verb_has_help),
		CLI(up_and_down_again),
		CLI(up_says_why_it_cannot),
	};

	find_command();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
