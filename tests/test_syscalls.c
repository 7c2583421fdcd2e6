/* SPDX-License-Identifier: MIT */
/*
 * test_syscalls.c - a steady send or poll makes no system call: counted under
 * ptrace over a million records.
 *
 * The traced child marks the beginning and the end of each part by a getpriority
 * of a process that cannot be, and does its parts between them.
 */
#define _GNU_SOURCE
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define RECORDS (1000000 / TEST_SLOW)
#define MARK 0x7ffff000 /* no pid is as large */

static void mark(int number)
{
	syscall(SYS_getpriority, 0, MARK + number);
}

/* ---- What the child does ------------------------------------------------------ */

static void one_by_one(struct bus_producer *p, struct bus_consumer *c)
{
	char value[32] = "thirty-two bytes of nothing much";
	struct bus_record r;

	for (int64_t i = 0; i < RECORDS; i += 50) {
		for (unsigned k = 0; k < 50; k++)
			if (bus_send(p, value, sizeof(value)) < 0)
				_exit(2);
		for (unsigned k = 0; k < 50; k++)
			if (bus_poll(c, &r, BUS_FOREVER) != 1)
				_exit(3);
		if (bus_poll(c, &r, BUS_NO_WAIT) != 0)
			_exit(4);
	}
}

static void with_all_there_is(struct bus_producer *p, struct bus_consumer *c)
{
	static const struct bus_header header = { "h", 1, "v", 1 };
	struct bus_message m[10], in_place;
	struct bus_record r[50];
	void *room;

	for (unsigned k = 0; k < 10; k++) {
		m[k] = BUS_MESSAGE;
		m[k].value = "the value";
		m[k].value_size = 9;
		m[k].key = "key";
		m[k].key_size = 3;
		m[k].headers = &header;
		m[k].n_headers = 1;
		m[k].timestamp = 1;
	}
	in_place = m[0];
	in_place.value = NULL;
	for (int64_t i = 0; i < RECORDS; i += 50) {
		for (unsigned k = 0; k < 10; k++)
			if (bus_reserve(p, &in_place, &room) ||
			    bus_commit(p) < 0)
				_exit(2);
		for (unsigned k = 0; k < 4; k++)
			if (bus_send_batch(p, m, 10, NULL) < 0)
				_exit(3);
		if (bus_poll_many(c, r, 50, BUS_FOREVER) != 50)
			_exit(4);
	}
}

static const struct test_bus *instance;

static void work(const char *producers, enum bus_slow slow, int part)
{
	struct bus *bus = test_connect(instance);
	const char *name = producers + strlen("producers=");
	struct bus_producer *p;
	struct bus_consumer *c;

	test_topic(bus, name, 1, SETTINGS("ring.bytes=64K", producers));
	p = test_producer(bus, name, PATIENCE);
	c = test_consumer(bus, name, BUS_BEGINNING, slow);
	one_by_one(p, c); /* warm: what is done once is done */
	mark(part);
	one_by_one(p, c);
	mark(part + 1);
	with_all_there_is(p, c);
	mark(part + 2);
	_exit(0);
}

/* ---- The tracer ---------------------------------------------------------------- */

/* The marker this stop is about, or -1; counts entries only. */
static long marker(const struct __ptrace_syscall_info *info)
{
	if (info->entry.nr == SYS_getpriority && info->entry.args[0] == 0 &&
	    info->entry.args[1] >= MARK)
		return (long)(info->entry.args[1] - MARK);
	return -1;
}

/* Run the stopped child to its end; calls[i]: system calls behind mark i. */
static void trace(pid_t pid, unsigned *calls)
{
	struct __ptrace_syscall_info info;
	long at = -1;
	int status, signal = 0;

	for (;;) {
		check(ptrace(PTRACE_SYSCALL, pid, NULL, (long)signal), ==, 0);
		check(waitpid(pid, &status, 0), ==, pid);
		if (WIFEXITED(status) || WIFSIGNALED(status))
			break;
		signal = WSTOPSIG(status);
		if (signal != (SIGTRAP | 0x80))
			continue; /* its own: hand it on */
		signal = 0;
		check(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info),
		      >, 0);
		if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
			continue;
		if (marker(&info) >= 0) {
			at = marker(&info);
		} else if (at >= 0 && calls[at]++ < 5 && at < 2) {
			fprintf(stderr, "\tsystem call %llu behind mark %ld\n",
				(unsigned long long)info.entry.nr, at);
		}
	}
	check(status, ==, 0);
	check(at, ==, 2);
}

static void count_calls(struct test_bus *t, const char *producers,
			enum bus_slow slow)
{
	unsigned calls[3] = { 0 };
	int status;
	pid_t pid;

	instance = t;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		work(producers, slow, 0);
	}
	check(waitpid(pid, &status, 0), ==, pid);
	check(ptrace(PTRACE_SETOPTIONS, pid, NULL,
		     PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL),
	      ==, 0);
	trace(pid, calls);
	check(calls[0], ==, 0);
	check(calls[1], ==, 0);
}

static void many_producers_make_no_system_call(void **state)
{
	count_calls(*state, "producers=many", BUS_SLOW_DROP);
}

static void one_producer_makes_no_system_call(void **state)
{
	count_calls(*state, "producers=one", BUS_SLOW_DROP);
}

static void a_blocking_reader_makes_no_system_call(void **state)
{
	count_calls(*state, "producers=many", BUS_SLOW_BLOCK);
}

/* Whether this machine lets us look (containers may not). */
static bool may_trace(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0);
	return waitpid(pid, &status, 0) == pid && status == 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(many_producers_make_no_system_call),
		TEST(one_producer_makes_no_system_call),
		TEST(a_blocking_reader_makes_no_system_call),
	};

	if (!may_trace())
		test_skip("ptrace is not allowed here: system calls of a "
			  "steady send cannot be counted");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
