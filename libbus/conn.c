/* SPDX-License-Identifier: MIT */
/*
 * conn.c - asking busd.
 *
 * A request is one packet, its answer another (wire.h). The keeper keeps the
 * sockets, so a connection outlives a restart of the worker; the new worker
 * says RESET, and a request without an answer is sent once more with the same
 * number. An answer that comes after its caller gave up is known by its number
 * and thrown away, with its descriptors.
 */
#define _GNU_SOURCE
#include "conn.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "layout.h"
#include "wait.h"

#define DEFAULT_TIMEOUT (5 * INT64_C(1000000000))

struct bus_conn {
	int fd;
	int64_t timeout;
	uint32_t request;	/* number of the last one */
	pthread_mutex_t lock;	/* one request at a time */
};

static __thread char detail[512];

const char *bus_detail(void)
{
	return detail;
}

void bus_detail_set(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
}

void bus_msg_init(struct bus_msg *msg, enum bus_msg_type type,
		  const char *topic)
{
	memset(msg, 0, sizeof(*msg));
	msg->magic = BUS_WIRE_MAGIC;
	msg->version = BUS_WIRE_VERSION;
	msg->type = (uint16_t)type;
	if (topic)
		strncpy(msg->topic, topic, sizeof(msg->topic) - 1);
}

/* ---- One packet ------------------------------------------------------- */

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int send_packet(int fd, const struct bus_msg *msg)
{
	ssize_t n = send(fd, msg, BUS_MSG_FIXED + msg->text_size, MSG_NOSIGNAL);

	if (n >= 0)
		return 0;
	return errno == EPIPE || errno == ENOTCONN ? BUS_ECONNRESET : -errno;
}

/* Copy the descriptors out of @mh. Return: how many there are. */
static size_t take_fds(struct msghdr *mh, int fds[BUS_WIRE_FDS])
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (n > BUS_WIRE_FDS)
			n = BUS_WIRE_FDS;
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	}
	return n;
}

/* Whether a packet of @size bytes is what busd may send. */
static bool packet_ok(const struct bus_msg *msg, size_t size)
{
	return size >= BUS_MSG_FIXED && msg->magic == BUS_WIRE_MAGIC &&
	       msg->text_size < BUS_WIRE_TEXT_MAX &&
	       size == BUS_MSG_FIXED + msg->text_size &&
	       !msg->topic[BUS_WIRE_NAME - 1];
}

/* @fds: gets what came along, -1 for what did not. Errors are final. */
static int receive_packet(int fd, struct bus_msg *msg, int fds[BUS_WIRE_FDS])
{
	union {
		char buf[CMSG_SPACE(BUS_WIRE_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { msg, sizeof(*msg) };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf) };
	ssize_t n;

	memset(fds, 0xff, BUS_WIRE_FDS * sizeof(int));
	n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	if (n == 0)
		return BUS_ECONNRESET;
	take_fds(&mh, fds);
	if (mh.msg_flags & MSG_CTRUNC) {
		close_all(fds, BUS_WIRE_FDS);
		return BUS_EMFILE; /* the kernel had no number for them */
	}
	if (!packet_ok(msg, (size_t)n)) {
		close_all(fds, BUS_WIRE_FDS);
		return BUS_EPROTO;
	}
	msg->text[msg->text_size] = '\0';
	return 0;
}

static int wait_readable(int fd, int64_t until)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left;
	int r;

	do {
		left = until - bus_now();
		if (left < 0)
			return BUS_ETIMEDOUT;
		r = poll(&p, 1, (int)(left / 1000000) + 1);
	} while (r < 0 && errno == EINTR);
	return r > 0 ? 0 : r < 0 ? -errno : BUS_ETIMEDOUT;
}

/* ---- Request and answer ----------------------------------------------- */

/* Receive until the answer to @ask is there. */
static int receive_answer(struct bus_conn *conn, const struct bus_msg *ask,
			  struct bus_msg *answer, int fds[BUS_WIRE_FDS])
{
	int64_t until = bus_now() + conn->timeout;
	int r;

