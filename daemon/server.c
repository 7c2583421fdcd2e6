/* SPDX-License-Identifier: MIT */
/*
 * server.c - the control socket: connections, requests, answers.
 *
 * Whatever comes in is somebody else's: it is received into a buffer of fixed
 * size, checked field by field, and only then looked at. A message that cannot
 * be right ends its connection; an error in what is asked is an answer with a
 * text. Nothing here waits for a client: one that does not read its answers is
 * cut.
 *
 * A connection is silent until it said HELLO. There are few places for silent
 * ones; the oldest makes room, and all are cut after a second. So connections
 * that say nothing cost busd nothing and keep nobody out.
 *
 * A client ends in two steps. Its socket hangs up, which proves nothing about
 * the process (attach.c); its pidfd becomes readable, which proves everything.
 * Either may come first or, when the socket was handed on, alone.
 *
 * Descriptors that a client sends never arrive: without a control buffer the
 * kernel throws them away and says so (MSG_CTRUNC).
 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "admin.h"
#include "attach.h"
#include "file.h"
#include "layout.h"
#include "log.h"
#include "release.h"
#include "topic.h"
#include "wait.h"

#define SILENT_MAX 64
#define SILENT_NS INT64_C(1000000000)

#ifndef SO_PEERPIDFD /* since Linux 6.5 */
#define SO_PEERPIDFD 77
#endif

/* ---- Answers ---------------------------------------------------------- */

void busd_answer_text(struct busd_answer *a, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(a->msg.text, sizeof(a->msg.text), format, args);
	va_end(args);
	/* Always less than the buffer, as with the NUL that is not sent. */
	if (n >= (int)sizeof(a->msg.text))
		n = sizeof(a->msg.text) - 1;
	a->msg.text_size = n < 0 ? 0 : (uint32_t)n;
}

