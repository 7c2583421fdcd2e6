/* SPDX-License-Identifier: MIT */
/*
 * keeper.c - the process that holds every descriptor.
 *
 * The keeper maps nothing, parses nothing that a client wrote, and allocates
 * only list entries: there is little in it that could fail. It comes up in one
 * of two ways. Started by a user, it takes the lock, makes the socket and
 * starts a worker. Started by a worker whose keeper died, it is handed all of
 * that. From then on both do the same: hold, and start the next worker when
 * this one dies.
 *
 * The lock is a flock on a file that is never removed, taken by a descriptor
 * that both halves share; so it is free exactly when both are gone, and a
 * socket found under it belongs to nobody.
 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "file.h"
#include "log.h"
#include "wait.h"
#include "wire.h"

#define DEATHS_MAX 5
#define DEATHS_WITHIN (INT64_C(10) * 1000 * 1000 * 1000)
#define STOP_TIMEOUT 5000 /* ms that a worker may take to end */

struct busd_keeper {
	const struct busd_options *options;
	struct busd_peer worker;
	int signals;
	int ready_fd;
	struct cds_list_head held;
	bool stopping; /* the worker was told to end */
	bool stopped; /* and says that it has */
	int64_t death[DEATHS_MAX]; /* the last ones, by death % DEATHS_MAX */
	unsigned n_deaths;
};

/* Say why the instance does not come up. */
__attribute__((format(printf, 2, 3))) static void fail(struct busd_keeper *k,
						       const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	busd_error("%s", text);
	if (k->ready_fd >= 0)
		dprintf(k->ready_fd, "%s\n", text);
	busd_closep(&k->ready_fd);
	k->ready_fd = -1;
}

/* ---- Coming up -------------------------------------------------------- */

static int take_lock(struct busd_keeper *k, int *ret)
{
	const char *dir = k->options->dir;
	char path[PATH_MAX], pid[16] = "";
	int n;

	snprintf(path, sizeof(path), "%s/%s", dir, BUS_LOCK_NAME);
	*ret = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*ret < 0) {
		fail(k, "%s: %s: choose a directory that you may write to",
		     path, strerror(errno));
		return -1;
	}
	if (flock(*ret, LOCK_EX | LOCK_NB) < 0) {
		if (read(*ret, pid, sizeof(pid) - 1) <= 0)
			strcpy(pid, "unknown");
		pid[strcspn(pid, "\n")] = '\0';
		fail(k,
		     "%s: an instance is running there already (started as pid "
		     "%s): bus status --dir %s",
		     dir, pid, dir);
		return -1;
	}
	n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(*ret, 0) < 0 || pwrite(*ret, pid, (size_t)n, 0) != n)
		busd_warn("%s: %s", path, strerror(errno));
	return 0;
}

static void socket_path(const char *dir, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", dir, BUS_SOCKET_NAME);
}

static int make_socket(struct busd_keeper *k, int *ret)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[PATH_MAX];
	int bound;

	socket_path(k->options->dir, path);
	if (strlen(path) >= sizeof(address.sun_path)) {
		fail(k,
		     "%s: too long for a socket, %zu characters at most: "
		     "choose a directory with a shorter name",
		     path, sizeof(address.sun_path) - 1);
		return -1;
	}
	strcpy(address.sun_path, path);
	*ret = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		      0);
	/* We have the lock: whatever stands there, its busd is dead. */
	unlink(path);
	umask(0177); /* 0600 from its first moment */
	bound = bind(*ret, (void *)&address, sizeof(address));
	umask(0077);
	if (bound < 0 || listen(*ret, SOMAXCONN) < 0) {
		fail(k, "%s: %s", path, strerror(errno));
		return -1;
	}
	return 0;
}

