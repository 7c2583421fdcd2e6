/* SPDX-License-Identifier: MIT */
/*
 * util.h - what every test program shares: checks, children, an own busd.
 */
#ifndef TESTS_UTIL_H
#define TESTS_UTIL_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include <bus/bus.h>

#define MS INT64_C(1000000) /* in nanoseconds */
#define SECOND (1000 * MS)
#define PATIENCE (10 * SECOND) /* only ever waited for when all is lost */
#define SKIP 77 /* exit status: cannot run here */

/* Under a sanitizer everything takes its time: do less of it. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define TEST_SLOW 10
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define TEST_SLOW 10
#endif
#endif
#ifndef TEST_SLOW
#define TEST_SLOW 1
#endif

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

/* Checks: in a test, in a child, in a thread */

/*
 * check(send(), ==, 3): says both values when it fails, with the name of an
 * error. check_true(x) for the rest; check_text(text, part): is it in there?
 */
#define check(a, op, b)                                                        \
	do {                                                                   \
		int64_t check_a = (int64_t)(a), check_b = (int64_t)(b);        \
                                                                               \
		if (!(check_a op check_b))                                     \
			test_failed(__FILE__, __LINE__, #a " " #op " " #b,     \
				    check_a, check_b);                         \
	} while (0)
#define check_true(x) check(!!(x), ==, 1)
#define check_text(text, part) test_has(__FILE__, __LINE__, (text), (part))

void test_failed(const char *file, int line, const char *what, int64_t a,
		 int64_t b) __attribute__((noreturn));
void test_has(const char *file, int line, const char *text, const char *part);

/* Say why this cannot run here, and end the program with SKIP. */
void test_skip(const char *why) __attribute__((noreturn));

/* Numbers, time */

uint64_t test_random(uint64_t *state);
int64_t test_now(void);
void test_sleep(int64_t ns);

/* Wait until @cond holds; fails after PATIENCE. */
#define wait_until(cond)                                                       \
	do {                                                                   \
		int64_t wait_end = test_now() + PATIENCE;                      \
                                                                               \
		while (!(cond)) {                                              \
			if (test_now() > wait_end)                             \
				test_failed(__FILE__, __LINE__,                \
					    "wait_until " #cond, 0, 1);        \
			test_sleep(MS / 2);                                    \
		}                                                              \
	} while (0)

/* Children */

void *test_shared(size_t size); /* zeroed, seen by children */
pid_t test_fork(void (*run)(void *arg), void *arg);
void test_join(pid_t pid); /* it must end with 0 */
void test_kill(pid_t pid); /* SIGKILL, and see it gone */
bool test_is_gone(pid_t pid);

/* What this process has open */

int test_count_fds(pid_t pid);
int test_count_maps(const char *part);

/* An own busd */

struct test_bus {
	char dir[40];
	struct bus *bus; /* a connection of the test's, opened */
	pid_t keeper; /* as it was started */
	uint32_t restarts; /* of the worker, that the test causes */
	int n_fds, n_maps; /* before it was started */
	void (*prepare)(void); /* called in the child that becomes busd */
};

const char *test_program(const char *name); /* path of bus or busd */
void test_dir_make(char dir[40]);
void test_dir_remove(const char *dir); /* must hold no socket */
pid_t test_busd_spawn(const char *dir, void (*prepare)(void), char *ret,
		      size_t size);
void test_busd_start(struct test_bus *t); /* in t->dir, and connects */
void test_busd_stop(struct test_bus *t); /* and checks what is left */
void test_reap_all(void); /* all children end with 0 */
struct bus *test_connect(const struct test_bus *t);
struct bus_status test_status(const struct test_bus *t);

/* For cmocka: an instance per test, *state is its struct test_bus. */
int test_setup(void **state);
int test_teardown(void **state);
#define TEST(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)

/* Short ways through the API, checked */

void test_topic(struct bus *bus, const char *name, uint32_t partitions,
		const char *const *settings);
#define SETTINGS(...) ((const char *const[]){ __VA_ARGS__, NULL })
struct bus_producer *test_producer(struct bus *bus, const char *topic,
				   int64_t timeout);
struct bus_consumer *test_consumer(struct bus *bus, const char *topic,
				   int64_t start, enum bus_slow slow);
void test_expect(struct bus_consumer *consumer, int64_t offset,
		 const char *value);
struct bus_partition_stat test_stat(struct bus *bus, const char *topic,
				    uint32_t partition);

#endif