/* Return: 0, or -errno if it cannot be sent at once. */
static int send_answer(struct busd_client *c, struct busd_answer *a)
{
	struct iovec iov = { &a->msg, BUS_MSG_FIXED + a->msg.text_size };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(a->fd))];
	} control = { 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t bytes = a->n_fds * sizeof(int);
	int e = 0;

	if (a->n_fds) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(bytes);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(&control.header), a->fd, bytes);
	}
	if (sendmsg(c->held.fd[0], &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		e = -errno;
	for (unsigned i = 0; i < a->n_fds; i++)
		close(a->fd[i]);
	a->n_fds = 0;
	return e;
}

static void init_answer(struct busd_answer *a, const struct bus_msg *ask)
{
	memset(&a->msg, 0, BUS_MSG_FIXED);
	a->n_fds = 0;
	a->msg.magic = BUS_WIRE_MAGIC;
	a->msg.version = BUS_WIRE_VERSION;
	if (!ask)
		return;
	a->msg.type = ask->type;
	a->msg.request = ask->request;
	memcpy(a->msg.topic, ask->topic, sizeof(a->msg.topic));
}

/* ---- Clients that go -------------------------------------------------- */

static void client_free(struct busd_worker *w, struct busd_client *c)
{
	if (c->greeted)
		w->n_clients--;
	else
		w->n_silent--;
	cds_list_del(&c->link);
	/* The keeper has duplicates: they would keep the descriptors in the
	 * epoll set, and the other end open. */
	for (unsigned i = 0; i < BUSD_HOLD_FDS; i++)
		epoll_ctl(w->epoll, EPOLL_CTL_DEL, c->held.fd[i], NULL);
	shutdown(c->held.fd[0], SHUT_RDWR);
	busd_worker_drop(w, &c->held);
	busd_held_close(&c->held);
	free(c);
}

static bool client_dead(const struct busd_client *c)
{
	struct pollfd p = { .fd = c->held.fd[1], .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void hang_up(struct busd_worker *w, struct busd_client *c)
{
	if (c->greeted &&
	    busd_release_client(w, c->held.msg.key, client_dead(c))) {
		/* What it still owns waits for its pidfd. */
		c->hung_up = true;
		epoll_ctl(w->epoll, EPOLL_CTL_DEL, c->held.fd[0], NULL);
		shutdown(c->held.fd[0], SHUT_RDWR);
		return;
	}
	client_free(w, c);
}

static void cut(struct busd_worker *w, struct busd_client *c, const char *why)
{
	busd_log_peer("the connection of pid %u is cut: %s", c->pid, why);
	hang_up(w, c);
}

static void process_ready(struct busd_worker *w, struct busd_source *source,
			  uint32_t events)
{
	struct busd_client *c =
		caa_container_of(source, struct busd_client, process);

	(void)events;
	if (c->greeted)
		busd_release_client(w, c->held.msg.key, true);
	client_free(w, c);
}

/* ---- Requests --------------------------------------------------------- */

static int handle_status(struct busd_worker *w, struct busd_client *c,
			 struct bus_msg *ask, struct busd_answer *answer)
{
	uint64_t *arg = answer->msg.arg;
	const uint64_t *info = w->instance.msg.info;

	(void)c;
	(void)ask;
	arg[BUS_STATUS_WORKER_PID] = (uint64_t)getpid();
	arg[BUS_STATUS_KEEPER_PID] = (uint64_t)w->keeper.pid;
	arg[BUS_STATUS_TOPICS] = w->n_topics;
	arg[BUS_STATUS_CLIENTS] = w->n_clients;
	arg[BUS_STATUS_RESTARTS] = info[BUSD_INFO_RESTARTS];
	arg[BUS_STATUS_REPAIRS] = info[BUSD_INFO_REPAIRS];
	arg[BUS_STATUS_MEMORY] = busd_topics_memory(w);
	arg[BUS_STATUS_STARTED] = info[BUSD_INFO_STARTED];
	busd_answer_text(answer, "%s", BUS_VERSION);
	return 0;
}

static int handle_hello(struct busd_worker *w, struct busd_client *c,
			struct bus_msg *ask, struct busd_answer *answer)
{
	int e;

	if (ask->version != BUS_WIRE_VERSION ||
	    ask->arg[0] != bus_layout_signature()) {
		busd_answer_text(answer,
				 "busd is " BUS_VERSION " with protocol %d and "
				 "layout %llx, the client has %u and %llx",
				 BUS_WIRE_VERSION,
				 (unsigned long long)bus_layout_signature(),
				 ask->version, (unsigned long long)ask->arg[0]);
		return BUS_EVERSION;
	}
	if (c->uid != geteuid()) {
		busd_warn("pid %u of uid %u is refused", c->pid, c->uid);
		busd_answer_text(answer,
				 "this instance is uid %u's and you are uid %u",
				 geteuid(), c->uid);
		return BUS_EACCES;
	}
	e = busd_worker_hold(w, &c->held, 2);
	if (e < 0) {
		busd_answer_text(answer, "busd has no descriptors left");
		return BUS_EMFILE;
	}
	cds_list_del(&c->link);
	w->n_silent--;
	c->greeted = true;
	cds_list_add_tail(&c->link, &w->clients);
	w->n_clients++;
	return 0;
}

static int (*const handlers[BUS_MSG_TYPES])(struct busd_worker *w,
					    struct busd_client *c,
					    struct bus_msg *ask,
					    struct busd_answer *answer) = {
	[BUS_MSG_HELLO] = handle_hello,
	[BUS_MSG_STATUS] = handle_status,
	[BUS_MSG_CREATE] = busd_admin_create,
	[BUS_MSG_ALTER] = busd_admin_alter,
	[BUS_MSG_DELETE] = busd_admin_delete,
	[BUS_MSG_NEXT_TOPIC] = busd_admin_next,
	[BUS_MSG_DESCRIBE] = busd_admin_describe,
	[BUS_MSG_ATTACH] = busd_attach,
	[BUS_MSG_DETACH] = busd_detach,
	[BUS_MSG_NEXT_RING] = busd_next_ring,
};

/* A HELLO of another version may differ in all but its first words. */
static bool other_version(const struct bus_msg *m, size_t size)
{
	return size >= offsetof(struct bus_msg, status) &&
	       m->magic == BUS_WIRE_MAGIC && m->version != BUS_WIRE_VERSION;
}

/* Return: NULL, or what is wrong with a message. */
static const char *check(const struct busd_client *c, const struct bus_msg *m,
			 size_t size)
{
	if (size < BUS_MSG_FIXED)
		return "a message was too short";
	if (m->magic != BUS_WIRE_MAGIC || m->version != BUS_WIRE_VERSION)
		return "what it sent is not a message";
	if (m->text_size > BUS_WIRE_TEXT_MAX ||
	    size != BUS_MSG_FIXED + m->text_size)
		return "a message was not as long as it said";
	if (m->type >= BUS_MSG_TYPES || !handlers[m->type])
		return "a message was of an unknown type";
	if (m->flags || m->reserved || m->status || !m->request)
		return "a message had fields set that must not be";
	if (!memchr(m->topic, '\0', sizeof(m->topic)) ||
	    memchr(m->text, '\0', m->text_size))
		return "a string in a message did not end where it must";
	if (c->greeted == (m->type == BUS_MSG_HELLO))
		return c->greeted ? "it said hello twice" :
				    "it did not say hello first";
	return NULL;
}

static void answer_request(struct busd_worker *w, struct busd_client *c,
			   struct bus_msg *ask)
{
	struct busd_answer answer;
	int e;

	init_answer(&answer, ask);
	answer.msg.status = handlers[ask->type](w, c, ask, &answer);
	if (answer.msg.status < 0) {
		/* Files may have been added before it went wrong. */
		while (answer.n_fds)
			close(answer.fd[--answer.n_fds]);
	}
	e = send_answer(c, &answer);
	c->last = ask->request;
	if (e == -EAGAIN)
		cut(w, c, "it does not read its answers");
	else if (e < 0 || !c->greeted)
		hang_up(w, c);
}

static void socket_ready(struct busd_worker *w, struct busd_source *source,
			 uint32_t events)
{
	struct busd_client *c =
		caa_container_of(source, struct busd_client, socket);
	struct bus_msg ask;
	char end; /* one byte more than any message has: it is cut off */
	struct iovec iov[] = { { &ask, sizeof(ask) }, { &end, 1 } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n = recvmsg(c->held.fd[0], &m, MSG_DONTWAIT);
	const char *wrong;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(w, c);
	} else if (m.msg_flags & MSG_CTRUNC) {
		cut(w, c, "it sent a descriptor");
	} else if (!c->greeted && other_version(&ask, (size_t)n)) {
		ask.type = BUS_MSG_HELLO;
		memset(ask.topic, 0, sizeof(ask.topic));
		answer_request(w, c, &ask);
	} else {
		wrong = (size_t)n > sizeof(ask) ? "a message was too long" :
						  check(c, &ask, (size_t)n);
		if (wrong) {
			cut(w, c, wrong);
			return;
		}
		/* Settings are read as a string; text_size is at most that. */
		if (ask.text_size == sizeof(ask.text)) {
			cut(w, c, "a text was too long");
			return;
		}
		ask.text[ask.text_size] = '\0';
		/* Sent again after a RESET that crossed it: answered. */
		if (ask.request != c->last)
			answer_request(w, c, &ask);
	}
}

/* ---- Clients that come ------------------------------------------------ */

static int watch_client(struct busd_worker *w, struct busd_client *c)
{
	int e = busd_worker_watch(w, c->held.fd[0], &c->socket);

	return e < 0 ? e : busd_worker_watch(w, c->held.fd[1], &c->process);
}

static int open_pidfd(int fd, pid_t pid)
{
	socklen_t size = sizeof(int);
	int pidfd;

	/* It names the process that connected, even if its number was given
	 * to another one since. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
		return pidfd;
	if (errno != ENOPROTOOPT)
		return -errno;
	pidfd = pidfd_open(pid, 0);
	return pidfd < 0 ? -errno : pidfd;
}

static struct busd_client *client_new(int fd)
{
	struct busd_client *c = calloc(1, sizeof(*c));
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);

	if (!c)
		return NULL;
	busd_held_init(&c->held, BUSD_CLIENT, busd_random());
	c->socket.ready = socket_ready;
	c->process.ready = process_ready;
	c->deadline = bus_now() + SILENT_NS;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		c->held.fd[1] = open_pidfd(fd, peer.pid);
	if (c->held.fd[1] < 0) {
		free(c);
		return NULL;
	}
	c->held.fd[0] = fd;
	c->pid = (uint32_t)peer.pid;
	c->uid = peer.uid;
	c->held.msg.info[BUSD_INFO_PID] = c->pid;
	return c;
}

/*
 * No descriptor is left for a connection: with the spare one it is accepted
 * and closed, which tells the client, instead of waking us for ever.
 */
static void turn_away(struct busd_worker *w)
{
	int fd;

	busd_log_peer("no descriptors left: a connection is refused");
	busd_closep(&w->spare_fd);
	fd = accept4(w->instance.fd[0], NULL, NULL, SOCK_CLOEXEC);
	busd_closep(&fd);
	w->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void accept_one(struct busd_worker *w, struct busd_source *source,
		       uint32_t events)
{
	int fd = accept4(w->instance.fd[0], NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct busd_client *c;

	(void)source;
	(void)events;
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
			turn_away(w);
		return;
	}
	c = client_new(fd);
	if (!c) {
		/* No number for its pidfd, or it is dead already. */
		close(fd);
		return;
	}
	cds_list_add_tail(&c->link, &w->silent);
	w->n_silent++;
	if (watch_client(w, c) < 0)
		client_free(w, c);
	else if (w->n_silent > SILENT_MAX)
		cut(w,
		    cds_list_first_entry(&w->silent, struct busd_client, link),
		    "it said nothing, and others came");
}

int64_t busd_server_tick(struct busd_worker *w)
{
	int64_t now = bus_now();

	while (!cds_list_empty(&w->silent)) {
		struct busd_client *c = cds_list_first_entry(
			&w->silent, struct busd_client, link);

		if (c->deadline > now)
			return c->deadline - now;
		cut(w, c, "it said nothing");
	}
	return -1;
}

/* ---- A new worker ----------------------------------------------------- */

int busd_server_restore(struct busd_worker *w, struct busd_held *held)
{
	struct busd_client *c = calloc(1, sizeof(*c));
	struct busd_answer reset;
	int e;

	if (!c)
		return -ENOMEM;
	busd_held_move(held, &c->held);
	c->socket.ready = socket_ready;
	c->process.ready = process_ready;
	c->pid = (uint32_t)c->held.msg.info[BUSD_INFO_PID];
	c->uid = geteuid();
	c->greeted = true;
	cds_list_add_tail(&c->link, &w->clients);
	w->n_clients++;
	e = watch_client(w, c);
	if (e < 0)
		return e;
	init_answer(&reset, NULL);
	/* If it is not there to hear it, its descriptors tell. */
	send_answer(c, &reset);
	return 0;
}

int busd_server_start(struct busd_worker *w)
{
	w->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	w->listener.ready = accept_one;
	return busd_worker_watch(w, w->instance.fd[0], &w->listener);
}
