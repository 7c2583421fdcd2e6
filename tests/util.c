/* SPDX-License-Identifier: MIT */
/*
 * util.c - what every test program shares.
 *
 * Each test gets a busd of its own in a directory of its own below /tmp. The
 * test program is the subreaper of all that it starts, so whatever busd leaves
 * behind becomes its child and is found: at the end of a test no process, no
 * descriptor, no mapping of a memfd and no socket may be left. Children die
 * with the program that started them.
 *
 * A check that fails ends the test by cmocka's longjmp in the thread where
 * cmocka runs it, and the whole process in any other thread or child.
 */
#define _GNU_SOURCE
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/* ---- Checks ------------------------------------------------------------ */

static bool is_child;
static bool has_failed;
static __thread bool is_main_thread;

/* TEST=pattern runs only the tests of that name; * and ? as in the shell. */
__attribute__((constructor)) static void begin(void)
{
	is_main_thread = true;
	if (getenv("TEST"))
		cmocka_set_test_filter(getenv("TEST"));
}

static void give_up(void)
{
	if (!is_main_thread || is_child)
		_exit(99);
	has_failed = true;
	fail();
}

void test_failed(const char *file, int line, const char *what, int64_t a,
		 int64_t b)
{
	const char *name = a < 0 ? bus_error_name((int)a) : NULL;

	fprintf(stderr, "%s:%d: %s: is %lld%s%s, not %lld [pid %d]\n", file,
		line, what, (long long)a, name ? " " : "", name ? name : "",
		(long long)b, (int)getpid());
	if (*bus_detail())
		fprintf(stderr, "\tdetail: %s\n", bus_detail());
	give_up();
	abort();
}

void test_has(const char *file, int line, const char *text, const char *part)
{
	if (strstr(text, part))
		return;
	fprintf(stderr, "%s:%d: \"%s\" is not in \"%s\"\n", file, line, part,
		text);
	give_up();
}

void test_skip(const char *why)
{
	fprintf(stderr, "SKIPPED: %s\n", why);
	exit(SKIP);
}

/* ---- Numbers, time ----------------------------------------------------- */

