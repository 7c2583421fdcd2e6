/* SPDX-License-Identifier: MIT */
/*
 * worker.c - the process that does the work.
 *
 * One thread, one epoll set, no timer unless a silent connection or a repair
 * waits. Events are taken one at a time, because what handles one may free
 * what another belongs to. Never on the data path: producers and consumers do
 * not notice whether this process lives.
 *
 * All of its state is rebuilt from what the keeper holds; hold.c has the order
 * in which the two speak.
 */
#include "worker.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "file.h"
#include "log.h"
#include "release.h"
#include "server.h"
#include "topic.h"
#include "wire.h"

#define KEEPER_TRIES 3
#define RETRY_MS 5

/* ---- The keeper ------------------------------------------------------- */

static void end_soon(struct busd_worker *w, struct busd_source *source,
		     uint32_t events)
{
	struct signalfd_siginfo signal;

	(void)source;
	(void)events;
	if (read(w->signal_fd, &signal, sizeof(signal)) > 0)
		w->stop = true;
}

/* Have one thing held. Return: 0, the keeper's refusal, or -EPIPE, ... */
static int hold_one(struct busd_worker *w, const struct busd_held *held)
{
	struct busd_hold_msg msg;
	int fd[BUSD_HOLD_FDS];
	int e = busd_hold_send(w->keeper.channel, &held->msg, held->fd);

	while (!e) {
		e = busd_hold_receive(w->keeper.channel, &msg, fd);
		if (e < 0)
			break;
		if (msg.type == BUSD_STOP)
			w->stop = true;
		if (msg.type == BUSD_ACK && msg.kind == held->msg.kind &&
		    msg.key == held->msg.key)
			return msg.status;
	}
	return e == -EINTR ? -EPIPE : e;
}

static int watch_keeper(struct busd_worker *w)
{
	int e = busd_worker_watch(w, w->keeper.channel, &w->channel);

	return e < 0 ? e :
		       busd_worker_watch(w, w->keeper.pidfd, &w->keeper_death);
}

/* Start a keeper and hand everything over. */
static int start_keeper(struct busd_worker *w)
{
	struct busd_held *held;
	int e = busd_peer_spawn(w->options, "keeper", &w->keeper);

	if (e < 0)
		return e;
	cds_list_for_each_entry(held, &w->held, link) {
		e = hold_one(w, held);
		if (e < 0)
			return e;
	}
	e = watch_keeper(w);
	if (!e)
		e = busd_hold_tell(w->keeper.channel, BUSD_READY);
	return e;
}

/* The keeper is dead, or of no use: have another one. 0 or -errno. */
static int replace_keeper(struct busd_worker *w)
{
	pid_t pid = w->keeper.pid;
	int e = -EPIPE;

	for (unsigned i = 0; i < KEEPER_TRIES && e < 0; i++) {
		if (w->keeper.pidfd >= 0)
			busd_peer_bury(&w->keeper);
		e = start_keeper(w);
	}
	if (e == 0) {
		busd_warn("keeper %d died; %d is the new one", (int)pid,
			  (int)w->keeper.pid);
		return 0;
	}
	if (w->keeper.pidfd >= 0)
		busd_peer_bury(&w->keeper);
	busd_error("keeper %d died, another one cannot be started: %s",
		   (int)pid, strerror(-e));
	return e;
}

static void channel_ready(struct busd_worker *w, struct busd_source *source,
			  uint32_t events)
{
	struct busd_hold_msg msg;
	int fd[BUSD_HOLD_FDS];

	(void)source;
	(void)events;
	if (busd_hold_receive(w->keeper.channel, &msg, fd) < 0)
		replace_keeper(w);
	else if (msg.type == BUSD_STOP)
		w->stop = true;
}

static void keeper_died(struct busd_worker *w, struct busd_source *source,
			uint32_t events)
{
	(void)source;
	(void)events;
	replace_keeper(w);
}

int busd_worker_hold(struct busd_worker *w, struct busd_held *held,
		     unsigned n_fds)
{
	bool new = cds_list_empty(&held->link);
	int e;

	held->msg.n_fds = n_fds;
	if (new)
		cds_list_add_tail(&held->link, &w->held);
	e = w->keeper.pidfd >= 0 ? hold_one(w, held) : -EPIPE;
	/* A keeper that is gone is not its refusal. */
	if (e < 0 && e != -EMFILE && e != -ENOMEM && e != -ETOOMANYREFS)
		e = replace_keeper(w); /* which hands this over, too */
	if (e < 0 && new)
		cds_list_del_init(&held->link);
	return e;
}

void busd_worker_drop(struct busd_worker *w, struct busd_held *held)
{
	struct busd_hold_msg msg = held->msg;

	if (cds_list_empty(&held->link))
		return; /* it was never held */
	cds_list_del_init(&held->link);
	msg.type = BUSD_DROP;
	msg.n_fds = 0;
	/* If that fails the keeper is gone; the next one is not given it. */
	if (w->keeper.pidfd >= 0)
		busd_hold_send(w->keeper.channel, &msg, NULL);
}