/* Lock and socket become the first holding. */
static int make_instance(struct busd_keeper *k)
{
	struct busd_held *held = malloc(sizeof(*held));

	if (!held) {
		fail(k, "out of memory");
		return -1;
	}
	busd_held_init(held, BUSD_INSTANCE, 1);
	cds_list_add_tail(&held->link, &k->held);
	held->msg.n_fds = 2;
	held->msg.info[BUSD_INFO_STARTED] = (uint64_t)bus_realtime();
	if (take_lock(k, &held->fd[1]) < 0)
		return -1;
	return make_socket(k, &held->fd[0]);
}

/* Returns -1 if the worker died meanwhile: its pidfd tells. */
static int start_worker(struct busd_keeper *k)
{
	struct busd_held *held;
	int r = busd_peer_spawn(k->options, "worker", &k->worker);

	if (r < 0) {
		fail(k, "a worker cannot be started: %s", strerror(-r));
		return r;
	}
	cds_list_for_each_entry(held, &k->held, link)
		if (busd_hold_send(k->worker.channel, &held->msg, held->fd) < 0)
			return 0;
	busd_hold_tell(k->worker.channel, BUSD_DONE);
	return 0;
}

/* ---- Holding ---------------------------------------------------------- */

static struct busd_held *find(struct busd_keeper *k,
			      const struct busd_hold_msg *msg)
{
	struct busd_held *held;

	/* Backwards: what is changed is mostly what came last. */
	cds_list_for_each_entry_reverse(held, &k->held, link)
		if (held->msg.kind == msg->kind && held->msg.key == msg->key)
			return held;
	return NULL;
}

static void drop(struct busd_held *held)
{
	busd_held_close(held);
	free(held);
}

static int hold(struct busd_keeper *k, const struct busd_hold_msg *msg,
		const int fd[BUSD_HOLD_FDS])
{
	struct busd_held *old = find(k, msg);
	struct busd_held *held = malloc(sizeof(*held));

	if (!held)
		return -ENOMEM;
	held->msg = *msg;
	memcpy(held->fd, fd, sizeof(held->fd));
	if (old) {
		/* In its place: the order is that of a new worker's HOLDs. */
		cds_list_add(&held->link, &old->link);
		drop(old);
	} else {
		cds_list_add_tail(&held->link, &k->held);
	}
	return 0;
}

static void acknowledge(struct busd_keeper *k, struct busd_hold_msg *msg,
			int fd[BUSD_HOLD_FDS], int status)
{
	if (!status)
		status = hold(k, msg, fd);
	if (status)
		for (unsigned i = 0; i < BUSD_HOLD_FDS; i++)
			busd_closep(&fd[i]);
	msg->type = BUSD_ACK;
	msg->status = status;
	msg->n_fds = 0;
	busd_hold_send(k->worker.channel, msg, NULL);
}

static void ready(struct busd_keeper *k)
{
	if (k->ready_fd >= 0)
		dprintf(k->ready_fd, "ready\n");
	busd_closep(&k->ready_fd);
	k->ready_fd = -1;
}

/* Return: false if there was no message. */
static bool take_message(struct busd_keeper *k)
{
	struct pollfd p = { .fd = k->worker.channel, .events = POLLIN };
	struct busd_hold_msg msg;
	int fd[BUSD_HOLD_FDS];
	struct busd_held *held;
	int r;

	if (poll(&p, 1, 0) != 1)
		return false;
	r = busd_hold_receive(k->worker.channel, &msg, fd);
	if (r < 0 && r != -EMFILE)
		return false;
	if (msg.type == BUSD_HOLD) {
		acknowledge(k, &msg, fd, r);
	} else if (msg.type == BUSD_DROP) {
		held = find(k, &msg);
		if (held)
			drop(held);
	} else if (msg.type == BUSD_READY) {
		ready(k);
	} else if (msg.type == BUSD_STOP) {
		k->stopped = true;
	}
	return true;
}

/* ---- Deaths ----------------------------------------------------------- */

static bool too_many_deaths(struct busd_keeper *k)
{
	int64_t now = bus_now();
	int64_t *oldest = &k->death[k->n_deaths % DEATHS_MAX];
	bool r = k->n_deaths >= DEATHS_MAX && now - *oldest < DEATHS_WITHIN;

	*oldest = now;
	k->n_deaths++;
	return r;
}

