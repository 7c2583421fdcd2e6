/* SPDX-License-Identifier: MIT */
/*
 * hold.c - two processes that hold the same descriptors.
 *
 * All of an instance's state is in memory files, so whoever holds their
 * descriptors can rebuild the rest. Two processes hold them: the keeper, which
 * does nothing else, and the worker, which does everything else. Each starts
 * the other again when it dies, so the instance ends only if both are killed
 * within some milliseconds.
 *
 *	keeper				worker
 *	fork, exec self with a socket -->
 *	HOLD, HOLD, ... DONE	      -->	rebuilds the registry
 *				      <--	READY
 *				      <--	HOLD (a new topic)
 *	ACK			      -->	from now on clients may get it
 *				      <--	DROP
 *	STOP (SIGTERM)		      -->	marks all rings, removes the
 *				      <--	socket, STOP
 *
 * When the keeper is gone the worker forks and execs a new one in the same
 * way and sends it HOLD for everything, each acknowledged. Before either half
 * starts the other it proves the old one dead, by its pidfd: two workers at a
 * time would both repair and both answer.
 *
 * What is held is announced before it is used and dropped after: parts and
 * rings before the topic that they belong to, a client before its first slot.
 * So a new worker may find too much, which it drops, and never too little.
 *
 * The socket keeps records (SOCK_SEQPACKET) and has a time-out: a half that is
 * stopped for so long is killed and started again.
 */
#include "hold.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file.h"

#define CHANNEL_TIMEOUT 10 /* seconds */

void busd_held_init(struct busd_held *held, enum busd_hold_kind kind,
		    uint64_t key)
{
	memset(held, 0, sizeof(*held));
	CDS_INIT_LIST_HEAD(&held->link);
	held->msg.type = BUSD_HOLD;
	held->msg.kind = kind;
	held->msg.key = key;
	for (unsigned i = 0; i < BUSD_HOLD_FDS; i++)
		held->fd[i] = -1;
}

void busd_held_close(struct busd_held *held)
{
	cds_list_del_init(&held->link);
	for (unsigned i = 0; i < BUSD_HOLD_FDS; i++) {
		busd_closep(&held->fd[i]);
		held->fd[i] = -1;
	}
}

void busd_held_move(struct busd_held *from, struct busd_held *to)
{
	to->msg = from->msg;
	memcpy(to->fd, from->fd, sizeof(to->fd));
	cds_list_replace(&from->link, &to->link);
	CDS_INIT_LIST_HEAD(&from->link);
	for (unsigned i = 0; i < BUSD_HOLD_FDS; i++)
		from->fd[i] = -1;
}

/* ---- Messages --------------------------------------------------------- */

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(BUSD_HOLD_FDS * sizeof(int))];
};

int busd_hold_send(int channel, const struct busd_hold_msg *msg, const int *fd)
{
	struct iovec iov = { (void *)(uintptr_t)msg, sizeof(*msg) };
	union control control = { 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (msg->n_fds) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(msg->n_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(msg->n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fd,
		       msg->n_fds * sizeof(int));
	}
	if (sendmsg(channel, &m, MSG_NOSIGNAL) == (ssize_t)sizeof(*msg))
		return 0;
	return errno == ECONNRESET ? -EPIPE : -errno;
}

int busd_hold_tell(int channel, enum busd_hold_type type)
{
	struct busd_hold_msg msg = { .type = type };

	return busd_hold_send(channel, &msg, NULL);
}

int busd_hold_receive(int channel, struct busd_hold_msg *msg,
		      int fd[BUSD_HOLD_FDS])
{
	struct iovec iov = { msg, sizeof(*msg) };
	union control control = { 0 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	size_t n_fds = 0;
	ssize_t n;

	for (unsigned i = 0; i < BUSD_HOLD_FDS; i++)
		fd[i] = -1;
	n = recvmsg(channel, &m, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_type == SCM_RIGHTS) {
		n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fd, CMSG_DATA(c), n_fds * sizeof(int));
	}
	if (n == 0)
		return -EPIPE;
	if (n != sizeof(*msg) || msg->n_fds > BUSD_HOLD_FDS)
		return -EPROTO;
	return n_fds == msg->n_fds ? 0 : -EMFILE;
}

/* ---- The other half --------------------------------------------------- */

static void set_timeout(int channel)
{
	struct timeval t = { .tv_sec = CHANNEL_TIMEOUT };

	setsockopt(channel, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
	setsockopt(channel, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
}

int busd_peer_spawn(const struct busd_options *options, const char *role,
		    struct busd_peer *ret)
{
	char channel[16], peer[16];
	char *argv[] = { (char[]){ "busd" },
			 (char[]){ "--dir" },
			 (char *)(uintptr_t)options->dir,
			 (char[]){ "--role" },
			 (char *)(uintptr_t)role,
			 (char[]){ "--channel" },
			 channel,
			 (char[]){ "--peer" },
			 peer,
			 options->foreground ? (char[]){ "--foreground" } :
					       NULL,
			 NULL };
	int sv[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	snprintf(channel, sizeof(channel), "%d", sv[1]);
	snprintf(peer, sizeof(peer), "%d", (int)getpid());
	pid = fork();
	if (pid == 0) {
		/* Other threads may have been anywhere: only safe calls. */
		fcntl(sv[1], F_SETFD, 0);
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	close(sv[1]);
	if (pid < 0) {
		close(sv[0]);
		return -errno;
	}
	*ret = (struct busd_peer){ .channel = sv[0],
				   .pid = pid,
				   .child = true };
	/* A child that was not waited for keeps its number. */
	ret->pidfd = pidfd_open(pid, 0);
	set_timeout(ret->channel);
	return ret->pidfd < 0 ? -errno : 0;
}

int busd_peer_adopt(const struct busd_options *options, struct busd_peer *ret)
{
	int pidfd = pidfd_open(options->peer, 0);

	if (pidfd < 0)
		return -errno;
	/* Still our parent: so it is the one that the descriptor names. */
	if (getppid() != options->peer) {
		close(pidfd);
		return -ESRCH;
	}
	fcntl(options->channel, F_SETFD, FD_CLOEXEC);
	set_timeout(options->channel);
	*ret = (struct busd_peer){ .channel = options->channel,
				   .pidfd = pidfd,
				   .pid = options->peer };
	return 0;
}

bool busd_peer_dead(const struct busd_peer *peer)
{
	struct pollfd p = { .fd = peer->pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

int busd_peer_bury(struct busd_peer *peer)
{
	struct pollfd p = { .fd = peer->pidfd, .events = POLLIN };
	int status = 0;

	pidfd_send_signal(peer->pidfd, SIGKILL, NULL, 0);
	while (poll(&p, 1, -1) != 1)
		;
	if (peer->child)
		waitpid(peer->pid, &status, 0);
	close(peer->pidfd);
	close(peer->channel);
	*peer = (struct busd_peer){ .channel = -1, .pidfd = -1 };
	return status;
}