	for (;;) {
		r = wait_readable(conn->fd, until);
		if (r < 0)
			return r;
		r = receive_packet(conn->fd, answer, fds);
		if (r == -EAGAIN || r == -EINTR)
			continue;
		if (r < 0)
			return r;
		if (answer->type == ask->type &&
		    answer->request == ask->request)
			return 0;
		close_all(fds, BUS_WIRE_FDS);
		if (answer->type == BUS_MSG_RESET) {
			r = send_packet(conn->fd, ask);
			if (r < 0)
				return r;
		}
	}
}

int bus_conn_call(struct bus_conn *conn, struct bus_msg *msg, int *fds)
{
	struct bus_msg ask = *msg;
	int got[BUS_WIRE_FDS];
	int r;

	/* Giving back is part of calls that failed: their words stay. */
	if (msg->type != BUS_MSG_DETACH)
		detail[0] = '\0';
	pthread_mutex_lock(&conn->lock);
	ask.request = ++conn->request;
	r = send_packet(conn->fd, &ask);
	if (!r)
		r = receive_answer(conn, &ask, msg, got);
	pthread_mutex_unlock(&conn->lock);
	if (r == BUS_ECONNRESET)
		bus_detail_set("busd closed the connection");
	if (r < 0)
		return r;
	if (msg->status < 0)
		bus_detail_set("%s", msg->text);
	if (fds && msg->status >= 0)
		memcpy(fds, got, sizeof(got));
	else
		close_all(got, BUS_WIRE_FDS);
	return msg->status;
}

/* ---- Connecting ------------------------------------------------------- */

static int connect_socket(int fd, const char *dir)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s", dir,
			 BUS_SOCKET_NAME);

	if (n >= (int)sizeof(sa.sun_path)) {
		bus_detail_set("%s/%s has %d bytes, a socket path may have %zu",
			       dir, BUS_SOCKET_NAME, n,
			       sizeof(sa.sun_path) - 1);
		return BUS_ENAMETOOLONG;
	}
	if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return 0;
	bus_detail_set("connect to %s: %s", sa.sun_path, strerror(errno));
	return errno == ENOENT || errno == ENOTDIR ? BUS_ECONNREFUSED : -errno;
}

static int hello(struct bus_conn *conn)
{
	struct bus_msg msg;
	int r;

	bus_msg_init(&msg, BUS_MSG_HELLO, NULL);
	msg.arg[0] = bus_layout_signature();
	r = bus_conn_call(conn, &msg, NULL);
	if (r == 0 && msg.version != BUS_WIRE_VERSION) {
		bus_detail_set("busd speaks version %u, libbus %u", msg.version,
			       BUS_WIRE_VERSION);
		return BUS_EVERSION;
	}
	return r;
}

static int try_open(const char *dir, int64_t timeout, struct bus_conn **ret)
{
	struct bus_conn *conn = calloc(1, sizeof(*conn));
	int r;

	if (!conn)
		return BUS_ENOMEM;
	pthread_mutex_init(&conn->lock, NULL);
	conn->timeout = timeout > 0 ? timeout : DEFAULT_TIMEOUT;
	conn->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	r = conn->fd < 0 ? -errno : connect_socket(conn->fd, dir);
	if (!r)
		r = hello(conn);
	if (r < 0) {
		bus_conn_close(conn);
		return r == -ENFILE ? BUS_EMFILE : r;
	}
	*ret = conn;
	return 0;
}

int bus_conn_open(const char *dir, int64_t timeout, struct bus_conn **ret)
{
	int r = try_open(dir, timeout, ret);

	/* Connections that have said hello outlive a worker; this one had
	 * not. The socket that the keeper holds takes it again. */
	if (r == BUS_ECONNRESET)
		r = try_open(dir, timeout, ret);
	return r;
}

struct bus_conn *bus_conn_close(struct bus_conn *conn)
{
	if (!conn)
		return NULL;
	if (conn->fd >= 0)
		close(conn->fd);
	pthread_mutex_destroy(&conn->lock);
	free(conn);
	return NULL;
}