static void log_death(pid_t pid, bool child, int status)
{
	if (!child) /* it started us: its parent is told how */
		busd_error("worker %d died", (int)pid);
	else if (WIFSIGNALED(status))
		busd_error("worker %d was killed by signal %d (%s)", (int)pid,
			   WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		busd_error("worker %d died, status %d", (int)pid,
			   WEXITSTATUS(status));
}

/* The worker is dead, or of no use. Return: 0 if another one was started. */
static int replace_worker(struct busd_keeper *k)
{
	struct busd_hold_msg instance = { .kind = BUSD_INSTANCE, .key = 1 };
	struct busd_held *held;
	pid_t pid = k->worker.pid;
	bool child = k->worker.child;
	int status;

	/* What it sent before it died counts. */
	while (take_message(k) && !k->stopped)
		;
	if (k->stopped)
		return -1;
	status = busd_peer_bury(&k->worker);
	if (k->stopping)
		return -1;
	log_death(pid, child, status);
	held = find(k, &instance);
	if (!held)
		return -1; /* it died before it handed the instance over */
	if (too_many_deaths(k)) {
		fail(k, "the worker died %d times within %d s: giving up",
		     DEATHS_MAX + 1, (int)(DEATHS_WITHIN / 1000000000));
		return -1;
	}
	held->msg.info[BUSD_INFO_RESTARTS]++;
	return start_worker(k);
}

/* ---- The loop --------------------------------------------------------- */

static void turn(struct busd_keeper *k, int64_t *deadline)
{
	struct pollfd p[] = {
		{ .fd = k->signals, .events = POLLIN },
		{ .fd = k->worker.channel, .events = POLLIN },
		{ .fd = k->worker.pidfd, .events = POLLIN },
	};
	struct signalfd_siginfo signal;
	int n = poll(p, 3, k->stopping ? STOP_TIMEOUT : -1);

	if (n < 0)
		return;
	if (p[0].revents && read(k->signals, &signal, sizeof(signal)) > 0 &&
	    !k->stopping) {
		k->stopping = true;
		*deadline = bus_now() + STOP_TIMEOUT * INT64_C(1000000);
		busd_hold_tell(k->worker.channel, BUSD_STOP);
	}
	if (k->stopping && bus_now() > *deadline)
		busd_error("worker %d does not end: it is killed",
			   (int)k->worker.pid);
	else if (!p[2].revents && (!p[1].revents || take_message(k)))
		return;
	if (replace_worker(k) < 0)
		k->stopped = true;
}

/* The worker is gone, or going by itself. */
static int finish(struct busd_keeper *k)
{
	char path[PATH_MAX];
	bool clean = k->worker.pidfd >= 0;
	struct pollfd p = { .fd = k->worker.pidfd, .events = POLLIN };

	if (clean) {
		poll(&p, 1, STOP_TIMEOUT);
		busd_peer_bury(&k->worker);
		return EXIT_SUCCESS;
	}
	/* It left the socket behind. Ours, if we have the lock. */
	socket_path(k->options->dir, path);
	if (!cds_list_empty(&k->held))
		unlink(path);
	return k->stopping ? EXIT_SUCCESS : EXIT_FAILURE;
}

int busd_keeper_run(const struct busd_options *options)
{
	struct busd_keeper k = { .options = options,
				 .ready_fd = options->ready_fd,
				 .worker = { -1, -1, 0, false } };
	int64_t deadline = 0;
	sigset_t set;
	int r;

	CDS_INIT_LIST_HEAD(&k.held);
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	k.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (options->role)
		r = busd_peer_adopt(options, &k.worker);
	else
		r = make_instance(&k) < 0 ? -1 : start_worker(&k);
	if (r < 0)
		return EXIT_FAILURE;
	while (!k.stopped)
		turn(&k, &deadline);
	r = finish(&k);
	while (!cds_list_empty(&k.held))
		drop(cds_list_first_entry(&k.held, struct busd_held, link));
	return r;
}
