/* SPDX-License-Identifier: MIT */
/*
 * test_daemon.c - busd itself: kills, bad clients, bad surroundings.
 *
 * Whatever happens to one client or to a part of busd, the others go on, and
 * what was held for the one who left is given back.
 */
#define _GNU_SOURCE
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "layout.h"
#include "wire.h"

#define NOBODY 65534

/* ---- A raw client ---------------------------------------------------------- */

static int raw_connect(const struct test_bus *t)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	check(fd, >=, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", t->dir,
		 BUS_SOCKET_NAME);
	check(connect(fd, (struct sockaddr *)&a, sizeof(a)), ==, 0);
	return fd;
}

static struct bus_msg hello(void)
{
	return (struct bus_msg){ .magic = BUS_WIRE_MAGIC,
				 .version = BUS_WIRE_VERSION,
				 .type = BUS_MSG_HELLO,
				 .request = 1,
				 .arg[0] = bus_layout_signature() };
}

/* The answer to a message: its size; 0 if busd hung up; -1 if it is silent. */
static ssize_t raw_answer(int fd, struct bus_msg *ret, int64_t timeout)
{
	struct timeval tv = { .tv_sec = timeout / SECOND,
			      .tv_usec = timeout % SECOND / 1000 };
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	n = recv(fd, ret, sizeof(*ret), 0);
	return n < 0 && errno == ECONNRESET ? 0 : n;
}

static void raw_send(int fd, const void *bytes, size_t size)
{
	check(send(fd, bytes, size, MSG_NOSIGNAL), ==, size);
}

static int raw_hello(const struct test_bus *t)
{
	struct bus_msg m = hello();
	int fd = raw_connect(t);

	raw_send(fd, &m, BUS_MSG_FIXED);
	check(raw_answer(fd, &m, PATIENCE), >=, (ssize_t)BUS_MSG_FIXED);
	check(m.status, ==, 0);
	return fd;
}

/* busd must hang up on what was sent on @fd. */
static void expect_hangup(int fd)
{
	struct bus_msg m;

	check(raw_answer(fd, &m, PATIENCE), ==, 0);
	close(fd);
}

/* Another client is served: what a test ends with when busd had to suffer. */
static void check_alive(struct test_bus *t)
{
	struct bus_producer *p;
	struct bus_consumer *c;

	test_topic(t->bus, "alive", 1, SETTINGS("ring.bytes=4096"));
	p = test_producer(t->bus, "alive", BUS_NO_WAIT);
	c = test_consumer(t->bus, "alive", BUS_BEGINNING, BUS_SLOW_BLOCK);
	check(bus_send(p, "yes", 3), ==, 0);
	test_expect(c, 0, "yes");
	bus_consumer_close(c);
	bus_producer_close(p);
	check(bus_topic_delete(t->bus, "alive"), ==, 0);
}

/* ---- Coming up and going down ------------------------------------------------ */

static void the_socket_is_for_its_user_only(void **state)
{
	struct test_bus *t = *state;
	struct bus_status s = test_status(t);
	struct stat st;
	char path[80];

	snprintf(path, sizeof(path), "%s/%s", t->dir, BUS_SOCKET_NAME);
	check(stat(path, &st), ==, 0);
	check(st.st_mode & 0777, ==, 0600);
	check_true(S_ISSOCK(st.st_mode));
	check(s.keeper_pid, ==, t->keeper);
	check(s.worker_pid, !=, s.keeper_pid);
	check(s.n_clients, ==, 1);
	check(s.n_topics + s.n_restarts + s.n_repairs, ==, 0);
	check(strcmp(s.version, BUS_VERSION), ==, 0);
	check_alive(t);
}

static void expect_refusal(const char *dir, void (*prepare)(void),
			   const char *reason)
{
	char said[1024];
	pid_t pid = test_busd_spawn(dir, prepare, said, sizeof(said));
	int status;

	check(waitpid(pid, &status, 0), ==, pid);
	check_true(WIFEXITED(status) && WEXITSTATUS(status));
	check_text(said, reason);
}