void busd_worker_repaired(struct busd_worker *w, unsigned n)
{
	w->instance.msg.info[BUSD_INFO_REPAIRS] += n;
	busd_worker_hold(w, &w->instance, 2);
}

/* ---- Coming up -------------------------------------------------------- */

int busd_worker_watch(struct busd_worker *w, int fd, struct busd_source *source)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = source };

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

/* Take over all that the keeper has. */
static int receive_holdings(struct busd_worker *w)
{
	for (;;) {
		struct busd_held *held = malloc(sizeof(*held));
		int e;

		if (!held)
			return -ENOMEM;
		busd_held_init(held, 0, 0);
		e = busd_hold_receive(w->keeper.channel, &held->msg, held->fd);
		if (e == 0 && held->msg.type == BUSD_HOLD) {
			cds_list_add_tail(&held->link, &w->held);
			continue;
		}
		if (e == 0 && held->msg.type == BUSD_STOP)
			w->stop = true;
		e = e < 0 ? e : held->msg.type == BUSD_DONE;
		free(held);
		if (e)
			return e < 0 ? e : 0;
	}
}

static int restore_instance(struct busd_worker *w)
{
	struct busd_held *held;

	if (cds_list_empty(&w->held))
		return -EPROTO;
	held = cds_list_first_entry(&w->held, struct busd_held, link);
	if (held->msg.kind != BUSD_INSTANCE)
		return -EPROTO;
	busd_held_move(held, &w->instance);
	free(held);
	return 0;
}

static int restore_clients(struct busd_worker *w)
{
	struct busd_held *held, *next;
	int e = 0;

	cds_list_for_each_entry_safe(held, next, &w->held, link) {
		if (held->msg.kind != BUSD_CLIENT)
			continue;
		e = busd_server_restore(w, held);
		if (e < 0)
			return e;
		free(held);
	}
	return 0;
}

static int set_up(struct busd_worker *w)
{
	sigset_t set;
	int e;

	CDS_INIT_LIST_HEAD(&w->held);
	CDS_INIT_LIST_HEAD(&w->clients);
	CDS_INIT_LIST_HEAD(&w->silent);
	w->next_producer_id = 1;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	w->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->signal_fd < 0 || w->epoll < 0)
		return -errno;
	w->signals.ready = end_soon;
	w->channel.ready = channel_ready;
	w->keeper_death.ready = keeper_died;
	e = busd_peer_adopt(w->options, &w->keeper);
	if (!e)
		e = receive_holdings(w);
	if (!e)
		e = restore_instance(w);
	if (!e)
		e = busd_topics_init(w);
	if (e < 0)
		return e;
	busd_topics_restore(w);
	e = restore_clients(w);
	if (!e)
		e = busd_worker_watch(w, w->signal_fd, &w->signals);
	if (!e)
		e = watch_keeper(w);
	if (!e)
		e = busd_server_start(w);
	return e;
}

/* ---- The loop --------------------------------------------------------- */

static int timeout(struct busd_worker *w)
{
	int64_t ns = busd_server_tick(w);
	int ms = ns < 0 ? -1 : (int)(ns / 1000000) + 1;

	return w->retry && (ms < 0 || ms > RETRY_MS) ? RETRY_MS : ms;
}

static void loop(struct busd_worker *w)
{
	struct epoll_event e;

	while (!w->stop) {
		int n = epoll_wait(w->epoll, &e, 1, timeout(w));

		if (n == 1) {
			struct busd_source *source = e.data.ptr;

			source->ready(w, source, e.events);
		} else if (n == 0 && w->retry) {
			busd_release_retry(w);
		}
	}
}

/* A clean end: whoever is attached learns that nothing will follow. */
static void end(struct busd_worker *w)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", w->options->dir, BUS_SOCKET_NAME);
	unlink(path);
	busd_topics_end(w);
	busd_info("down");
	if (w->keeper.pidfd >= 0)
		busd_hold_tell(w->keeper.channel, BUSD_STOP);
}

/* Static: all that it leads to goes with the process. */
static struct busd_worker worker = {
	.signal_fd = -1,
	.epoll = -1,
	.spare_fd = -1,
	.keeper = { -1, -1, 0, false },
};

int busd_worker_run(const struct busd_options *options)
{
	struct busd_worker *w = &worker;
	uint64_t restarts;
	int e;

	w->options = options;
	e = set_up(w);
	if (e < 0) {
		busd_error("the worker cannot start: %s", strerror(-e));
		return EXIT_FAILURE;
	}
	restarts = w->instance.msg.info[BUSD_INFO_RESTARTS];
	if (restarts)
		busd_warn("worker started again, %u topics, %u clients",
			  w->n_topics, w->n_clients);
	else
		busd_info("up in %s, keeper %d", options->dir,
			  (int)w->keeper.pid);
	busd_hold_tell(w->keeper.channel, BUSD_READY);
	loop(w);
	end(w);
	return EXIT_SUCCESS;
}