/* xorshift64*: the same numbers in every run */
uint64_t test_random(uint64_t *state)
{
	uint64_t x = *state ? *state : 1;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

int64_t test_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

void test_sleep(int64_t ns)
{
	struct timespec t = { .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* ---- Children ---------------------------------------------------------- */

void *test_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	check_true(p != MAP_FAILED);
	return p;
}

pid_t test_fork(void (*run)(void *arg), void *arg)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	check(pid, >=, 0);
	if (pid > 0)
		return pid;
	is_child = true;
	for (size_t i = 0; i < N_ELEMENTS(fatal); i++)
		signal(fatal[i], SIG_DFL); /* cmocka would run on from there */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	run(arg);
	fflush(NULL);
	_exit(0);
}

/* Wait for one process or any (-1) up to PATIENCE; its pid, or 0. */
static pid_t reap(pid_t which, int *status)
{
	int64_t end = test_now() + 2 * PATIENCE;
	pid_t pid;

	while ((pid = waitpid(which, status, WNOHANG)) == 0) {
		if (test_now() > end)
			return 0;
		test_sleep(MS / 2);
	}
	return pid;
}

void test_join(pid_t pid)
{
	int status = -1;
	pid_t got = reap(pid, &status);

	if (got == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	check(got, ==, pid);
	check(status, ==, 0);
}

bool test_is_gone(pid_t pid)
{
	waitpid(pid, NULL, WNOHANG);
	return kill(pid, 0) < 0 && errno == ESRCH;
}

void test_kill(pid_t pid)
{
	check(pid, >, 1);
	check(kill(pid, SIGKILL), ==, 0);
	wait_until(test_is_gone(pid));
}

void test_reap_all(void)
{
	int status, bad = 0;
	pid_t pid;

	while ((pid = reap(-1, &status)) > 0)
		bad = status ? status : bad;
	check(pid, ==, -1);
	check(errno, ==, ECHILD);
	check(bad, ==, 0);
}

/* ---- What a process has open ------------------------------------------- */

int test_count_fds(pid_t pid)
{
	char path[64];
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	check_true(dir);
	for (struct dirent *e; (e = readdir(dir));)
		n += e->d_name[0] != '.';
	closedir(dir);
	return pid == getpid() ? n - 1 : n;
}

int test_count_maps(const char *part)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	int n = 0;

	check_true(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, part) != NULL;
	fclose(f);
	return n;
}

/* ---- An own busd ------------------------------------------------------- */

const char *test_program(const char *name)
{
	static char path[4096];
	const char *env = getenv(strcmp(name, "busd") ? "BUS" : "BUSD");
	ssize_t n;

	if (env && *env)
		return env;
	n = readlink("/proc/self/exe", path, sizeof(path) - 32);
	check(n, >, 0);
	path[n] = 0;
	*strrchr(path, '/') = 0; /* build/tests/test_x */
	*strrchr(path, '/') = 0; /* build/tests */
	strcat(strcat(path, "/"), name);
	if (access(path, X_OK))
		test_skip("busd is not built; or name it in BUSD");
	return path;
}

void test_dir_make(char dir[40])
{
	strcpy(dir, "/tmp/bus-test-XXXXXX");
	check_true(mkdtemp(dir));
}

void test_dir_remove(const char *dir)
{
	static const char *const files[] = { "busd.lock", "busd.log",
					     "stderr" };
	char path[256];

	for (size_t i = 0; i < N_ELEMENTS(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	check(rmdir(dir), ==, 0);
}

static void busd_exec(const char *dir, int ready, void (*prepare)(void))
{
	char log[256], fd[16];
	char *const argv[] = { "busd",	     "--dir",
			       (char *)dir,  "--foreground",
			       "--ready-fd", fd,
			       NULL };
	/* opened before @prepare, which may become a user who cannot get here */
	int exe = open(test_program("busd"), O_PATH | O_CLOEXEC);
	int err;

	snprintf(log, sizeof(log), "%s/stderr", dir);
	err = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (err >= 0)
		dup2(err, STDERR_FILENO);
	snprintf(fd, sizeof(fd), "%d", ready);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (prepare)
		prepare();
	fexecve(exe, argv, environ);
	dprintf(ready, "cannot exec busd: %s\n", strerror(errno));
	_exit(127);
}

/* What busd says on its ready descriptor, one line, without the newline. */
static void ready_read(int fd, char *ret, size_t size)
{
	size_t n = 0;
	ssize_t got;

	while (n + 1 < size && (got = read(fd, ret + n, size - 1 - n)) > 0) {
		n += (size_t)got;
		if (ret[n - 1] == '\n')
			break;
	}
	ret[n] = 0;
	ret[strcspn(ret, "\n")] = 0;
	close(fd);
}

pid_t test_busd_spawn(const char *dir, void (*prepare)(void), char *ret,
		      size_t size)
{
	int ready[2];
	pid_t pid;

	test_program("busd");
	check(prctl(PR_SET_CHILD_SUBREAPER, 1), ==, 0);
	check(pipe(ready), ==, 0);
	fcntl(ready[0], F_SETFD, FD_CLOEXEC);
	fflush(NULL);
	pid = fork();
	check(pid, >=, 0);
	if (pid == 0)
		busd_exec(dir, ready[1], prepare);
	close(ready[1]);
	ready_read(ready[0], ret, size);
	return pid;
}

struct bus *test_connect(const struct test_bus *t)
{
	struct bus_options o = { .size = sizeof(o),
				 .dir = t->dir,
				 .timeout = PATIENCE };
	struct bus *bus = NULL;

	check(bus_open(&o, &bus), ==, 0);
	return bus;
}

void test_busd_start(struct test_bus *t)
{
	char said[512];

	t->keeper = test_busd_spawn(t->dir, t->prepare, said, sizeof(said));
	check_text(said, "ready");
	t->bus = test_connect(t);
}

struct bus_status test_status(const struct test_bus *t)
{
	struct bus_status s;

	check(bus_status(t->bus, &s), ==, 0);
	return s;
}

void test_busd_stop(struct test_bus *t)
{
	struct bus_status s = test_status(t);
	char path[80];

	t->bus = bus_close(t->bus);
	check(kill((pid_t)s.keeper_pid, SIGTERM), ==, 0);
	test_reap_all();
	check_true(test_is_gone((pid_t)s.keeper_pid));
	check_true(test_is_gone((pid_t)s.worker_pid));
	check(s.n_restarts, ==, t->restarts);
	snprintf(path, sizeof(path), "%s/busd.sock", t->dir);
	check(access(path, F_OK), ==, -1);
}

/* Send a signal to all children; not every kernel has .../children. */
static void signal_children(int signal)
{
	DIR *dir = opendir("/proc");
	char path[300], line[512];

	for (struct dirent *e; dir && (e = readdir(dir));) {
		FILE *f;
		int parent = 0;

		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(line, sizeof(line), f) && strrchr(line, ')'))
			sscanf(strrchr(line, ')'), ") %*c %d", &parent);
		if (parent == getpid() && atoi(e->d_name) > 1)
			kill((pid_t)atoi(e->d_name), signal);
		fclose(f);
	}
	closedir(dir);
}

/*
 * End what this process started, and what that started, until none is left.
 * First kindly: each half of busd starts the other when it is killed.
 */
static void kill_children(void)
{
	int64_t kind_until = test_now() + SECOND;

	while (waitpid(-1, NULL, WNOHANG) >= 0) {
		signal_children(test_now() < kind_until ? SIGTERM : SIGKILL);
		test_sleep(10 * MS);
	}
}

/* Show what busd had to say when a test failed. */
static void show_log(const struct test_bus *t)
{
	char path[80], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/stderr", t->dir);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		fprintf(stderr, "\tbusd: %s", line);
	if (f)
		fclose(f);
}

int test_setup(void **state)
{
	struct test_bus *t = calloc(1, sizeof(*t));

	if (has_failed) /* in the last one's teardown */
		kill_children();
	has_failed = false;
	check_true(t);
	*state = t;
	test_dir_make(t->dir);
	t->n_fds = test_count_fds(getpid());
	t->n_maps = test_count_maps("memfd:");
	test_busd_start(t);
	return 0;
}

static void show_and_remove(struct test_bus *t)
{
	char path[80];

	show_log(t);
	snprintf(path, sizeof(path), "%s/busd.sock", t->dir);
	unlink(path);
	test_dir_remove(t->dir);
}

int test_teardown(void **state)
{
	struct test_bus *t = *state;

	if (has_failed) {
		has_failed = false;
		kill_children();
		show_and_remove(t);
		return 0;
	}
	if (test_status(t).n_restarts != t->restarts)
		show_log(t);
	test_busd_stop(t);
	/* call_rcu unmaps a little later */
	wait_until(test_count_maps("memfd:") <= t->n_maps);
	check(test_count_fds(getpid()), ==, t->n_fds);
	test_dir_remove(t->dir);
	free(t);
	return 0;
}

/* ---- Short ways through the API ---------------------------------------- */

void test_topic(struct bus *bus, const char *name, uint32_t partitions,
		const char *const *settings)
{
	check(bus_topic_create(bus, name, partitions, settings), ==, 0);
}

struct bus_producer *test_producer(struct bus *bus, const char *topic,
				   int64_t timeout)
{
	struct bus_producer_options o = { .size = sizeof(o),
					  .timeout = timeout };
	struct bus_producer *p = NULL;

	check(bus_producer_open(bus, topic, &o, &p), ==, 0);
	return p;
}

struct bus_consumer *test_consumer(struct bus *bus, const char *topic,
				   int64_t start, enum bus_slow slow)
{
	struct bus_consumer_options o = { .size = sizeof(o),
					  .start = start,
					  .wait = BUS_WAIT_SLEEP,
					  .slow = slow };
	struct bus_consumer *c = NULL;

	check(bus_consumer_open(bus, topic, &o, &c), ==, 0);
	return c;
}

void test_expect(struct bus_consumer *consumer, int64_t offset,
		 const char *value)
{
	struct bus_record r;

	check(bus_poll(consumer, &r, PATIENCE), ==, 1);
	check(r.offset, ==, offset);
	check(r.value_size, ==, strlen(value));
	check(memcmp(r.value, value, r.value_size), ==, 0);
}

struct bus_partition_stat test_stat(struct bus *bus, const char *topic,
				    uint32_t partition)
{
	struct bus_partition_stat s;

	check(bus_partition_stat(bus, topic, partition, &s), ==, 0);
	return s;
}