static void a_second_busd_is_refused(void **state)
{
	struct test_bus *t = *state;
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)t->keeper);
	expect_refusal(t->dir, NULL, "running");
	expect_refusal(t->dir, NULL, pid);
	expect_refusal(t->dir, NULL, t->dir);
	check_alive(t);
}

static void either_half_may_be_told_to_end(void **state)
{
	struct test_bus *t = *state;
	struct bus_status s = test_status(t);

	bus_close(t->bus);
	check(kill((pid_t)s.worker_pid, SIGTERM), ==, 0);
	test_reap_all();
	check_true(test_is_gone((pid_t)s.worker_pid));
	test_busd_start(t);
}

static void a_path_too_long_is_refused(void **state)
{
	struct bus_options o = { .size = sizeof(o) };
	struct test_bus *t = *state;
	struct bus *bus = NULL;
	char dir[200];

	snprintf(dir, sizeof(dir), "%s/%0*d", t->dir, 120, 7);
	check(mkdir(dir, 0700), ==, 0);
	expect_refusal(dir, NULL, "too long");
	o.dir = dir;
	check(bus_open(&o, &bus), ==, BUS_ENAMETOOLONG);
	test_dir_remove(dir);
}

static void become_nobody(void)
{
	if (setgid(NOBODY) || setuid(NOBODY))
		_exit(1);
	/* changing the uid clears it */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static bool is_root(void)
{
	if (!geteuid())
		return true;
	fprintf(stderr, "NOT TESTED: needs root to become another user\n");
	return false;
}

static void a_directory_that_cannot_be_written_is_refused(void **state)
{
	char dir[40];

	(void)state;
	if (!is_root())
		return;
	test_dir_make(dir);
	check(chmod(dir, 0555), ==, 0);
	expect_refusal(dir, become_nobody, "ermission denied");
	expect_refusal("/nonexistent/dir", become_nobody, "/nonexistent/dir");
	test_dir_remove(dir);
}

static void no_instance_is_told_with_where_it_was_looked_for(void **state)
{
	struct bus_options o = { .size = sizeof(o) };
	struct bus *bus = NULL;
	char dir[40], path[80];

	(void)state;
	test_dir_make(dir);
	o.dir = dir;
	check(bus_open(&o, &bus), ==, BUS_ENODIR);
	check_text(bus_detail(), dir);
	check_text(bus_strerror(BUS_ENODIR), "bus up");
	check_text(bus_strerror(BUS_ECONNREFUSED), "bus up");
	test_dir_remove(dir);
	setenv("BUS_DIR", "/nonexistent/bus", 1);
	check(bus_find_dir(NULL, path, sizeof(path)), <=, 0);
	check(strcmp(path, "/nonexistent/bus"), ==, 0);
	unsetenv("BUS_DIR");
	check_true(!bus);
}

/* ---- Kills ---------------------------------------------------------------------- */

static void wait_for_new_worker(struct test_bus *t, uint32_t old)
{
	struct bus_status s;

	wait_until(bus_status(t->bus, &s) == 0 && s.worker_pid != old);
}

/* Clients go on without the worker, and the next one knows all of them. */
static void the_worker_may_be_killed(void **state)
{
	struct test_bus *t = *state;
	struct bus_producer *p, *late;
	struct bus_consumer *c;
	struct bus_status s;
	int64_t n = 0;
	int fds;

	test_topic(t->bus, "t", 2, SETTINGS("ring.bytes=64K"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	s = test_status(t);
	fds = test_count_fds((pid_t)s.worker_pid);
	for (unsigned round = 0; round < 3; round++) {
		s = test_status(t);
		check(s.n_restarts, ==, round);
		check(kill((pid_t)s.worker_pid, SIGKILL), ==, 0);
		for (unsigned i = 0; i < 100; i++, n++) {
			struct bus_message m = BUS_MESSAGE;

			m.partition = 0;
			m.value = "x";
			m.value_size = 1;
			check(bus_send_message(p, &m, NULL), ==, n);
			test_expect(c, n, "x");
		}
		wait_for_new_worker(t, s.worker_pid);
	}
	t->restarts = 3;
	s = test_status(t);
	check(s.keeper_pid, ==, t->keeper);
	check(s.n_topics, ==, 1);
	check(s.n_clients, ==, 1);
	check(test_count_fds((pid_t)s.worker_pid), ==, fds);
	/* old and new handles work together */
	late = test_producer(t->bus, "t", BUS_NO_WAIT);
	bus_producer_close(p);
	test_topic(t->bus, "t", 2, SETTINGS("ring.bytes=64K"));
	check(bus_topic_alter(t->bus, "t", 3, SETTINGS("ring.bytes=32K")), ==,
	      0);
	bus_producer_close(late);
	bus_consumer_close(c);
	check(bus_topic_delete(t->bus, "t"), ==, 0);
	check_alive(t);
}

/* A request that is under way when the worker dies is answered all the same. */
static void requests_survive_the_worker(void **state)
{
	struct test_bus *t = *state;
	pid_t worker = (pid_t)test_status(t).worker_pid;

	for (unsigned i = 0; i < 4; i++) {
		struct bus_producer *p;
		char name[16];

		snprintf(name, sizeof(name), "t%u", i);
		check(kill(worker, SIGKILL), ==, 0);
		test_topic(t->bus, name, 1, SETTINGS("ring.bytes=4096"));
		p = test_producer(t->bus, name, BUS_NO_WAIT);
		check(bus_send(p, "x", 1), ==, 0);
		bus_producer_close(p);
		check(bus_topic_delete(t->bus, name), ==, 0);
		worker = (pid_t)test_status(t).worker_pid;
	}
	t->restarts = 4;
	check(test_status(t).n_topics, ==, 0);
}

static void the_keeper_may_be_killed(void **state)
{
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_consumer *c;
	struct bus_status s;

	test_topic(t->bus, "t", 1, SETTINGS("ring.bytes=64K"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	for (int64_t i = 0; i < 3; i++) {
		s = test_status(t);
		check(bus_send(p, "x", 1), ==, i);
		test_kill((pid_t)s.keeper_pid);
		wait_until(test_status(t).keeper_pid != s.keeper_pid &&
			   test_status(t).keeper_pid != 0);
		test_expect(c, i, "x");
		check(test_status(t).worker_pid, ==, s.worker_pid);
	}
	/* and the new keeper does what the old one did */
	s = test_status(t);
	test_kill((pid_t)s.worker_pid);
	wait_for_new_worker(t, s.worker_pid);
	t->restarts = test_status(t).n_restarts;
	check(t->restarts, ==, 1);
	check(bus_send(p, "y", 1), ==, 3);
	test_expect(c, 3, "y");
	bus_consumer_close(c);
	bus_producer_close(p);
	check(bus_topic_delete(t->bus, "t"), ==, 0);
	check_alive(t);
}

/* What both leave behind stops nobody from coming up again. */
static void a_killed_instance_leaves_no_obstacle(void **state)
{
	struct test_bus *t = *state;
	struct bus_status s = test_status(t);
	struct bus_options o = { .size = sizeof(o), .dir = t->dir };
	struct bus *bus = NULL;
	struct bus_producer *p;
	char path[80];

	test_topic(t->bus, "t", 1, SETTINGS("ring.bytes=4096"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	/* stopped first, so that neither sees the other die */
	kill((pid_t)s.worker_pid, SIGSTOP);
	kill((pid_t)s.keeper_pid, SIGSTOP);
	kill((pid_t)s.worker_pid, SIGKILL);
	kill((pid_t)s.keeper_pid, SIGKILL);
	wait_until(test_is_gone((pid_t)s.keeper_pid));
	wait_until(test_is_gone((pid_t)s.worker_pid));
	snprintf(path, sizeof(path), "%s/%s", t->dir, BUS_SOCKET_NAME);
	check(access(path, F_OK), ==, 0);
	check(bus_open(&o, &bus), ==, BUS_ECONNREFUSED);
	check(bus_status(t->bus, &s), ==, BUS_ECONNRESET);
	check(bus_send(p, "x", 1), ==, 0); /* nobody is needed for that */
	bus_producer_close(p);
	bus_close(t->bus);
	test_busd_start(t);
	check(test_status(t).n_topics, ==, 0);
	check_alive(t);
}

/* ---- Bad clients ------------------------------------------------------------------ */

static void another_version_is_told_so(void **state)
{
	struct test_bus *t = *state;

	for (unsigned i = 0; i < 2; i++) {
		struct bus_msg m = hello();
		int fd = raw_connect(t);

		if (i)
			m.version++;
		else
			m.arg[0] ^= 1;
		raw_send(fd, &m, BUS_MSG_FIXED);
		check(raw_answer(fd, &m, PATIENCE), >, (ssize_t)BUS_MSG_FIXED);
		check(m.status, ==, BUS_EVERSION);
		check(m.text_size, >, 10);
		expect_hangup(fd);
	}
	check_alive(t);
}

/* The other way round: a client of this version meets a busd of another. */
static void serve_another_version(void *arg)
{
	struct bus_msg m;
	int fd = accept(*(int *)arg, NULL, NULL);

	check(recv(fd, &m, sizeof(m), 0), >=, (ssize_t)BUS_MSG_FIXED);
	m.version = BUS_WIRE_VERSION + 1;
	m.status = BUS_EVERSION;
	memcpy(m.text, "busd is 9.9", m.text_size = 11);
	raw_send(fd, &m, BUS_MSG_FIXED + 11);
	close(fd);
}

static void a_busd_of_another_version_is_refused(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct bus_options o = { .size = sizeof(o) };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct bus *bus = NULL;
	char dir[40];
	pid_t child;

	(void)state;
	test_dir_make(dir);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", dir, BUS_SOCKET_NAME);
	check(bind(fd, (struct sockaddr *)&a, sizeof(a)), ==, 0);
	check(listen(fd, 1), ==, 0);
	child = test_fork(serve_another_version, &fd);
	o.dir = dir;
	check(bus_open(&o, &bus), ==, BUS_EVERSION);
	check_true(!bus);
	test_join(child);
	close(fd);
	unlink(a.sun_path);
	test_dir_remove(dir);
}

static void whoever_sends_nonsense_is_dropped(void **state)
{
	struct test_bus *t = *state;
	struct bus_status before = test_status(t);
	int fds = test_count_fds((pid_t)before.worker_pid);
	uint64_t seed = 11;
	char bytes[8192];

	for (unsigned i = 0; i < 200; i++) {
		int fd = i & 1 ? raw_connect(t) : raw_hello(t);
		struct bus_msg m = hello();
		size_t size = 1 + test_random(&seed) % (sizeof(bytes) - 1);

		for (size_t k = 0; k < sizeof(bytes); k++)
			bytes[k] = (char)test_random(&seed);
		switch (i / 2 % 8) {
		case 0: /* garbage */
			raw_send(fd, bytes, size);
			break;
		case 1: /* cut short */
			raw_send(fd, &m, BUS_MSG_FIXED - 1 - size % 200);
			break;
		case 2: /* more text than it says */
			raw_send(fd, &m, BUS_MSG_FIXED + 1);
			break;
		case 3: /* less, and more than there can be */
			m.text_size = i & 1 ? 10 : UINT32_MAX;
			raw_send(fd, &m, BUS_MSG_FIXED + 9);
			break;
		case 4:
			m.type = i & 1 ? BUS_MSG_TYPES : BUS_MSG_RESET;
			raw_send(fd, &m, BUS_MSG_FIXED);
			break;
		case 5:
			m.type = BUS_MSG_DESCRIBE;
			memset(m.topic, 'x', sizeof(m.topic)); /* no NUL */
			raw_send(fd, &m, BUS_MSG_FIXED);
			break;
		case 6:
			m.flags = 1;
			raw_send(fd, &m, BUS_MSG_FIXED);
			break;
		case 7:
			m.magic ^= 1;
			raw_send(fd, &m, BUS_MSG_FIXED);
			break;
		}
		expect_hangup(fd);
	}
	wait_until(test_count_fds((pid_t)before.worker_pid) == fds);
	check(test_status(t).n_clients, ==, before.n_clients);
	check_alive(t);
}

/* Well-formed requests with numbers that cannot be. */
static void requests_out_of_range_are_answered_with_an_error(void **state)
{
	static const uint64_t odd[] = { 3, 127, 128, UINT32_MAX, UINT64_MAX };
	struct test_bus *t = *state;
	struct bus_msg m;
	int fd = raw_hello(t);

	test_topic(t->bus, "t", 1, SETTINGS("ring.bytes=4096"));
	for (uint32_t i = 0; i < 5 * N_ELEMENTS(odd); i++) {
		uint64_t n = odd[i / 5];

		m = hello();
		m.request = i + 2;
		m.type = (uint16_t[]){ BUS_MSG_ATTACH, BUS_MSG_ATTACH,
				       BUS_MSG_DETACH, BUS_MSG_NEXT_RING,
				       BUS_MSG_CREATE }[i % 5];
		strcpy(m.topic, "t");
		m.partition = i % 5 == 0 ? 0 : (uint32_t)n;
		m.arg[0] = i % 5 == 0 ? n : BUS_ROLE_PRODUCER;
		m.arg[1] = m.arg[2] = m.arg[3] = m.arg[4] = n;
		raw_send(fd, &m, BUS_MSG_FIXED);
		if (raw_answer(fd, &m, PATIENCE) > 0) {
			check(m.status, <=, i % 5 == 2 ? 0 : -1);
		} else {
			close(fd);
			fd = raw_hello(t);
		}
	}
	close(fd);
	check_alive(t);
}

static void descriptors_from_a_client_are_not_taken(void **state)
{
	struct test_bus *t = *state;
	pid_t worker = (pid_t)test_status(t).worker_pid;
	int fds = test_count_fds(worker);
	struct bus_msg m = hello();
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control;

	for (unsigned i = 0; i < 20; i++) {
		struct iovec iov = { &m, BUS_MSG_FIXED };
		struct msghdr h = { .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = control.bytes,
				    .msg_controllen = sizeof(control) };
		struct cmsghdr *c = CMSG_FIRSTHDR(&h);
		int fd = i & 1 ? raw_connect(t) : raw_hello(t);
		int sent[8] = { 0, 1, 2, 0, 1, 2, 0, 1 };

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(sent));
		memcpy(CMSG_DATA(c), sent, sizeof(sent));
		check(sendmsg(fd, &h, MSG_NOSIGNAL), ==,
		      (ssize_t)BUS_MSG_FIXED);
		expect_hangup(fd);
	}
	wait_until(test_count_fds(worker) == fds);
	check_alive(t);
}

/* It asks and asks and never reads an answer: busd does not wait for it. */
static void whoever_reads_no_answers_holds_nobody_up(void **state)
{
	struct test_bus *t = *state;
	struct bus_msg m = hello();
	int fd = raw_hello(t);

	m.type = BUS_MSG_STATUS;
	for (unsigned i = 0; i < 5000; i++) {
		m.request = i + 2;
		if (send(fd, &m, BUS_MSG_FIXED, MSG_NOSIGNAL | MSG_DONTWAIT) <
		    0)
			break;
	}
	check_alive(t);
	close(fd);
}

static void the_silent_do_not_keep_others_out(void **state)
{
	static int silent[1000];
	struct test_bus *t = *state;
	pid_t worker = (pid_t)test_status(t).worker_pid;
	int fds = test_count_fds(worker), n = 0;
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (; n < (int)N_ELEMENTS(silent); n++) {
		silent[n] = raw_connect(t);
		if (n % 100 == 50)
			bus_close(test_connect(t));
	}
	check(test_count_fds(worker), <, fds + 200);
	check_alive(t);
	check(test_status(t).n_clients, ==, 1);
	/* and none of them may stay for long */
	wait_until(test_count_fds(worker) == fds);
	while (n--)
		close(silent[n]);
	check_alive(t);
}

static void open_as_nobody(void *arg)
{
	const struct test_bus *t = arg;
	struct bus_options o = { .size = sizeof(o), .dir = t->dir };
	struct bus *bus = NULL;
	int e;

	become_nobody();
	e = bus_open(&o, &bus);
	check(e, ==, BUS_EACCES);
	check_true(*bus_detail());
	check_true(!bus);
}

static void another_user_is_refused_with_the_reason(void **state)
{
	struct test_bus *t = *state;
	char path[80];

	if (!is_root())
		return;
	/* first at the directory, then by busd itself */
	test_join(test_fork(open_as_nobody, t));
	check(chmod(t->dir, 0755), ==, 0);
	test_join(test_fork(open_as_nobody, t));
	snprintf(path, sizeof(path), "%s/%s", t->dir, BUS_SOCKET_NAME);
	check(chmod(path, 0666), ==, 0);
	test_join(test_fork(open_as_nobody, t));
	check_alive(t);
}

/* ---- What the machine does not give -------------------------------------------------- */

static void a_client_without_descriptors_is_told(void **state)
{
	struct rlimit limit, low;
	struct test_bus *t = *state;
	struct bus_producer *p = NULL;
	int e, next;

	test_topic(t->bus, "t", 1, SETTINGS("ring.bytes=4096"));
	getrlimit(RLIMIT_NOFILE, &limit);
	low = limit;
	/* room for two of the four that attaching takes */
	next = dup(0);
	close(next);
	low.rlim_cur = (rlim_t)next + 2;
	setrlimit(RLIMIT_NOFILE, &low);
	e = bus_producer_open(t->bus, "t", NULL, &p);
	setrlimit(RLIMIT_NOFILE, &limit);
	check(e, ==, BUS_EMFILE);
	check_true(!p);
	check_alive(t);
	wait_until(test_count_maps("memfd:") <= t->n_maps);
}

static void with_few_descriptors(void)
{
	struct rlimit limit = { 48, 48 };

	setrlimit(RLIMIT_NOFILE, &limit);
}

static void a_busd_without_descriptors_says_so(void **state)
{
	static struct test_bus few;
	struct test_bus *t = *state;
	char name[16] = "";
	unsigned n = 0;
	int e = 0;

	few = (struct test_bus){ .prepare = with_few_descriptors };
	strcpy(few.dir, "/tmp/bus-test-XXXXXX");
	test_dir_make(few.dir);
	bus_close(t->bus);
	check(kill(t->keeper, SIGTERM), ==, 0);
	test_reap_all();
	test_busd_start(&few);
	for (; n < 60 && !e; n++) {
		snprintf(name, sizeof(name), "t%u", n);
		e = bus_topic_create(few.bus, name, 1,
				     SETTINGS("ring.bytes=4096"));
	}
	check(e, ==, BUS_EMFILE);
	check(n, >, 2);
	check(test_status(&few).n_topics, ==, n - 1);
	check(bus_topic_delete(few.bus, "t0"), ==, 0);
	check(bus_topic_delete(few.bus, "t1"), ==, 0);
	/* descriptors come back a little later */
	wait_until(bus_topic_create(few.bus, "t0", 1,
				    SETTINGS("ring.bytes=4096")) == 0);
	check(bus_topic_delete(few.bus, "t0"), ==, 0);
	test_sleep(100 * MS);
	check_alive(&few);
	test_busd_stop(&few);
	test_dir_remove(few.dir);
	test_busd_start(t);
}

static void memory_not_to_be_had_is_an_error_now(void **state)
{
	struct test_bus *t = *state;
	struct bus_status before = test_status(t), after;
	int worker = test_count_fds((pid_t)before.worker_pid);
	int keeper = test_count_fds((pid_t)before.keeper_pid);

	/* 128 GiB */
	check(bus_topic_create(t->bus, "t", BUS_PARTITIONS_MAX,
			       SETTINGS("ring.bytes=1G")),
	      ==, BUS_ENOMEM);
	check_text(bus_detail(), "MiB");
	after = test_status(t);
	check(after.memory, ==, before.memory);
	check(after.n_topics, ==, 0);
	wait_until(test_count_fds((pid_t)before.worker_pid) == worker);
	wait_until(test_count_fds((pid_t)before.keeper_pid) == keeper);
	check_alive(t);
}

/* ---- Idle ----------------------------------------------------------------------------------- */

/* CPU time in ticks and voluntary switches of a process, folded into one. */
static uint64_t activity(uint32_t pid)
{
	char path[64], line[256];
	unsigned long user, system, switches = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	f = fopen(path, "re");
	check_true(f);
	check(fscanf(f,
		     "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u "
		     "%*u %lu %lu",
		     &user, &system),
	      ==, 2);
	fclose(f);
	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	f = fopen(path, "re");
	check_true(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "voluntary", 9))
			switches = strtoul(strchr(line, ':') + 1, NULL, 10);
	fclose(f);
	return (uint64_t)(user + system) << 40 | switches;
}

static void an_idle_busd_does_nothing(void **state)
{
	struct test_bus *t = *state;
	struct bus_status s;
	struct bus_producer *p;
	uint64_t worker, keeper;

	test_topic(t->bus, "t", 1, SETTINGS("ring.bytes=64K"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	bus_close(test_connect(t));
	s = test_status(t);
	test_sleep(50 * MS);
	worker = activity(s.worker_pid);
	keeper = activity(s.keeper_pid);
	for (unsigned i = 0; i < 300; i++) {
		check(bus_send(p, "x", 1), ==, i); /* without its help */
		test_sleep(MS);
	}
	check(activity(s.worker_pid), ==, worker);
	check(activity(s.keeper_pid), ==, keeper);
	bus_producer_close(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(the_socket_is_for_its_user_only),
		TEST(a_second_busd_is_refused),
		TEST(either_half_may_be_told_to_end),
		TEST(a_path_too_long_is_refused),
		cmocka_unit_test(a_directory_that_cannot_be_written_is_refused),
		cmocka_unit_test(
			no_instance_is_told_with_where_it_was_looked_for),
		TEST(the_worker_may_be_killed),
		TEST(requests_survive_the_worker),
		TEST(the_keeper_may_be_killed),
		TEST(a_killed_instance_leaves_no_obstacle),
		TEST(another_version_is_told_so),
		cmocka_unit_test(a_busd_of_another_version_is_refused),
		TEST(whoever_sends_nonsense_is_dropped),
		TEST(requests_out_of_range_are_answered_with_an_error),
		TEST(descriptors_from_a_client_are_not_taken),
		TEST(whoever_reads_no_answers_holds_nobody_up),
		TEST(the_silent_do_not_keep_others_out),
		TEST(another_user_is_refused_with_the_reason),
		TEST(a_client_without_descriptors_is_told),
		TEST(a_busd_without_descriptors_says_so),
		TEST(memory_not_to_be_had_is_an_error_now),
		TEST(an_idle_busd_does_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
